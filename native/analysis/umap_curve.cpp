#include "analysis/umap_curve.h"

#include <cmath>

namespace flexae {
namespace {

constexpr int kSamples = 300;  // umap-learn's
constexpr int kMostSteps = 200;

/// The squared error of a curve with what Gauss and Newton need of it.
struct CurveFit {
  double error = 0;
  double aa = 0;
  double ab = 0;
  double bb = 0;
  double ga = 0;
  double gb = 0;
};

CurveFit judge_curve(UmapCurve curve, double min_dist, double spread) {
  CurveFit fit;
  for (int i = 0; i < kSamples; ++i) {
    const double d = 3 * spread * i / (kSamples - 1);
    const double wanted = d < min_dist ? 1 : std::exp(-(d - min_dist) / spread);
    const double power = std::pow(d, 2 * curve.b);
    const double value = 1 / (1 + curve.a * power);
    const double rest = wanted - value;
    const double by_a = -power * value * value;
    const double by_b = d > 0 ? 2 * curve.a * std::log(d) * by_a : 0;
    fit.error += rest * rest;
    fit.aa += by_a * by_a;
    fit.ab += by_a * by_b;
    fit.bb += by_b * by_b;
    fit.ga += by_a * rest;
    fit.gb += by_b * rest;
  }
  return fit;
}

}  // namespace

UmapCurve fit_umap_curve(double min_dist, double spread) {
  // Levenberg and Marquardt, from where umap-learn begins.
  UmapCurve curve{1, 1};
  CurveFit fit = judge_curve(curve, min_dist, spread);
  double damping = 1e-3;
  for (int step = 0; step < kMostSteps; ++step) {
    const double aa = fit.aa * (1 + damping);
    const double bb = fit.bb * (1 + damping);
    const double determinant = aa * bb - fit.ab * fit.ab;
    const double by_a = (bb * fit.ga - fit.ab * fit.gb) / determinant;
    const double by_b = (aa * fit.gb - fit.ab * fit.ga) / determinant;
    const UmapCurve next{curve.a + by_a, curve.b + by_b};
    const CurveFit next_fit =
        next.a > 0 && next.b > 0 ? judge_curve(next, min_dist, spread) : CurveFit{INFINITY};
    if (next_fit.error <= fit.error) {
      const bool done = std::abs(by_a) <= 1e-12 * next.a && std::abs(by_b) <= 1e-12 * next.b;
      curve = next;
      fit = next_fit;
      damping /= 10;
      if (done) break;
    } else {
      damping *= 10;
      if (damping > 1e12) break;
    }
  }
  return curve;
}

}  // namespace flexae

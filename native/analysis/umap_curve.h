#pragma once

namespace flexae {

/// How likely two points of a map are neighbours: 1 / (1 + a·d^2b).
struct UmapCurve {
  double a;
  double b;
};

/// The curve that comes nearest to one up to `min_dist` and exp(−(d − min_dist) / spread) beyond,
/// on [0, 3·spread]. 0 ≤ min_dist ≤ spread, 0 < spread.
UmapCurve fit_umap_curve(double min_dist, double spread);

}  // namespace flexae

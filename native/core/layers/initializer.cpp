#include "core/layers/initializer.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "core/base/error.h"
#include "core/base/random.h"

namespace flexae {
namespace {

struct Fans {
  double in;
  double out;
};

/// The weight's shape in Keras's layout.
std::vector<int64_t> keras_shape(WeightLayout layout, const std::vector<int64_t>& s) {
  switch (layout) {
    case WeightLayout::kDense:
      return {s[1], s[0]};
    case WeightLayout::kConv:
    case WeightLayout::kConvTranspose:
      return {s[2], s[3], s[1], s[0]};
    case WeightLayout::kBias:
      return s;
  }
  return s;
}

at::Tensor from_keras(WeightLayout layout, const at::Tensor& w) {
  switch (layout) {
    case WeightLayout::kDense:
      return w.t().contiguous();
    case WeightLayout::kConv:
    case WeightLayout::kConvTranspose:
      return w.permute({3, 2, 0, 1}).contiguous();
    case WeightLayout::kBias:
      return w;
  }
  return w;
}

/// keras.src.initializers.random_initializers.compute_fans
Fans fans(const std::vector<int64_t>& shape) {
  if (shape.size() == 1) return {static_cast<double>(shape[0]), static_cast<double>(shape[0])};
  double field = 1;
  for (size_t i = 0; i + 2 < shape.size(); ++i) field *= static_cast<double>(shape[i]);
  return {static_cast<double>(shape[shape.size() - 2]) * field,
          static_cast<double>(shape.back()) * field};
}

/// A normal distribution cut at two standard deviations, by inversion: exact, and one draw a value.
at::Tensor truncated_normal(const std::vector<int64_t>& shape, double stddev,
                            const at::Generator& generator) {
  const double edge = std::erf(2.0 / std::sqrt(2.0));
  at::Tensor u = at::empty(shape, at::kDouble).uniform_(-edge, edge, generator);
  return u.erfinv_().mul_(stddev * std::sqrt(2.0)).clamp_(-2 * stddev, 2 * stddev).to(at::kFloat);
}

at::Tensor uniform(const std::vector<int64_t>& shape, double limit,
                   const at::Generator& generator) {
  return at::empty(shape, at::kFloat).uniform_(-limit, limit, generator);
}

at::Tensor orthogonal(const std::vector<int64_t>& shape, const at::Generator& generator) {
  int64_t rows = 1;
  for (size_t i = 0; i + 1 < shape.size(); ++i) rows *= shape[i];
  const int64_t cols = shape.back();
  at::Tensor a =
      at::empty({std::max(rows, cols), std::min(rows, cols)}, at::kFloat).normal_(0, 1, generator);
  auto [q, r] = at::linalg_qr(a);
  // Makes Q uniform over the orthogonal matrices (Mezzadri, 2007), as Keras does.
  q = q * r.diagonal().sign();
  if (rows < cols) q = q.t();
  return q.reshape(shape).contiguous();
}

}  // namespace

at::Tensor initialize(Initializer initializer, WeightLayout layout,
                      const std::vector<int64_t>& sizes, uint64_t bits) {
  // A large tensor that nobody writes to takes no memory.
  if (initializer == Initializer::kUndefined) return at::empty(sizes, at::kFloat);
  const at::Generator generator = make_generator(at::kCPU, bits);
  const std::vector<int64_t> shape = keras_shape(layout, sizes);
  const Fans fan = fans(shape);
  // Keras divides by this so that the cut distribution has the asked-for deviation.
  constexpr double kTruncation = 0.87962566103423978;
  const auto scaled_normal = [&](double variance) {
    return truncated_normal(shape, std::sqrt(variance) / kTruncation, generator);
  };
  const auto scaled_uniform = [&](double variance) {
    return uniform(shape, std::sqrt(3.0 * variance), generator);
  };
  const auto draw = [&]() -> at::Tensor {
    switch (initializer) {
      case Initializer::kZeros:
        return at::zeros(shape);
      case Initializer::kOnes:
        return at::ones(shape);
      case Initializer::kRandomUniform:
        return uniform(shape, 0.05, generator);
      case Initializer::kRandomNormal:
        return at::empty(shape, at::kFloat).normal_(0, 0.05, generator);
      case Initializer::kTruncatedNormal:
        return truncated_normal(shape, 0.05, generator);
      case Initializer::kGlorotUniform:
        return scaled_uniform(2.0 / (fan.in + fan.out));
      case Initializer::kGlorotNormal:
        return scaled_normal(2.0 / (fan.in + fan.out));
      case Initializer::kHeUniform:
        return scaled_uniform(2.0 / fan.in);
      case Initializer::kHeNormal:
        return scaled_normal(2.0 / fan.in);
      case Initializer::kLecunUniform:
        return scaled_uniform(1.0 / fan.in);
      case Initializer::kLecunNormal:
        return scaled_normal(1.0 / fan.in);
      case Initializer::kOrthogonal:
        return orthogonal(shape, generator);
      case Initializer::kIdentity:
        return at::eye(shape[0], shape.back());
      case Initializer::kUndefined:
        break;
    }
    throw Error(ErrorCode::kInternal, "unhandled initializer");
  };
  return from_keras(layout, draw());
}

}  // namespace flexae

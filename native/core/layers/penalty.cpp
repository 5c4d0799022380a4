#include "core/layers/penalty.h"

#include <ATen/ATen.h>

namespace flexae {
namespace {

/// keras.backend.epsilon()
constexpr double kKerasEpsilon = 1e-7;

}  // namespace

at::Tensor penalty(const at::Tensor& w, const Regularizer& regularizer) {
  at::Tensor total = at::zeros({}, w.options().dtype(at::kFloat));
  if (regularizer.l1 != 0) total += w.abs().sum(at::kFloat) * regularizer.l1;
  if (regularizer.l2 != 0) total += w.square().sum(at::kFloat) * regularizer.l2;
  return total;
}

at::Tensor penalty_grad(const at::Tensor& w, const Regularizer& regularizer) {
  at::Tensor grad = w * (2.0 * regularizer.l2);
  if (regularizer.l1 != 0) grad.add_(w.sign(), regularizer.l1);
  return grad;
}

void constrain(at::Tensor& w, WeightLayout layout, const Constraint& constraint) {
  using Kind = Constraint::Kind;
  if (constraint.kind == Kind::kNone) return;
  if (constraint.kind == Kind::kNonNeg) {
    w.clamp_min_(0);
    return;
  }
  const int64_t axis = layout == WeightLayout::kDense ? 1 : 0;
  const at::Tensor norms = w.square().sum(axis, /*keepdim=*/true).sqrt_();
  at::Tensor desired;
  switch (constraint.kind) {
    case Kind::kMaxNorm:
      desired = norms.clamp(0, constraint.max_value);
      break;
    case Kind::kMinMaxNorm:
      desired = norms.clamp(constraint.min_value, constraint.max_value) * constraint.rate +
                norms * (1 - constraint.rate);
      break;
    default:
      desired = at::ones_like(norms);
  }
  w.mul_(desired / (norms + kKerasEpsilon));
}

}  // namespace flexae

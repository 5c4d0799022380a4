#include "core/layers/constraint.h"

#include <ATen/ATen.h>

namespace flexae {
namespace {

/// keras.backend.epsilon()
constexpr double kKerasEpsilon = 1e-7;

}  // namespace

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

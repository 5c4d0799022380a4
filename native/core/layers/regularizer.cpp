#include "core/layers/regularizer.h"

#include <ATen/ATen.h>

namespace flexae {

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

}  // namespace flexae

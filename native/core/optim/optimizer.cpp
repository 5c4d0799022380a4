#include "core/optim/optimizer.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <vector>

#include "core/base/aligned_vector.h"
#include "core/base/error.h"
#include "core/base/profile_scope.h"
#include "core/cpu/kernels/kernels.h"
#include "core/cuda/passes.h"

namespace flexae {
namespace {

constexpr double kEpsilon = 1e-7;
constexpr double kRho = 0.9;           // RMSprop
constexpr double kAdadeltaRho = 0.95;  // Adadelta
constexpr double kBeta1 = 0.9;         // Adam and its kin
constexpr double kBeta2 = 0.999;
constexpr double kWeightDecay = 0.004;  // AdamW
constexpr double kAdagradStart = 0.1;   // Adagrad's initial accumulator

/// Nadam's momentum schedule u_t (Dozat, 2016), as keras.optimizers.Nadam has it.
double nadam_momentum(int64_t t) {
  return kBeta1 * (1.0 - 0.5 * std::pow(0.96, static_cast<double>(t)));
}

/// Nadam's factors at step t, as keras.optimizers.Nadam has them: of the momentum, of the gradient.
struct NadamFactors {
  double momentum;
  double gradient;
};
NadamFactors nadam_factors(int64_t t) {
  // The product of the schedule is a function of the step, so it needs no storing.
  double product = 1;
  for (int64_t i = 1; i <= t && product > 0; ++i) product *= nadam_momentum(i);
  const double u = nadam_momentum(t);
  const double u_next = nadam_momentum(t + 1);
  return {u_next / (1 - product * u_next), (1 - u) / (1 - product)};
}

}  // namespace

int64_t Optimizer::slot_count(OptimizerKind kind) {
  switch (kind) {
    case OptimizerKind::kSgd:
      return 0;
    case OptimizerKind::kRmsprop:
    case OptimizerKind::kAdagrad:
      return 1;
    default:
      return 2;
  }
}

Optimizer::Optimizer(OptimizerKind kind, double learning_rate, std::vector<at::Tensor> parameters,
                     bool by_kernels)
    : kind_(kind),
      by_kernels_(by_kernels),
      learning_rate_(learning_rate),
      parameters_(std::move(parameters)) {
  const double start = kind == OptimizerKind::kAdagrad ? kAdagradStart : 0.0;
  slots_.resize(static_cast<size_t>(slot_count(kind)));
  for (auto& slot : slots_) {
    slot.reserve(parameters_.size());
    for (const at::Tensor& p : parameters_) slot.push_back(at::full_like(p, start));
  }
}

void Optimizer::restore(int64_t iterations, const std::vector<std::vector<at::Tensor>>& slots) {
  if (slots.size() != slots_.size()) {
    throw Error(ErrorCode::kModel, "the optimizer's saved state is of another optimizer");
  }
  for (size_t k = 0; k < slots.size(); ++k) {
    for (size_t i = 0; i < parameters_.size(); ++i) slots_[k][i].copy_(slots[k][i]);
  }
  iterations_ = iterations;
}

Optimizer::Scalars Optimizer::begin_step() {
  ++iterations_;
  const auto t = static_cast<double>(iterations_);
  const double lr = learning_rate_;
  const double debias1 = 1 - std::pow(kBeta1, t);
  const double debias2 = 1 - std::pow(kBeta2, t);
  switch (kind_) {
    case OptimizerKind::kAdam:
    case OptimizerKind::kAdamw:
      return {lr * std::sqrt(debias2) / debias1,
              kind_ == OptimizerKind::kAdamw ? 1 - kWeightDecay * lr : 1.0};
    case OptimizerKind::kAdamax:
      return {lr / debias1};
    case OptimizerKind::kNadam: {
      const NadamFactors factors = nadam_factors(iterations_);
      return {lr * factors.momentum, lr * factors.gradient, 1 / std::sqrt(debias2)};
    }
    default:
      return {lr};
  }
}

at::Tensor Optimizer::as_tensor(const Scalars& scalars) {
  at::Tensor tensor = at::empty({kScalars}, at::kFloat);
  std::transform(scalars.begin(), scalars.end(), tensor.mutable_data_ptr<float>(),
                 [](double value) { return static_cast<float>(value); });
  return tensor;
}

at::Tensor Optimizer::apply(const std::vector<Gradient>& given, const at::Tensor& scalars) {
  if (kernels_apply(given)) {
    return at::scalar_tensor(apply_by_kernels(given, scalars.const_data_ptr<float>()), at::kBool);
  }
  std::vector<at::Tensor> gradients;
  gradients.reserve(given.size());
  for (size_t i = 0; i < given.size(); ++i) gradients.push_back(given[i].whole(parameters_[i]));
  at::Tensor finite;
  {
    const ProfileScope scope(ProfileScope::kStep, "look for numbers that are not finite");
    finite = all_finite(gradients);
  }
  const ProfileScope scope(ProfileScope::kStep, "optimizer");
  if (!cuda::takes_step(parameters_, gradients)) {
    apply_by_aten(gradients, scalars);
    return finite;
  }
  const auto slot = [&](size_t k, size_t i) {
    return k < slots_.size() ? slots_[k][i] : at::Tensor();
  };
  for (size_t i = 0; i < parameters_.size(); ++i) {
    cuda::optimizer_step(kind_, parameters_[i], gradients[i], slot(0, i), slot(1, i), scalars);
  }
  return finite;
}

bool Optimizer::kernels_apply(const std::vector<Gradient>& gradients) const {
  if (!by_kernels_) return false;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const at::Tensor& p = parameters_[i];
    if (!p.is_cpu() || p.scalar_type() != at::kFloat || !p.is_non_overlapping_and_dense()) {
      return false;
    }
    if (gradients[i].rows != nullptr) {
      if (p.stride(0) * p.size(0) != p.numel()) return false;
      continue;
    }
    const at::Tensor& g = gradients[i].tensor;
    if (g.scalar_type() != at::kFloat || g.strides() != p.strides()) return false;
  }
  return true;
}

/// All accumulators and the parameter in one pass over memory, on the CPU. \return whether all
/// gradients were finite.
bool Optimizer::apply_by_kernels(const std::vector<Gradient>& gradients, const float* scalars) {
  /// A stretch of one parameter.
  struct Piece {
    size_t parameter;
    int64_t begin;
    int64_t count;
    int64_t before;  // values of all pieces in front of it
  };
  constexpr int64_t kPiece = 1 << 15;
  std::vector<Piece> pieces;
  int64_t values = 0;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const int64_t size = parameters_[i].numel();
    const RowwiseGradient* rows = gradients[i].rows;
    const int64_t piece =
        rows != nullptr ? rows->rows_at_once() * parameters_[i].stride(0) : kPiece;
    for (int64_t begin = 0; begin < size; begin += piece) {
      pieces.push_back({i, begin, std::min(piece, size - begin), values + begin});
    }
    values += size;
  }
  const auto f = [](double value) { return static_cast<float>(value); };
  const float a = scalars[0];
  const float b = scalars[1];
  const float c = scalars[2];
  const OptimizerKernels& k = kernels().optimizers;
  std::atomic<bool> finite{true};
  // Divided by values: pieces differ.
  at::parallel_for(0, values, kPiece, [&](int64_t first, int64_t last) {
    AlignedVector<float> taken;
    for (const Piece& piece : pieces) {
      if (piece.before < first || piece.before >= last) continue;
      const int64_t n = piece.count;
      float* p = parameters_[piece.parameter].mutable_data_ptr<float>() + piece.begin;
      const Gradient& gradient = gradients[piece.parameter];
      const float* g = nullptr;
      if (gradient.rows != nullptr) {
        const int64_t columns = parameters_[piece.parameter].stride(0);
        taken.resize(std::max(taken.size(), static_cast<size_t>(n)));
        std::vector<const float*> read{p};
        for (const auto& slot : slots_) {
          read.push_back(slot[piece.parameter].const_data_ptr<float>() + piece.begin);
        }
        gradient.rows->take_rows(piece.begin / columns, (piece.begin + n) / columns, taken.data(),
                                 read);
        g = taken.data();
      } else {
        g = gradient.tensor.const_data_ptr<float>() + piece.begin;
      }
      const auto slot = [&](size_t index) {
        return slots_[index][piece.parameter].mutable_data_ptr<float>() + piece.begin;
      };
      const auto update = [&] {
        switch (kind_) {
          case OptimizerKind::kSgd:
            return k.sgd(p, g, n, a);
          case OptimizerKind::kRmsprop:
            return k.rmsprop(p, g, slot(0), n, a, f(kRho), f(kEpsilon));
          case OptimizerKind::kAdagrad:
            return k.adagrad(p, g, slot(0), n, a, f(kEpsilon));
          case OptimizerKind::kAdadelta:
            return k.adadelta(p, g, slot(0), slot(1), n, a, f(kAdadeltaRho), f(kEpsilon));
          case OptimizerKind::kAdam:
          case OptimizerKind::kAdamw:
            return k.adam(p, g, slot(0), slot(1), n, a, f(kBeta1), f(kBeta2), f(kEpsilon), b);
          case OptimizerKind::kAdamax:
            return k.adamax(p, g, slot(0), slot(1), n, a, f(kBeta1), f(kBeta2), f(kEpsilon));
          case OptimizerKind::kNadam:
            return k.nadam(p, g, slot(0), slot(1), n, a, b, c, f(kBeta1), f(kBeta2), f(kEpsilon));
        }
        return false;
      };
      if (!update()) finite.store(false, std::memory_order_relaxed);
    }
  });
  return finite.load(std::memory_order_relaxed);
}

void Optimizer::apply_by_aten(const std::vector<at::Tensor>& g, const at::Tensor& scalars) {
  const at::TensorList p(parameters_);
  const at::Tensor a = scalars[0];
  // p −= a·g/√(v + ε)
  const auto descend = [&](std::vector<at::Tensor>& v) {
    auto root = at::_foreach_add(v, kEpsilon);
    at::_foreach_sqrt_(root);
    auto change = at::_foreach_div(g, root);
    at::_foreach_mul_(change, a);
    at::_foreach_sub_(p, change);
  };
  switch (kind_) {
    case OptimizerKind::kSgd: {
      const auto change = at::_foreach_mul(g, a);
      at::_foreach_sub_(p, change);
      return;
    }
    case OptimizerKind::kRmsprop: {
      auto& v = slots_[0];
      at::_foreach_mul_(v, kRho);
      at::_foreach_addcmul_(v, g, g, 1 - kRho);
      return descend(v);
    }
    case OptimizerKind::kAdagrad: {
      auto& v = slots_[0];
      at::_foreach_addcmul_(v, g, g, 1);
      return descend(v);
    }
    case OptimizerKind::kAdadelta: {
      auto& v = slots_[0];
      auto& d = slots_[1];
      at::_foreach_mul_(v, kAdadeltaRho);
      at::_foreach_addcmul_(v, g, g, 1 - kAdadeltaRho);
      auto delta = at::_foreach_add(d, kEpsilon);
      at::_foreach_sqrt_(delta);
      auto rms = at::_foreach_add(v, kEpsilon);
      at::_foreach_sqrt_(rms);
      at::_foreach_mul_(delta, g);
      at::_foreach_div_(delta, rms);
      at::_foreach_mul_(d, kAdadeltaRho);
      at::_foreach_addcmul_(d, delta, delta, 1 - kAdadeltaRho);
      at::_foreach_mul_(delta, a);
      at::_foreach_sub_(p, delta);
      return;
    }
    case OptimizerKind::kAdam:
    case OptimizerKind::kAdamw: {
      if (kind_ == OptimizerKind::kAdamw) at::_foreach_mul_(p, scalars[1]);
      auto& m = slots_[0];
      auto& v = slots_[1];
      at::_foreach_lerp_(m, g, 1 - kBeta1);
      at::_foreach_mul_(v, kBeta2);
      at::_foreach_addcmul_(v, g, g, 1 - kBeta2);
      auto root = at::_foreach_sqrt(v);
      at::_foreach_add_(root, kEpsilon);
      auto change = at::_foreach_div(m, root);
      at::_foreach_mul_(change, a);
      at::_foreach_sub_(p, change);
      return;
    }
    case OptimizerKind::kAdamax: {
      auto& m = slots_[0];
      auto& u = slots_[1];
      at::_foreach_lerp_(m, g, 1 - kBeta1);
      at::_foreach_mul_(u, kBeta2);
      const auto magnitude = at::_foreach_abs(g);
      at::_foreach_maximum_(u, magnitude);
      auto denominator = at::_foreach_add(u, kEpsilon);
      auto change = at::_foreach_div(m, denominator);
      at::_foreach_mul_(change, a);
      at::_foreach_sub_(p, change);
      return;
    }
    case OptimizerKind::kNadam: {
      auto& m = slots_[0];
      auto& v = slots_[1];
      at::_foreach_lerp_(m, g, 1 - kBeta1);
      at::_foreach_mul_(v, kBeta2);
      at::_foreach_addcmul_(v, g, g, 1 - kBeta2);
      auto root = at::_foreach_sqrt(v);
      at::_foreach_mul_(root, scalars[2]);
      at::_foreach_add_(root, kEpsilon);
      auto change = at::_foreach_mul(m, a);
      const auto fresh = at::_foreach_mul(g, scalars[1]);
      at::_foreach_add_(change, fresh);
      at::_foreach_div_(change, root);
      at::_foreach_sub_(p, change);
      return;
    }
  }
}

at::Tensor all_finite(const std::vector<at::Tensor>& tensors) {
  // The greatest magnitude of a tensor is infinite or NaN if any element is.
  const auto greatest = at::_foreach_norm(tensors, std::numeric_limits<double>::infinity());
  return at::isfinite(at::stack(greatest)).all();
}

}  // namespace flexae

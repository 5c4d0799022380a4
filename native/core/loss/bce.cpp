#include "core/loss/bce.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <numeric>
#include <type_traits>
#include <vector>

#include "core/base/parallel.h"
#include "core/cpu/kernels/kernels.h"
#include "core/cuda/passes.h"
#include "core/tensor/scratch_buffer.h"

namespace flexae {
namespace {

/// A stretch of an image, all of it in the first caches: what is deferred is finished, the loss
/// taken, the gradient narrowed.
template <typename T>
class Stretch {
 public:
  Stretch(const DeferredBatchNorm* norm, float factor)
      : norm_(norm),
        factor_(factor),
        // Whole runs of the kernel, whose sums are then the same as in one piece, and whole pixels.
        size_(std::lcm(kRun, norm != nullptr ? norm->period() : 1)) {}

  /// `grad` may be null; `sums` as LossKernels::bce has them.
  template <typename Target>
  void image(const T* logits, const Target* target, T* grad, int64_t pixels, double* sums) {
    memory_.resize(static_cast<size_t>(3 * size_));
    for (int64_t begin = 0; begin < pixels; begin += size_) {
      const int64_t count = std::min(size_, pixels - begin);
      float* g = grad != nullptr ? gradients(grad + begin) : nullptr;
      kernels().loss.bce(finished(logits + begin, count), targets(target + begin, count), g, count,
                         factor_, sums);
      if constexpr (!std::is_same_v<T, float>) {
        if (grad != nullptr) kernels_of<T>().elementwise.store(g, grad + begin, count);
      }
    }
  }

 private:
  static constexpr int64_t kRun = 2048;

  float* memory(int64_t part) { return memory_.data() + part * size_; }

  const float* finished(const T* logits, int64_t count) {
    if constexpr (std::is_same_v<T, float>) {
      if (norm_ == nullptr) return logits;
    }
    norm_->apply(logits, memory(0), count);
    return memory(0);
  }
  static const float* targets(const float* target, int64_t /*count*/) { return target; }
  const float* targets(const uint8_t* target, int64_t count) {
    kernels().images.scale_bytes(target, memory(1), count);
    return memory(1);
  }
  float* gradients(T* grad) {
    if constexpr (std::is_same_v<T, float>) {
      return grad;
    } else {
      return memory(2);
    }
  }

  const DeferredBatchNorm* norm_;
  float factor_;
  int64_t size_;
  std::vector<float> memory_;
};

/// How many values the batch's mean is over.
double values_of(const at::Tensor& logits, int64_t whole) {
  int64_t values = logits.numel();
  if (whole > 0) {
    values = whole;
    for (int64_t i = 1; i < logits.dim(); ++i) values *= logits.size(i);
  }
  return static_cast<double>(values);
}

/// Σ BCE, pixels right, Σ squared error, and the gradient, in one pass over each image.
template <typename T, typename Target>
at::Tensor sums_on_cpu(const Activations& logits, const at::Tensor& target, at::Tensor* grad,
                       double count) {
  const at::Tensor& stored = logits.stored();
  const int64_t images = stored.size(0);
  const int64_t pixels = stored.numel() / std::max<int64_t>(images, 1);
  T* g = nullptr;
  if (grad != nullptr) {
    *grad = at::empty_like(stored);
    g = mutable_values<T>(*grad);
    if (logits.norm() != nullptr) *grad = grad->permute({0, 3, 1, 2});
  }
  const T* z = values<T>(stored);
  const auto* t = target.const_data_ptr<Target>();
  const auto factor = static_cast<float>(1.0 / count);
  std::vector<Stretch<T>> stretches(static_cast<size_t>(at::get_num_threads()),
                                    Stretch<T>(logits.norm(), factor));
  std::vector<double> sums(static_cast<size_t>(images) * 3, 0.0);
  parallel_for(images, [&](int64_t n, int thread) {
    stretches[static_cast<size_t>(thread)].image(z + n * pixels, t + n * pixels,
                                                 g != nullptr ? g + n * pixels : nullptr, pixels,
                                                 sums.data() + 3 * n);
  });
  at::Tensor total = at::zeros({3}, at::kDouble);
  // In the images' order, so that the threads' number does not change the last digit.
  for (size_t i = 0; i < sums.size(); ++i) total.mutable_data_ptr<double>()[i % 3] += sums[i];
  return total;
}

/// On a CPU, each image while it is in a thread's cache. Undefined where the kernels do not take
/// such values.
at::Tensor sums_by_kernels(const Activations& logits, const Activations& target, at::Tensor* grad,
                           double count) {
  const at::Tensor& z = logits.stored();
  const at::Tensor& t = target.stored();
  if (!z.is_cpu() || z.dim() == 0 || target.norm() != nullptr) return {};
  if (logits.norm() == nullptr) {
    const bool plain = z.scalar_type() == at::kFloat && t.scalar_type() == at::kFloat &&
                       z.strides() == t.strides() && z.is_non_overlapping_and_dense();
    return plain ? sums_on_cpu<float, float>(logits, t, grad, count) : at::Tensor();
  }
  // Both as N×H×W×C.
  const at::Tensor pixels = target.is_bytes() ? t : t.permute({0, 2, 3, 1});
  if (!pixels.is_contiguous()) return {};
  const bool narrow = z.scalar_type() == at::kBFloat16;
  if (target.is_bytes()) {
    return narrow ? sums_on_cpu<Bf16, uint8_t>(logits, pixels, grad, count)
                  : sums_on_cpu<float, uint8_t>(logits, pixels, grad, count);
  }
  if (t.scalar_type() != at::kFloat) return {};
  return narrow ? sums_on_cpu<Bf16, float>(logits, pixels, grad, count)
                : sums_on_cpu<float, float>(logits, pixels, grad, count);
}

/// On any device, of fp32 or of what a GPU has.
at::Tensor sums_by_aten(const at::Tensor& logits, const at::Tensor& target, at::Tensor* grad,
                        double count) {
  const at::Tensor p = at::sigmoid(logits);
  const at::Tensor bce =
      at::binary_cross_entropy_with_logits(logits, target, {}, {}, at::Reduction::None);
  const at::Tensor error = p - target;
  // Keras rounds at "greater than one half".
  const at::Tensor right = at::eq(at::gt(p, 0.5).to(target.scalar_type()), target);
  if (grad != nullptr) *grad = error / count;
  return at::stack(
      {bce.sum(at::kDouble), right.sum().to(at::kDouble), error.square().sum(at::kDouble)});
}

at::Tensor sums(const Activations& logits, const Activations& target, at::Tensor* grad,
                int64_t whole) {
  const double count = values_of(logits.stored(), whole);
  at::Tensor sums = sums_by_kernels(logits, target, grad, count);
  if (sums.defined()) return sums;
  if (cuda::takes_loss(logits.materialize())) {
    return cuda::binary_cross_entropy(logits.materialize(), target.materialize(), grad, count);
  }
  // In fp32 both.
  const at::Tensor z = logits.materialize().to(at::kFloat);
  const Activations finished(z);
  const Activations images(target.materialize());
  sums = sums_by_kernels(finished, images, grad, count);
  return sums.defined() ? sums : sums_by_aten(z, images.stored(), grad, count);
}

at::Tensor bce_of_images(const at::Tensor& logits, const at::Tensor& target) {
  const at::Tensor bce =
      at::binary_cross_entropy_with_logits(logits, target, {}, {}, at::Reduction::None);
  return bce.flatten(1).mean(1, /*keepdim=*/false, at::kDouble);
}

}  // namespace

const Loss kBinaryCrossEntropy{
    .output = Activation::kSigmoid, .of_batch = sums, .of_images = bce_of_images};

}  // namespace flexae

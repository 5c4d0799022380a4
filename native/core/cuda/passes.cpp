#include "core/cuda/passes.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <string>

#include "core/base/math.h"
#include "core/cuda/runtime.h"

namespace flexae::cuda {
namespace {

constexpr unsigned kBlock = 256;

void* data_or_null(const at::Tensor& tensor) {
  return tensor.defined() ? tensor.data_ptr() : nullptr;
}

/// Whether both have their values in the same order in memory, without gaps.
bool laid_out_alike(const at::Tensor& a, const at::Tensor& b) {
  if (!a.is_non_overlapping_and_dense() || !b.is_non_overlapping_and_dense()) return false;
  for (int64_t d = 0; d < a.dim(); ++d) {
    // The stride of a dimension of one says nothing.
    if (a.size(d) > 1 && a.stride(d) != b.stride(d)) return false;
  }
  return true;
}

}  // namespace

unsigned pass_blocks(int64_t count) {
  constexpr int64_t kValuesAThread = 8;
  constexpr int64_t kMostBlocks = 132 * 8;
  return static_cast<unsigned>(
      std::clamp<int64_t>(ceil_div(count, kBlock * kValuesAThread), 1, kMostBlocks));
}

bool takes_loss(const at::Tensor& logits) {
  const bool type = logits.scalar_type() == at::kFloat || logits.scalar_type() == at::kBFloat16;
  return logits.is_cuda() && type && problem().empty();
}

at::Tensor binary_cross_entropy(const at::Tensor& logits, const at::Tensor& target,
                                at::Tensor* grad, double count) {
  const at::Tensor z = logits.contiguous(at::MemoryFormat::ChannelsLast);
  const at::Tensor t = target.to(at::kFloat).contiguous(at::MemoryFormat::ChannelsLast);
  if (grad != nullptr) *grad = at::empty_like(z);
  const bool narrow = z.scalar_type() == at::kBFloat16;
  const Program program =
      Program::get("loss", {std::string("STORAGE_BF16=") + (narrow ? "1" : "0")});
  const unsigned blocks = pass_blocks(z.numel());
  const at::Tensor partials =
      at::empty({blocks, 3}, at::TensorOptions().dtype(at::kFloat).device(z.device()));
  send(program, "bce", {blocks, 1, 1}, kBlock, z, t, grad != nullptr ? grad->data_ptr() : nullptr,
       static_cast<long long>(z.numel()), static_cast<float>(1.0 / count), partials);
  return partials.sum(0, /*keepdim=*/false, at::kDouble);
}

bool takes_step(const std::vector<at::Tensor>& parameters,
                const std::vector<at::Tensor>& gradients) {
  if (parameters.empty() || !parameters.front().is_cuda() || !problem().empty()) return false;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const at::Tensor& p = parameters[i];
    const at::Tensor& g = gradients[i];
    if (p.scalar_type() != at::kFloat || g.scalar_type() != at::kFloat || !laid_out_alike(p, g)) {
      return false;
    }
  }
  return true;
}

void optimizer_step(OptimizerKind kind, const at::Tensor& parameter, const at::Tensor& gradient,
                    const at::Tensor& slot0, const at::Tensor& slot1, const at::Tensor& scalars) {
  const Program program = Program::get(
      "optimizer", {"STORAGE_BF16=0", "OPTIMIZER=" + std::to_string(static_cast<int>(kind))});
  send(program, "optimizer_step", {pass_blocks(parameter.numel()), 1, 1}, kBlock, parameter,
       gradient, data_or_null(slot0), data_or_null(slot1),
       static_cast<long long>(parameter.numel()), scalars);
}

}  // namespace flexae::cuda

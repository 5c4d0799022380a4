#include "core/train/reconstructions.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "core/layers/activation.h"
#include "core/loss/loss.h"
#include "core/tensor/scale_images.h"

namespace flexae {
namespace {

constexpr int64_t kSide = 128;
/// Of the time between two, the share that one may take is the inverse.
constexpr int kRarity = 200;
/// Nobody looks more often.
constexpr auto kLeast = std::chrono::milliseconds(250);

/// Images in [0, 1], N×C×H×W, as bytes N×H×W×C on the host, made smaller by averaging.
at::Tensor to_report(at::Tensor images) {
  const int64_t height = images.size(2);
  const int64_t width = images.size(3);
  const int64_t longer = std::max(height, width);
  if (longer > kSide) {
    const auto smaller = [&](int64_t side) {
      return std::max<int64_t>(1, (side * kSide + longer / 2) / longer);
    };
    images = at::adaptive_avg_pool2d(images, {smaller(height), smaller(width)});
  }
  return images.clamp(0, 1).mul(255).round().to(at::kByte).permute({0, 2, 3, 1}).contiguous().cpu();
}

}  // namespace

Reconstructions::Reconstructions(int64_t count, int64_t size)
    : count_(static_cast<size_t>(std::min(count, size))), size_(size) {}

void Reconstructions::offer(const at::Tensor& images, const std::vector<int64_t>& indices) {
  if (is_closed_) return;
  for (size_t row = 0; row < indices.size() && kept_.size() < count_; ++row) {
    // The middle of its share of the set: a folder's first images are often alike.
    const auto place = static_cast<int64_t>(2 * kept_.size() + 1);
    const int64_t wanted = place * size_ / static_cast<int64_t>(2 * count_);
    if (indices[row] >= wanted) kept_.push_back(images[static_cast<int64_t>(row)].clone());
  }
}

std::optional<ReconstructionReport> Reconstructions::after_epoch(int64_t epoch, bool is_last,
                                                                 Autoencoder& model) {
  const auto begin = Clock::now();
  if (kept_.empty() || (due_ && begin < *due_ && !is_last)) return std::nullopt;
  const at::Tensor images = to_images(at::stack(kept_));
  if (!originals_.defined()) originals_ = to_report(images);
  const at::Tensor logits = model.decode(model.encode(images)).to(at::kFloat);
  ReconstructionReport report{epoch, originals_,
                              to_report(activate(logits, loss_of(model.config()).output))};
  const auto end = Clock::now();
  due_ = end + std::max<Clock::duration>(kLeast, kRarity * (end - begin));
  return report;
}

}  // namespace flexae

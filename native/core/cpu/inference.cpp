#include "core/cpu/inference.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <cstdint>

namespace flexae {
namespace {

/// Bytes of a layer's outputs that a thread has at a time: about a second-level cache.
constexpr int64_t kBytesAtOnce = int64_t{1} << 20;
constexpr int64_t kImagesAtOnce = 32;

}  // namespace

at::Tensor infer(const std::vector<Layer*>& layers, const at::Tensor& images) {
  const int64_t count = images.size(0);
  const Shape& shape = layers.back()->spec().out;
  at::Tensor out = at::empty({count, shape.h, shape.w, shape.c}, at::kFloat);
  if (count == 0) return out;

  // Planes are interleaved where an image gets its border: ATen is slow at that.
  const bool planar = images.dim() == 4 && images.size(1) == 3 && images.is_contiguous() &&
                      layers.front()->takes_planes();
  const at::Tensor in = images.dim() == 4 && !planar
                            ? images.contiguous(at::MemoryFormat::ChannelsLast)
                            : images.contiguous();
  const int64_t in_size = in.numel() / count;
  int64_t between = 0;
  for (size_t i = 0; i + 1 < layers.size(); ++i) {
    between = std::max(between, layers[i]->spec().out.numel());
  }
  const int64_t group = std::clamp<int64_t>(
      kBytesAtOnce / std::max<int64_t>(between * int64_t{sizeof(float)}, 1), 1, kImagesAtOnce);

  for (Layer* layer : layers) layer->prepare_inference(at::get_num_threads());
  const auto* from = in.const_data_ptr<float>();
  auto* to = out.mutable_data_ptr<float>();
  at::parallel_for(0, count, 1, [&](int64_t begin, int64_t end) {
    const int thread = at::get_thread_num();
    const at::Tensor memory = at::empty({2, group * between}, at::kFloat);
    const std::array buffers{memory.mutable_data_ptr<float>(),
                             memory.mutable_data_ptr<float>() + group * between};
    for (int64_t first = begin; first < end; first += group) {
      const int64_t images_now = std::min(group, end - first);
      const float* source = from + first * in_size;
      for (size_t i = 0; i < layers.size(); ++i) {
        const bool last = i + 1 == layers.size();
        float* target = last ? to + first * shape.numel() : buffers[i % 2];
        if (planar && i == 0) {
          layers[i]->infer_planes(source, images_now, target, thread);
        } else {
          layers[i]->infer(source, images_now, target, thread);
        }
        source = target;
      }
    }
  });
  return out;
}

}  // namespace flexae

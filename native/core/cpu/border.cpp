#include "core/cpu/border.h"

#include <algorithm>
#include <type_traits>

#include "core/layers/kinds.h"

namespace flexae {

template <typename T>
Border<T>::Border(const LayerSpec& conv, const Shape& in, bool upsampled)
    : transposed_(conv.is(kinds::kConvTranspose)), in_(in), image_(transposed_ ? conv.out : in) {
  const Shape& grid = transposed_ ? in : conv.out;
  geometry_.grid_h = grid.h;
  geometry_.grid_w = grid.w;
  geometry_.grid_channels = grid.c;
  geometry_.channels = image_.c;
  geometry_.kernel = conv.kernel;
  geometry_.stride = conv.stride;
  if (transposed_) {
    top_ = left_ = same_transpose_crop(conv.kernel, conv.stride);
  } else {
    top_ = same_padding(in.h, conv.kernel, conv.stride)[0];
    left_ = same_padding(in.w, conv.kernel, conv.stride)[0];
  }
  if (upsampled) {
    shift_ = conv.stride;
    geometry_.stride = 2 * conv.stride;
    geometry_.lead = std::max<int64_t>(shift_ - top_, 0);
    top_ += geometry_.lead;
    left_ += geometry_.lead;
  }
  const auto bordered = [&](int64_t cells, int64_t pixels, int64_t before) {
    return std::max(geometry_.lead + (cells - 1) * geometry_.stride + geometry_.kernel,
                    before + pixels);
  };
  geometry_.image_h = bordered(grid.h, image_.h, top_);
  geometry_.image_w = bordered(grid.w, image_.w, left_);
}

template <typename T>
int64_t Border<T>::inputs_size(int64_t count) const {
  const int64_t numel = transposed_ ? geometry_.grid_numel() : geometry_.numel();
  return count * numel + geometry_.slack();
}

namespace {

void scale_bytes(const uint8_t* bytes, float* to, int64_t count, ScratchBuffer<float>& /*line*/) {
  kernels().images.scale_bytes(bytes, to, count);
}
void scale_bytes(const uint8_t* bytes, Bf16* to, int64_t count, ScratchBuffer<float>& line) {
  float* wide = line.get(count);
  kernels().images.scale_bytes(bytes, wide, count);
  kernels().bf16.elementwise.store(wide, to, count);
}

}  // namespace

template <typename T>
template <typename In>
void Border<T>::insert(const In* images, int64_t count, T* bordered, ScratchBuffer<float>& line,
                       const DeferredBatchNorm* norm) const {
  const int64_t numel = transposed_ ? geometry_.grid_numel() : geometry_.numel();
  const int64_t stride = transposed_ ? geometry_.grid_line() : geometry_.line();
  const int64_t start = transposed_ ? geometry_.grid_start() : image_line(0);
  const int64_t values = in_.w * in_.c;
  for (int64_t i = 0; i < count; ++i) {
    T* to = bordered + i * numel + start;
    for (int64_t y = 0; y < in_.h; ++y, images += values, to += stride) {
      if constexpr (std::is_same_v<In, uint8_t>) {
        scale_bytes(images, to, values, line);
      }
      if constexpr (std::is_same_v<In, float>) {
        if (norm == nullptr) {
          kernels_of<T>().elementwise.store(images, to, values);
          continue;
        }
      }
      if constexpr (std::is_same_v<In, T>) {
        if (norm == nullptr) {
          std::copy_n(images, values, to);
        } else {
          norm->apply(images, to, values);
        }
      }
    }
  }
}

template <typename T>
void Border<T>::insert_planes(const float* images, int64_t count, T* bordered,
                              ScratchBuffer<float>& line) const {
  float* wide = line.get(3 * in_.w);
  for (int64_t i = 0; i < count; ++i, images += in_.numel()) {
    T* to = bordered + i * geometry_.numel() + image_line(0);
    for (int64_t y = 0; y < in_.h; ++y, to += geometry_.line()) {
      float* pixels = wide;
      if constexpr (std::is_same_v<T, float>) pixels = to;
      kernels().images.interleave(images + y * in_.w, in_.h * in_.w, in_.w, pixels);
      if constexpr (!std::is_same_v<T, float>) {
        kernels_of<T>().elementwise.store(wide, to, 3 * in_.w);
      }
    }
  }
}

template <typename T>
template <typename O>
void Border<T>::remove(const float* bordered, int64_t count, O* images) const {
  const int64_t line = image_.w * image_.c;
  for (int64_t i = 0; i < count; ++i, bordered += geometry_.numel()) {
    for (int64_t y = 0; y < image_.h; ++y, images += line) {
      const float* from = bordered + image_line(y);
      if (shift_ == 0) {
        kernels_of<O>().elementwise.store(from, images, line);
      } else {
        const float* left = from - shift_ * image_.c;
        kernels_of<O>().elementwise.add_four_of_wide(left - shift_ * geometry_.line(), left, images,
                                                     line, shift_ * image_.c);
      }
    }
  }
}

template <typename T>
void Border<T>::add_copies(const T* apart, T* bordered) const {
  const int64_t line = apart_line();
  for (int64_t y = 0; y < image_.h + shift_; ++y) {
    kernels_of<T>().elementwise.add_four(apart + y * line, apart + (y + shift_) * line,
                                         bordered + image_line(y - shift_) - shift_ * image_.c,
                                         (image_.w + shift_) * image_.c, shift_ * image_.c);
  }
}

template class Border<float>;
template class Border<Bf16>;
template void Border<float>::insert(const uint8_t*, int64_t, float*, ScratchBuffer<float>&,
                                    const DeferredBatchNorm*) const;
template void Border<float>::insert(const float*, int64_t, float*, ScratchBuffer<float>&,
                                    const DeferredBatchNorm*) const;
template void Border<Bf16>::insert(const uint8_t*, int64_t, Bf16*, ScratchBuffer<float>&,
                                   const DeferredBatchNorm*) const;
template void Border<Bf16>::insert(const float*, int64_t, Bf16*, ScratchBuffer<float>&,
                                   const DeferredBatchNorm*) const;
template void Border<Bf16>::insert(const Bf16*, int64_t, Bf16*, ScratchBuffer<float>&,
                                   const DeferredBatchNorm*) const;
template void Border<float>::remove(const float*, int64_t, float*) const;
template void Border<Bf16>::remove(const float*, int64_t, float*) const;
template void Border<Bf16>::remove(const float*, int64_t, Bf16*) const;

}  // namespace flexae

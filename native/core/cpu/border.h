#pragma once

#include <cstdint>

#include "core/cpu/conv_geometry.h"
#include "core/cpu/kernels/kernels.h"
#include "core/spec/layer_spec.h"
#include "core/tensor/activations.h"
#include "core/tensor/scratch_buffer.h"

namespace flexae {

/// How the windows of a convolution or transposed convolution lie over its image, where the image
/// begins in its border of zeros, and how images get into their borders and out of them. The image
/// is the input of a convolution, the raw output of a transposed one. An upsampling in front of a
/// transposed convolution holds each pixel twice, in the result a stride apart: so windows are a
/// double stride apart, and the result is added to itself, shifted by a stride, in columns and in
/// rows. That is a quarter of the multiplications of what it replaces. T: what factors are stored
/// as.
template <typename T>
class Border {
 public:
  Border() = default;
  /// `in`: what `conv` takes, or the smaller image that is `upsampled` for it.
  Border(const LayerSpec& conv, const Shape& in, bool upsampled);

  [[nodiscard]] const ConvGeometry& geometry() const { return geometry_; }
  /// Takes the borders that products want, which are as wide or wider.
  void widen(const ConvGeometry& geometry) { geometry_ = geometry; }

  /// What the windows lie over, without its border.
  [[nodiscard]] const Shape& image() const { return image_; }
  /// Where line `y` of the image begins in its border.
  [[nodiscard]] int64_t image_line(int64_t y) const {
    return (top_ + y) * geometry_.line() + left_ * image_.c;
  }

  /// Values of `count` inputs in their borders, with what a product may read behind them.
  [[nodiscard]] int64_t inputs_size(int64_t count) const;

  /// Puts `count` inputs into their borders, normalized and activated first if `norm` is not null.
  /// In is uint8_t, for values in [0, 1], float or T. `line`: memory of the thread.
  template <typename In>
  void insert(const In* images, int64_t count, T* bordered, ScratchBuffer<float>& line,
              const DeferredBatchNorm* norm = nullptr) const;
  /// The same of images of three planes, into a convolution's borders.
  void insert_planes(const float* images, int64_t count, T* bordered,
                     ScratchBuffer<float>& line) const;

  /// The images out of their borders, of an upsampled input the sums of four pixels a shift apart.
  template <typename O>
  void remove(const float* bordered, int64_t count, O* images) const;

  /// Whether remove() adds up, and its gradient therefore goes by add_copies().
  [[nodiscard]] bool adds_copies() const { return shift_ != 0; }
  /// An image between borders a shift wide: its values, between its lines, and where it begins.
  [[nodiscard]] int64_t apart_size() const { return (image_.h + 2 * shift_) * apart_line(); }
  [[nodiscard]] int64_t apart_line() const { return (image_.w + 2 * shift_) * image_.c; }
  [[nodiscard]] int64_t apart_start() const { return shift_ * (apart_line() + image_.c); }
  /// What remove() makes of one image, backwards: adds the gradient `apart`, in such borders of
  /// zeros, up where the copies of its pixels came from.
  void add_copies(const T* apart, T* bordered) const;

 private:
  bool transposed_ = false;
  Shape in_;
  Shape image_;
  int64_t top_ = 0;
  int64_t left_ = 0;
  int64_t shift_ = 0;  ///< Between the copies of an upsampled pixel; 0 without an upsampling.
  ConvGeometry geometry_;
};

}  // namespace flexae

#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace flexae::cuda {

/// Convolutions between images of few channels and cells of many, by kernels of our own
/// (kernels/narrow.cu.h): cell (y, x) stands under the taps (ty, tx) of the pixels
/// (y·stride + ty − pad_y, x·stride + tx − pad_x). forward() makes
/// cells of an image and backward_data() an image of cells; a transposed convolution takes the two
/// the other way round.
///
/// Images and cells are N×C×H×W in channels_last, bf16 or fp32, on a GPU; weights fp32
/// cells×channels×kernel×kernel, in whatever memory format. Tensors are made contiguous where they
/// are not.
class NarrowConv {
 public:
  /// Whether there are kernels for such a convolution: few channels, cells that fill vectors.
  static bool takes(int64_t kernel, int64_t stride, int64_t channels, int64_t cells);

  /// For what takes() takes. `pad_y`, `pad_x`: of the first line and column alone.
  NarrowConv(int64_t kernel, int64_t stride, int64_t channels, int64_t cells, int64_t pad_y,
             int64_t pad_x)
      : kernel_(kernel),
        stride_(stride),
        channels_(channels),
        cells_(cells),
        pad_y_(pad_y),
        pad_x_(pad_x) {}

  /// \return cells N×cells×rows×columns; pixels outside of the image are zero.
  [[nodiscard]] at::Tensor forward(const at::Tensor& image, const at::Tensor& weight, int64_t rows,
                                   int64_t columns) const;
  /// \return an image N×channels×height×width
  [[nodiscard]] at::Tensor backward_data(const at::Tensor& cells, const at::Tensor& weight,
                                         int64_t height, int64_t width) const;
  /// \return Σ image·cells, fp32, of the weight's shape, in channels_last
  [[nodiscard]] at::Tensor backward_weights(const at::Tensor& image, const at::Tensor& cells) const;

  /// How the kernels are made and launched; what the tests launch, too.
  struct Launch {
    std::array<unsigned, 3> grid;
    unsigned block;
    int64_t tiles;
  };
  [[nodiscard]] Launch forward_launch(int64_t n, int64_t rows, int64_t columns, bool bf16) const;
  [[nodiscard]] Launch backward_data_launch(int64_t n, int64_t blocks_y, int64_t blocks_x,
                                            bool bf16) const;
  [[nodiscard]] Launch backward_weights_launch(int64_t n, int64_t rows, int64_t columns,
                                               bool bf16) const;
  [[nodiscard]] int64_t weights() const { return kernel_ * kernel_ * channels_ * cells_; }
  /// Groups of stride×stride pixels that cover `size` pixels behind `pad` others.
  [[nodiscard]] int64_t blocks(int64_t size, int64_t pad) const {
    return (size + pad + stride_ - 1) / stride_;
  }

 private:
  [[nodiscard]] std::vector<std::string> macros(bool bf16) const;
  [[nodiscard]] int64_t vector(bool bf16) const { return bf16 && cells_ % 8 == 0 ? 8 : 4; }

  int64_t kernel_, stride_, channels_, cells_, pad_y_, pad_x_;
};

}  // namespace flexae::cuda

#pragma once

#include <cstdint>
#include <vector>

#include "core/float_buffer.h"
#include "core/precision.h"
#include "core/windows.h"

namespace flexae {

/// The three products between a grid and the windows of images with their borders, on a CPU. A
/// convolution gathers forward and scatters its input's gradient, a transposed convolution the
/// other way round. Every method is for several threads at a time, each with its own `thread` below
/// what prepare() was told.
class Convolution {
 public:
  Convolution() = default;
  /// With a weight of grid_channels × windows.size() values.
  Convolution(const Windows& windows, int64_t grid_channels)
      : windows_(windows), grid_channels_(grid_channels) {}

  /// Takes the weight over, which must stay where it is. Not for several threads.
  void prepare(const float* weight, Precision precision, int threads);
  /// Must precede gather(), after prepare(). Not for several threads.
  void prepare_gather();

  /// Cells [begin, end) of the grid = windows · weightᵀ. In fp32 the windows are read where they
  /// lie, each line of them one stretch, and the sums stay in registers.
  void gather(const float* images, int64_t begin, int64_t end, float* grid, int thread);

  /// `count` whole images = the sum of all windows of grid · weight; zero where there is none.
  void scatter(const float* grid, int64_t count, float* images, int thread);

  /// Values of the sums of a weight gradient.
  [[nodiscard]] int64_t sums_size() const;
  /// Adds windowsᵀ · grid of `count` images to sums. In fp32 the windows are read where they lie,
  /// as by gather().
  void add_weight_gradient(const float* grid, const float* images, int64_t count, float* sums,
                           int thread);
  /// The gradient, in the weight's layout, from such sums. Not for several threads.
  void store_weight_gradient(const float* sums, float* gradient) const;

 private:
  struct Scratch {
    FloatBuffer windows;                       // unfolded windows of a tile
    FloatBuffer grid;                          // cells with their channels rounded up
    std::vector<uint16_t> narrow_a, narrow_b;  // factors of a product as bf16
  };

  /// A factor of a product as it is stored: `count` values in rows of `ld`.
  struct Factor {
    const float* data;
    int64_t ld;
    int64_t count;
    const uint16_t* bf16 = nullptr;  ///< the same in bf16, if it is there already
  };

  void multiply(int thread, bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k,
                const Factor& a, const Factor& b, float beta, float* c, int64_t ldc);
  [[nodiscard]] Factor weight_factor() const;
  [[nodiscard]] Factor windows_factor(const float* rows, int64_t cells) const;
  [[nodiscard]] Factor grid_factor(const float* grid, int64_t cells) const;
  void gather_in_place(const float* images, int64_t begin, int64_t end, float* grid) const;
  void add_weight_gradient_in_place(const float* grid, const float* images, int64_t count,
                                    float* sums, int thread);
  /// grid_channels in whole registers: between the rows of the sums of a weight gradient.
  [[nodiscard]] int64_t rounded_channels() const;
  /// Calls body(begin, end, rows) for tiles of the cells [begin, end), with memory for their
  /// windows.
  template <typename Body>
  void for_each_tile(int64_t begin, int64_t end, int thread, Body body);

  template <typename Body>
  void for_each_block(const float* images, int64_t begin, int64_t end, Body body) const;

  Windows windows_;
  int64_t grid_channels_ = 0;
  Precision precision_ = Precision::kFp32;
  const float* weight_ = nullptr;
  std::vector<float> packed_;
  std::vector<uint16_t> narrow_weight_;
  std::vector<Scratch> scratch_;
};

}  // namespace flexae

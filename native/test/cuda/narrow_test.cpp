#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <limits>
#include <tuple>

#include "core/base/math.h"
#include "core/cuda/host_threads.h"
#include "core/cuda/narrow_conv.h"

// The kernels of narrow.cu.h as plain C++, for some of what they are made for.

namespace flexae::cuda {
namespace {

using host_threads::launch;

at::Tensor poisoned(at::IntArrayRef sizes, at::ScalarType type) {
  return at::full(sizes, std::numeric_limits<double>::quiet_NaN(), type);
}

double distance(const at::Tensor& got, const at::Tensor& expected) {
  return ((got.to(at::kDouble) - expected).norm() / expected.norm()).item<double>();
}

struct Case {
  int64_t n, height, width, pad_y, pad_x;
};

/// `Kernels`: those of one namespace.
template <typename Kernels>
void compare(const Case& k, double bound) {
  using storage = typename Kernels::Storage;
  constexpr int64_t kernel = Kernels::kKernel;
  constexpr int64_t stride = Kernels::kStride;
  constexpr int64_t channels = Kernels::kChannels;
  constexpr int64_t cell_channels = Kernels::kCells;
  constexpr bool bf16 = sizeof(storage) == 2;
  const at::ScalarType type = bf16 ? at::kBFloat16 : at::kFloat;
  ASSERT_TRUE(NarrowConv::takes(kernel, stride, channels, cell_channels));
  const NarrowConv conv(kernel, stride, channels, cell_channels, k.pad_y, k.pad_x);
  const int64_t rows = ceil_div(k.height, stride);
  const int64_t columns = ceil_div(k.width, stride);
  // All as they lie in memory, channels last.
  const at::Tensor image = at::randn({k.n, k.height, k.width, channels}).to(type);
  const at::Tensor cells = at::randn({k.n, rows, columns, cell_channels}).to(type);
  const at::Tensor weight = at::randn({cell_channels, kernel, kernel, channels});
  const auto nchw = [](const at::Tensor& t) { return t.to(at::kDouble).permute({0, 3, 1, 2}); };
  const at::Tensor w = nchw(weight.to(type));
  // The image with its padding, as much behind as the cells reach.
  const int64_t below = (rows - 1) * stride + kernel - k.pad_y - k.height;
  const int64_t right = (columns - 1) * stride + kernel - k.pad_x - k.width;
  const at::Tensor padded = at::constant_pad_nd(
      nchw(image), {k.pad_x, std::max<int64_t>(right, 0), k.pad_y, std::max<int64_t>(below, 0)});

  const auto s = [](const at::Tensor& t) { return static_cast<storage*>(t.data_ptr()); };
  const auto f = [](const at::Tensor& t) { return t.data_ptr<float>(); };
  const auto i = [](int64_t value) { return static_cast<int>(value); };
  const auto dims = [](std::array<unsigned, 3> g) { return host_threads::Dim3{g[0], g[1], g[2]}; };

  const at::Tensor gathered = poisoned(cells.sizes(), type);
  NarrowConv::Launch l = conv.forward_launch(k.n, rows, columns, bf16);
  launch(dims(l.grid), l.block, [&] {
    Kernels::forward(s(image), f(weight), s(gathered), l.tiles, i(k.height), i(k.width), i(rows),
                     i(columns), i(k.pad_y), i(k.pad_x));
  });
  const at::Tensor forward =
      at::conv2d(padded, w, {}, stride).slice(2, 0, rows).slice(3, 0, columns);
  EXPECT_LT(distance(nchw(gathered), forward), bound);

  const at::Tensor scattered = poisoned(image.sizes(), type);
  const int64_t blocks_y = conv.blocks(k.height, k.pad_y);
  const int64_t blocks_x = conv.blocks(k.width, k.pad_x);
  l = conv.backward_data_launch(k.n, blocks_y, blocks_x, bf16);
  launch(dims(l.grid), l.block, [&] {
    Kernels::backward_data(s(cells), f(weight), s(scattered), l.tiles, i(k.height), i(k.width),
                           i(rows), i(columns), i(blocks_y), i(blocks_x), i(k.pad_y), i(k.pad_x));
  });
  const auto [dx, dw, db] = at::convolution_backward(
      nchw(cells),
      padded.slice(2, 0, (rows - 1) * stride + kernel).slice(3, 0, (columns - 1) * stride + kernel),
      w, std::nullopt, {stride, stride}, {0, 0}, {1, 1}, false, {0, 0}, 1, {true, true, false});
  const at::Tensor whole =
      at::constant_pad_nd(dx, {0, std::max<int64_t>(k.pad_x + k.width - dx.size(3), 0), 0,
                               std::max<int64_t>(k.pad_y + k.height - dx.size(2), 0)});
  EXPECT_LT(
      distance(nchw(scattered),
               whole.slice(2, k.pad_y, k.pad_y + k.height).slice(3, k.pad_x, k.pad_x + k.width)),
      bound);

  l = conv.backward_weights_launch(k.n, rows, columns, bf16);
  const at::Tensor partials = poisoned({l.grid[0], conv.weights()}, at::kFloat);
  const at::Tensor gradient = poisoned(weight.sizes(), at::kFloat);
  launch(dims(l.grid), l.block, [&] {
    Kernels::backward_weights(s(image), s(cells), f(partials), l.tiles, i(k.height), i(k.width),
                              i(rows), i(columns), i(k.pad_y), i(k.pad_x));
  });
  launch({static_cast<unsigned>(ceil_div(conv.weights(), int64_t{32})), 1, 1}, 256,
         [&] { Kernels::add_partials(f(partials), i(l.grid[0]), f(gradient)); });
  EXPECT_LT(distance(nchw(gradient), dw), 1e-5);
}

#define STORAGE_BF16 1
#define KERNEL 5
#define STRIDE 2
#define CHANNELS 1
#define CELLS 32
#define VECTOR 8
namespace bf16_5_2_1_32 {
#include "core/cuda/kernels/common.cu.h"
#include "core/cuda/kernels/narrow.cu.h"
struct Kernels {
  using Storage = storage;
  static constexpr int64_t kKernel = KERNEL;
  static constexpr int64_t kStride = STRIDE;
  static constexpr int64_t kChannels = CHANNELS;
  static constexpr int64_t kCells = CELLS;
  static constexpr auto forward = &bf16_5_2_1_32::forward;
  static constexpr auto backward_data = &bf16_5_2_1_32::backward_data;
  static constexpr auto backward_weights = &bf16_5_2_1_32::backward_weights;
  static constexpr auto add_partials = &bf16_5_2_1_32::add_partials;
};
}  // namespace bf16_5_2_1_32
#undef TILE_W
#undef TILE_H
#undef TAPS
#undef PATCH_W
#undef PATCH_H
#undef GROUPS
#undef SIDE
#undef BEFORE
#undef CELL_PITCH
#undef SCATTER_H
#undef PARTS
#undef STREAMS
#undef GRADIENT_H
#undef GRADIENT_PATCH_H
#undef STORAGE_BF16
#undef KERNEL
#undef STRIDE
#undef CHANNELS
#undef CELLS
#undef VECTOR

#define STORAGE_BF16 0
#define KERNEL 5
#define STRIDE 2
#define CHANNELS 1
#define CELLS 32
#define VECTOR 4
namespace fp32_5_2_1_32 {
#include "core/cuda/kernels/common.cu.h"
#include "core/cuda/kernels/narrow.cu.h"
struct Kernels {
  using Storage = storage;
  static constexpr int64_t kKernel = KERNEL;
  static constexpr int64_t kStride = STRIDE;
  static constexpr int64_t kChannels = CHANNELS;
  static constexpr int64_t kCells = CELLS;
  static constexpr auto forward = &fp32_5_2_1_32::forward;
  static constexpr auto backward_data = &fp32_5_2_1_32::backward_data;
  static constexpr auto backward_weights = &fp32_5_2_1_32::backward_weights;
  static constexpr auto add_partials = &fp32_5_2_1_32::add_partials;
};
}  // namespace fp32_5_2_1_32
#undef TILE_W
#undef TILE_H
#undef TAPS
#undef PATCH_W
#undef PATCH_H
#undef GROUPS
#undef SIDE
#undef BEFORE
#undef CELL_PITCH
#undef SCATTER_H
#undef PARTS
#undef STREAMS
#undef GRADIENT_H
#undef GRADIENT_PATCH_H
#undef STORAGE_BF16
#undef KERNEL
#undef STRIDE
#undef CHANNELS
#undef CELLS
#undef VECTOR

#define STORAGE_BF16 1
#define KERNEL 4
#define STRIDE 2
#define CHANNELS 3
#define CELLS 16
#define VECTOR 8
namespace bf16_4_2_3_16 {
#include "core/cuda/kernels/common.cu.h"
#include "core/cuda/kernels/narrow.cu.h"
struct Kernels {
  using Storage = storage;
  static constexpr int64_t kKernel = KERNEL;
  static constexpr int64_t kStride = STRIDE;
  static constexpr int64_t kChannels = CHANNELS;
  static constexpr int64_t kCells = CELLS;
  static constexpr auto forward = &bf16_4_2_3_16::forward;
  static constexpr auto backward_data = &bf16_4_2_3_16::backward_data;
  static constexpr auto backward_weights = &bf16_4_2_3_16::backward_weights;
  static constexpr auto add_partials = &bf16_4_2_3_16::add_partials;
};
}  // namespace bf16_4_2_3_16
#undef TILE_W
#undef TILE_H
#undef TAPS
#undef PATCH_W
#undef PATCH_H
#undef GROUPS
#undef SIDE
#undef BEFORE
#undef CELL_PITCH
#undef SCATTER_H
#undef PARTS
#undef STREAMS
#undef GRADIENT_H
#undef GRADIENT_PATCH_H
#undef STORAGE_BF16
#undef KERNEL
#undef STRIDE
#undef CHANNELS
#undef CELLS
#undef VECTOR

#define STORAGE_BF16 0
#define KERNEL 3
#define STRIDE 1
#define CHANNELS 3
#define CELLS 8
#define VECTOR 4
namespace fp32_3_1_3_8 {
#include "core/cuda/kernels/common.cu.h"
#include "core/cuda/kernels/narrow.cu.h"
struct Kernels {
  using Storage = storage;
  static constexpr int64_t kKernel = KERNEL;
  static constexpr int64_t kStride = STRIDE;
  static constexpr int64_t kChannels = CHANNELS;
  static constexpr int64_t kCells = CELLS;
  static constexpr auto forward = &fp32_3_1_3_8::forward;
  static constexpr auto backward_data = &fp32_3_1_3_8::backward_data;
  static constexpr auto backward_weights = &fp32_3_1_3_8::backward_weights;
  static constexpr auto add_partials = &fp32_3_1_3_8::add_partials;
};
}  // namespace fp32_3_1_3_8
#undef TILE_W
#undef TILE_H
#undef TAPS
#undef PATCH_W
#undef PATCH_H
#undef GROUPS
#undef SIDE
#undef BEFORE
#undef CELL_PITCH
#undef SCATTER_H
#undef PARTS
#undef STREAMS
#undef GRADIENT_H
#undef GRADIENT_PATCH_H
#undef STORAGE_BF16
#undef KERNEL
#undef STRIDE
#undef CHANNELS
#undef CELLS
#undef VECTOR

#define STORAGE_BF16 1
#define KERNEL 7
#define STRIDE 4
#define CHANNELS 1
#define CELLS 32
#define VECTOR 8
namespace bf16_7_4_1_32 {
#include "core/cuda/kernels/common.cu.h"
#include "core/cuda/kernels/narrow.cu.h"
struct Kernels {
  using Storage = storage;
  static constexpr int64_t kKernel = KERNEL;
  static constexpr int64_t kStride = STRIDE;
  static constexpr int64_t kChannels = CHANNELS;
  static constexpr int64_t kCells = CELLS;
  static constexpr auto forward = &bf16_7_4_1_32::forward;
  static constexpr auto backward_data = &bf16_7_4_1_32::backward_data;
  static constexpr auto backward_weights = &bf16_7_4_1_32::backward_weights;
  static constexpr auto add_partials = &bf16_7_4_1_32::add_partials;
};
}  // namespace bf16_7_4_1_32
#undef TILE_W
#undef TILE_H
#undef TAPS
#undef PATCH_W
#undef PATCH_H
#undef GROUPS
#undef SIDE
#undef BEFORE
#undef CELL_PITCH
#undef SCATTER_H
#undef PARTS
#undef STREAMS
#undef GRADIENT_H
#undef GRADIENT_PATCH_H
#undef STORAGE_BF16
#undef KERNEL
#undef STRIDE
#undef CHANNELS
#undef CELLS
#undef VECTOR

TEST(NarrowKernels, AreAtensConvolutions) {
  at::manual_seed(1);
  // What a first convolution of stride 2 pads, and what a transposed one cuts off.
  compare<bf16_5_2_1_32::Kernels>({.n = 2, .height = 21, .width = 70, .pad_y = 1, .pad_x = 1},
                                  4e-3);
  compare<fp32_5_2_1_32::Kernels>({.n = 2, .height = 34, .width = 66, .pad_y = 1, .pad_x = 2},
                                  1e-5);
  compare<bf16_4_2_3_16::Kernels>({.n = 3, .height = 18, .width = 15, .pad_y = 1, .pad_x = 1},
                                  4e-3);
  compare<fp32_3_1_3_8::Kernels>({.n = 1, .height = 9, .width = 40, .pad_y = 1, .pad_x = 1}, 1e-5);
  compare<bf16_7_4_1_32::Kernels>({.n = 2, .height = 40, .width = 36, .pad_y = 1, .pad_x = 1},
                                  4e-3);
}

}  // namespace
}  // namespace flexae::cuda

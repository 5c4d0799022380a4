#include "core/cuda/narrow_conv.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "core/base/math.h"
#include "core/cuda/runtime.h"

namespace flexae::cuda {
namespace {

// As in narrow.cu.h.
constexpr int64_t kTileWidth = 32;
constexpr int64_t kTileHeight = 8;
constexpr int64_t kSide = 4;
constexpr int64_t kMostBlocks = 132 * 8;

NarrowConv::Launch launch(int64_t n, int64_t rows, int64_t columns, int64_t tile_height,
                          int64_t threads) {
  const int64_t tiles = n * ceil_div(rows, tile_height) * ceil_div(columns, kTileWidth);
  return {{static_cast<unsigned>(std::min(tiles, kMostBlocks)), 1, 1},
          static_cast<unsigned>(threads),
          tiles};
}

at::Tensor channels_last(const at::Tensor& t) {
  // Strides of a dimension of one say nothing, so that what is_contiguous() takes may need a copy.
  const at::Tensor last = t.permute({0, 2, 3, 1});
  return (last.is_contiguous() ? last : last.contiguous()).permute({0, 3, 1, 2});
}

at::Tensor images(int64_t n, int64_t channels, int64_t height, int64_t width,
                  const at::Tensor& like) {
  return at::empty({n, height, width, channels}, like.options().memory_format(std::nullopt))
      .permute({0, 3, 1, 2});
}

bool narrow(const at::Tensor& t) {
  return t.scalar_type() == at::kBFloat16;
}

}  // namespace

bool NarrowConv::takes(int64_t kernel, int64_t stride, int64_t channels, int64_t cells) {
  const bool vectors = cells == 8 || cells == 16 || cells == 32;
  return channels >= 1 && channels <= 3 && vectors && kernel >= 1 && kernel <= 7 && stride >= 1 &&
         stride <= 4 && kernel >= stride && kernel * kernel * channels * cells <= 3200 &&
         kernel * channels * (cells / 4) <= 256;
}

std::vector<std::string> NarrowConv::macros(bool bf16) const {
  return {"STORAGE_BF16=" + std::to_string(bf16 ? 1 : 0),
          "KERNEL=" + std::to_string(kernel_),
          "STRIDE=" + std::to_string(stride_),
          "CHANNELS=" + std::to_string(channels_),
          "CELLS=" + std::to_string(cells_),
          "VECTOR=" + std::to_string(vector(bf16))};
}

NarrowConv::Launch NarrowConv::forward_launch(int64_t n, int64_t rows, int64_t columns,
                                              bool bf16) const {
  const int64_t groups = cells_ / vector(bf16);
  return launch(n, rows, columns, kTileHeight,
                std::min<int64_t>(256, groups * kTileWidth / kSide * kTileHeight));
}

NarrowConv::Launch NarrowConv::backward_data_launch(int64_t n, int64_t blocks_y, int64_t blocks_x,
                                                    bool bf16) const {
  const int64_t height = bf16 ? 8 : 4;
  return launch(n, blocks_y, blocks_x, height, 8 * height);
}

NarrowConv::Launch NarrowConv::backward_weights_launch(int64_t n, int64_t rows, int64_t columns,
                                                       bool bf16) const {
  const int64_t height = bf16 && channels_ == 1 && kernel_ <= 5 ? 8 : 4;
  const int64_t parts = kernel_ * channels_ * (cells_ / 4);
  return launch(n, rows, columns, height, 256 / parts * parts);
}

at::Tensor NarrowConv::forward(const at::Tensor& given, const at::Tensor& weight, int64_t rows,
                               int64_t columns) const {
  const at::Tensor image = channels_last(given);
  const at::Tensor factors = channels_last(weight);
  at::Tensor cells = images(image.size(0), cells_, rows, columns, image);
  const Launch l = forward_launch(image.size(0), rows, columns, narrow(image));
  send(Program::get("narrow", macros(narrow(image))), "forward", l.grid, l.block, image, factors,
       cells, static_cast<long long>(l.tiles), static_cast<int>(image.size(2)),
       static_cast<int>(image.size(3)), static_cast<int>(rows), static_cast<int>(columns),
       static_cast<int>(pad_y_), static_cast<int>(pad_x_));
  return cells;
}

at::Tensor NarrowConv::backward_data(const at::Tensor& given, const at::Tensor& weight,
                                     int64_t height, int64_t width) const {
  const at::Tensor cells = channels_last(given);
  const at::Tensor factors = channels_last(weight);
  at::Tensor image = images(cells.size(0), channels_, height, width, cells);
  const int64_t blocks_y = blocks(height, pad_y_);
  const int64_t blocks_x = blocks(width, pad_x_);
  const Launch l = backward_data_launch(cells.size(0), blocks_y, blocks_x, narrow(cells));
  send(Program::get("narrow", macros(narrow(cells))), "backward_data", l.grid, l.block, cells,
       factors, image, static_cast<long long>(l.tiles), static_cast<int>(height),
       static_cast<int>(width), static_cast<int>(cells.size(2)), static_cast<int>(cells.size(3)),
       static_cast<int>(blocks_y), static_cast<int>(blocks_x), static_cast<int>(pad_y_),
       static_cast<int>(pad_x_));
  return image;
}

at::Tensor NarrowConv::backward_weights(const at::Tensor& given_image,
                                        const at::Tensor& given_cells) const {
  const at::Tensor image = channels_last(given_image);
  const at::Tensor cells = channels_last(given_cells.to(image.scalar_type()));
  const Launch l =
      backward_weights_launch(image.size(0), cells.size(2), cells.size(3), narrow(image));
  const auto options = at::TensorOptions().dtype(at::kFloat).device(image.device());
  const at::Tensor partials = at::empty({l.grid[0], weights()}, options);
  const at::Tensor gradient = at::empty({cells_, kernel_, kernel_, channels_}, options);
  const Program program = Program::get("narrow", macros(narrow(image)));
  send(program, "backward_weights", l.grid, l.block, image, cells, partials,
       static_cast<long long>(l.tiles), static_cast<int>(image.size(2)),
       static_cast<int>(image.size(3)), static_cast<int>(cells.size(2)),
       static_cast<int>(cells.size(3)), static_cast<int>(pad_y_), static_cast<int>(pad_x_));
  send(program, "add_partials", {static_cast<unsigned>(ceil_div(weights(), int64_t{32})), 1, 1},
       256, partials, static_cast<int>(l.grid[0]), gradient);
  return gradient.permute({0, 3, 1, 2});
}

}  // namespace flexae::cuda

#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>

#include "core/cpu/convolution.h"
#include "core/tensor/scratch_buffer.h"

// What tests of the products of convolutions share.

namespace flexae::test {

/// Zeros of these sizes with `slack` values behind them that must not matter.
inline at::Tensor zeros_before_slack(at::IntArrayRef sizes, int64_t slack) {
  int64_t count = 1;
  for (const int64_t size : sizes) count *= size;
  const at::Tensor all = at::zeros({count + slack});
  all.narrow(0, count, slack).fill_(1e6);
  return all.narrow(0, 0, count).view(sizes);
}

/// The same values as T, with the slack behind them.
template <typename T>
at::Tensor narrowed(const at::Tensor& tensor, int64_t slack) {
  return at::from_blob(const_cast<void*>(tensor.const_data_ptr()), {tensor.numel() + slack},
                       at::kFloat)
      .to(kScalarType<T>);
}

/// The three products of `count` images against ATen's in fp64, relative to the largest value.
template <typename T>
void compare_products(ConvGeometry geometry, typename Convolution<T>::Algorithm algorithm,
                      double tolerance) {
  constexpr int64_t count = 3;
  geometry.image_h = geometry.lead + (geometry.grid_h - 1) * geometry.stride + geometry.kernel;
  geometry.image_w = geometry.lead + (geometry.grid_w - 1) * geometry.stride + geometry.kernel;
  Convolution<T> convolution(geometry, algorithm);
  const ConvGeometry& w = convolution.geometry();
  const int64_t k = w.kernel;
  const int64_t g = w.grid_channels;
  const int64_t h = geometry.image_h;
  const int64_t v = geometry.image_w;
  SCOPED_TRACE("kernel " + std::to_string(k) + ", stride " + std::to_string(w.stride) + ", lead " +
               std::to_string(w.lead) + ", " + std::to_string(g) + " and " +
               std::to_string(w.channels) + " channels");

  const at::Tensor weight = at::randn({g, k, k, w.channels});
  convolution.prepare(weight.const_data_ptr<float>(), 1);
  convolution.pack(Convolution<T>::Product::kForward);
  convolution.pack(Convolution<T>::Product::kBackwardData);
  const auto expect_close = [tolerance](const at::Tensor& a, const at::Tensor& b) {
    EXPECT_LT((a.to(at::kDouble) - b).abs().max().item<double>(),
              tolerance * b.abs().max().item<double>());
  };

  const at::Tensor images =
      zeros_before_slack({count, w.image_h, w.image_w, w.channels}, w.slack());
  // What lies before the first window must not matter.
  images.narrow(1, 0, h).narrow(2, 0, v).normal_();
  const at::Tensor grid = zeros_before_slack(
      {count, w.grid_h + 2 * w.grid_border, w.bordered_w, w.grid_channels}, w.slack());
  at::Tensor cells =
      grid.narrow(1, w.grid_border, w.grid_h).narrow(2, w.grid_border, w.grid_w).normal_();
  const at::Tensor weight64 = weight.permute({0, 3, 1, 2}).to(at::kDouble).contiguous();
  const at::Tensor seen = images.narrow(1, w.lead, h - w.lead)
                              .narrow(2, w.lead, v - w.lead)
                              .permute({0, 3, 1, 2})
                              .to(at::kDouble)
                              .contiguous();
  const at::Tensor cells64 = cells.permute({0, 3, 1, 2}).to(at::kDouble).contiguous();

  const at::Tensor narrow_images = narrowed<T>(images, w.slack());
  const at::Tensor narrow_grid = narrowed<T>(grid, w.slack());
  at::Tensor gathered = at::empty({count, w.grid_h, w.grid_w, g});
  convolution.forward(values<T>(narrow_images), 0, count * w.cells(),
                      gathered.mutable_data_ptr<float>(), 0);
  // Stored as T it is the same, rounded.
  at::Tensor stored = at::empty(gathered.sizes(), kScalarType<T>);
  convolution.forward(values<T>(narrow_images), 0, count * w.cells(), mutable_values<T>(stored), 0);
  EXPECT_TRUE(stored.equal(gathered.to(kScalarType<T>)));
  expect_close(gathered.permute({0, 3, 1, 2}), at::conv2d(seen, weight64, {}, w.stride));

  at::Tensor scattered = at::zeros_like(images);
  convolution.backward_data(values<T>(narrow_grid), count, scattered.mutable_data_ptr<float>(), 0);
  const at::Tensor where = scattered.narrow(1, w.lead, h - w.lead).narrow(2, w.lead, v - w.lead);
  expect_close(where.permute({0, 3, 1, 2}), at::conv_transpose2d(cells64, weight64, {}, w.stride));
  // No pixel outside the windows is written but with zero.
  EXPECT_EQ(scattered.count_nonzero().item<int64_t>(), where.count_nonzero().item<int64_t>());

  // In two parts, the first of one image, and a few rows at a time.
  const int64_t size = convolution.sums_size();
  at::Tensor sums = at::full({2, size}, 7.0F);
  auto* parts = sums.mutable_data_ptr<float>();
  convolution.backward_weights(values<T>(narrow_grid), values<T>(narrow_images), 1, parts,
                               /*fresh=*/true, 0);
  convolution.backward_weights(values<T>(narrow_grid) + w.grid_numel(),
                               values<T>(narrow_images) + w.numel(), 1, parts + size,
                               /*fresh=*/true, 0);
  convolution.backward_weights(values<T>(narrow_grid) + 2 * w.grid_numel(),
                               values<T>(narrow_images) + 2 * w.numel(), count - 2, parts + size,
                               /*fresh=*/false, 0);
  at::Tensor gradient = at::empty_like(weight);
  for (int64_t row = 0; row < g; row += 5) {
    convolution.store_weight_gradient(parts, 2, row, std::min<int64_t>(row + 5, g),
                                      gradient.mutable_data_ptr<float>() + row * w.size());
  }
  const at::Tensor columns = at::im2col(seen, {k, k}, {1, 1}, {0, 0}, {w.stride, w.stride});
  const at::Tensor expected =
      at::matmul(cells64.flatten(2), columns.transpose(1, 2)).sum(0).view_as(weight64);
  expect_close(gradient.permute({0, 3, 1, 2}), expected);
}

}  // namespace flexae::test

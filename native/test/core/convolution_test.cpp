#include "core/convolution.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <string>

namespace flexae {
namespace {

/// The three products of `count` images against ATen's in fp64, relative to the largest value.
void compare(Windows windows, Precision precision, double tolerance) {
  constexpr int64_t count = 2;
  windows.image_h = windows.lead + (windows.grid_h - 1) * windows.stride + windows.kernel;
  windows.image_w = windows.lead + (windows.grid_w - 1) * windows.stride + windows.kernel;
  Convolution convolution(windows);
  const Windows& w = convolution.windows();
  const int64_t k = w.kernel;
  const int64_t g = w.grid_channels;
  const int64_t h = windows.image_h;
  const int64_t v = windows.image_w;
  SCOPED_TRACE("kernel " + std::to_string(k) + ", stride " + std::to_string(w.stride) + ", lead " +
               std::to_string(w.lead) + ", " + std::to_string(g) + " and " +
               std::to_string(w.channels) + " channels");

  const at::Tensor weight = at::randn({g, k, k, w.channels});
  convolution.prepare(weight.const_data_ptr<float>(), precision, 1);
  convolution.pack(Convolution::Product::kGather);
  convolution.pack(Convolution::Product::kScatter);
  const auto expect_close = [tolerance](const at::Tensor& a, const at::Tensor& b) {
    EXPECT_LT((a.to(at::kDouble) - b).abs().max().item<double>(),
              tolerance * b.abs().max().item<double>());
  };

  at::Tensor images = at::zeros({count, w.image_h, w.image_w, w.channels});
  // What lies before the first window must not matter.
  images.narrow(1, 0, h).narrow(2, 0, v).normal_();
  at::Tensor grid = at::zeros({count, w.grid_h + 2 * w.grid_border, w.bordered_w, w.grid_channels});
  at::Tensor cells =
      grid.narrow(1, w.grid_border, w.grid_h).narrow(2, w.grid_border, w.grid_w).normal_();
  const at::Tensor weight64 = weight.permute({0, 3, 1, 2}).to(at::kDouble).contiguous();
  const at::Tensor seen = images.narrow(1, w.lead, h - w.lead)
                              .narrow(2, w.lead, v - w.lead)
                              .permute({0, 3, 1, 2})
                              .to(at::kDouble)
                              .contiguous();
  const at::Tensor cells64 = cells.permute({0, 3, 1, 2}).to(at::kDouble).contiguous();

  at::Tensor gathered = at::empty({count, w.grid_h, w.grid_w, g});
  convolution.gather(images.const_data_ptr<float>(), 0, count * w.cells(),
                     gathered.mutable_data_ptr<float>(), 0);
  expect_close(gathered.permute({0, 3, 1, 2}), at::conv2d(seen, weight64, {}, w.stride));

  at::Tensor scattered = at::zeros_like(images);
  convolution.scatter(grid.const_data_ptr<float>(), count, scattered.mutable_data_ptr<float>(), 0);
  const at::Tensor where = scattered.narrow(1, w.lead, h - w.lead).narrow(2, w.lead, v - w.lead);
  expect_close(where.permute({0, 3, 1, 2}), at::conv_transpose2d(cells64, weight64, {}, w.stride));
  // No pixel outside the windows is written but with zero.
  EXPECT_EQ(scattered.count_nonzero().item<int64_t>(), where.count_nonzero().item<int64_t>());

  at::Tensor sums = at::zeros({convolution.sums_size()});
  convolution.add_weight_gradient(grid.const_data_ptr<float>(), images.const_data_ptr<float>(),
                                  count, sums.mutable_data_ptr<float>(), 0);
  at::Tensor gradient = at::empty_like(weight);
  convolution.store_weight_gradient(sums.const_data_ptr<float>(),
                                    gradient.mutable_data_ptr<float>());
  const at::Tensor columns = at::im2col(seen, {k, k}, {1, 1}, {0, 0}, {w.stride, w.stride});
  const at::Tensor expected =
      at::matmul(cells64.flatten(2), columns.transpose(1, 2)).sum(0).view_as(weight64);
  expect_close(gradient.permute({0, 3, 1, 2}), expected);
}

TEST(Convolution, ProductsAreAtensForEveryWayOfComputingThem) {
  for (const int64_t kernel : {1, 2, 3, 5, 7}) {
    for (const int64_t stride : {1, 2, 3, 4}) {
      for (const int64_t channels : {1, 3, 8, 20}) {
        for (const int64_t lead : {0, 2}) {
          Windows windows;
          windows.grid_h = 5;
          windows.grid_w = 22;
          windows.grid_channels = 11;
          windows.channels = channels;
          windows.kernel = kernel;
          windows.stride = stride;
          windows.lead = lead;
          compare(windows, Precision::kFp32, 2e-6);
          compare(windows, Precision::kBf16, 2e-2);
        }
      }
    }
  }
}

}  // namespace
}  // namespace flexae

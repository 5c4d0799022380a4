#include "core/cpu/convolution.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "core/tensor/scratch_buffer.h"

namespace flexae {
namespace {

/// Zeros of these sizes with `slack` values behind them that must not matter.
at::Tensor zeros_before_slack(at::IntArrayRef sizes, int64_t slack) {
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
void compare(Windows windows, typename Convolution<T>::Way way, double tolerance) {
  constexpr int64_t count = 3;
  windows.image_h = windows.lead + (windows.grid_h - 1) * windows.stride + windows.kernel;
  windows.image_w = windows.lead + (windows.grid_w - 1) * windows.stride + windows.kernel;
  Convolution<T> convolution(windows, way);
  const Windows& w = convolution.windows();
  const int64_t k = w.kernel;
  const int64_t g = w.grid_channels;
  const int64_t h = windows.image_h;
  const int64_t v = windows.image_w;
  SCOPED_TRACE("kernel " + std::to_string(k) + ", stride " + std::to_string(w.stride) + ", lead " +
               std::to_string(w.lead) + ", " + std::to_string(g) + " and " +
               std::to_string(w.channels) + " channels");

  const at::Tensor weight = at::randn({g, k, k, w.channels});
  convolution.prepare(weight.const_data_ptr<float>(), 1);
  convolution.pack(Convolution<T>::Product::kGather);
  convolution.pack(Convolution<T>::Product::kScatter);
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
  convolution.gather(values<T>(narrow_images), 0, count * w.cells(),
                     gathered.mutable_data_ptr<float>(), 0);
  // Stored as T it is the same, rounded.
  at::Tensor stored = at::empty(gathered.sizes(), kScalarType<T>);
  convolution.gather(values<T>(narrow_images), 0, count * w.cells(), mutable_values<T>(stored), 0);
  EXPECT_TRUE(stored.equal(gathered.to(kScalarType<T>)));
  expect_close(gathered.permute({0, 3, 1, 2}), at::conv2d(seen, weight64, {}, w.stride));

  at::Tensor scattered = at::zeros_like(images);
  convolution.scatter(values<T>(narrow_grid), count, scattered.mutable_data_ptr<float>(), 0);
  const at::Tensor where = scattered.narrow(1, w.lead, h - w.lead).narrow(2, w.lead, v - w.lead);
  expect_close(where.permute({0, 3, 1, 2}), at::conv_transpose2d(cells64, weight64, {}, w.stride));
  // No pixel outside the windows is written but with zero.
  EXPECT_EQ(scattered.count_nonzero().item<int64_t>(), where.count_nonzero().item<int64_t>());

  // In two parts, the first of one image, and a few rows at a time.
  const int64_t size = convolution.sums_size();
  at::Tensor sums = at::full({2, size}, 7.0F);
  auto* parts = sums.mutable_data_ptr<float>();
  convolution.add_weight_gradient(values<T>(narrow_grid), values<T>(narrow_images), 1, parts,
                                  /*fresh=*/true, 0);
  convolution.add_weight_gradient(values<T>(narrow_grid) + w.grid_numel(),
                                  values<T>(narrow_images) + w.numel(), 1, parts + size,
                                  /*fresh=*/true, 0);
  convolution.add_weight_gradient(values<T>(narrow_grid) + 2 * w.grid_numel(),
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

template <typename T>
void compare_all(typename Convolution<T>::Way way, double tolerance) {
  for (const int64_t kernel : {1, 2, 3, 5, 7}) {
    for (const int64_t stride : {1, 2, 3, 4}) {
      for (const int64_t channels : {1, 3, 8, 20}) {
        for (const int64_t lead : {0, 2}) {
          Windows windows;
          windows.grid_h = 5;
          // Odd and even: bf16 takes cells by twos.
          windows.grid_w = 21 + kernel % 2;
          windows.grid_channels = 11;
          windows.channels = channels;
          windows.kernel = kernel;
          windows.stride = stride;
          windows.lead = lead;
          compare<T>(windows, way, tolerance);
        }
      }
    }
  }
}

/// Grids of odd and even sizes, fewer and more tiles than a block, one to three taps in a phase.
template <typename T>
void compare_winograd(double tolerance) {
  const int64_t lanes = kernels().lanes;
  int compared = 0;
  for (const int64_t kernel : {1, 2, 3, 5, 7}) {
    for (const int64_t stride : {1, 2, 3, 4}) {
      for (const auto& [height, width] :
           {std::pair<int64_t, int64_t>{1, 1}, {4, 6}, {7, 5}, {13, 110}}) {
        for (const int64_t lead : {0, 2}) {
          Windows windows;
          windows.grid_h = height;
          windows.grid_w = width;
          windows.grid_channels = 3 * lanes;
          windows.channels = 2 * lanes;
          windows.kernel = kernel;
          windows.stride = stride;
          windows.lead = lead;
          if (!Winograd<T>::supports(windows)) continue;
          compare<T>(windows, Convolution<T>::Way::kWinograd, tolerance);
          ++compared;
        }
      }
    }
  }
  EXPECT_GT(compared, 50);
}

TEST(Convolution, ProductsByWinogradAreAtens) {
  compare_winograd<float>(4e-6);
}

TEST(Convolution, ProductsOfBf16ByWinogradAreAtens) {
  if (kernels().bf16.products.convolve == nullptr)
    GTEST_SKIP() << "this processor does not multiply bf16";
  compare_winograd<Bf16>(3e-2);
}

TEST(Convolution, ProductsByLinesAreAtens) {
  if (kernels().winograd_1d.convolve_lines == nullptr)
    GTEST_SKIP() << "this processor has few registers";
  for (const auto& [kernel, stride] : {std::pair<int64_t, int64_t>{3, 1}, {5, 2}, {6, 2}, {7, 3}}) {
    for (const int64_t channels : {1, 3, 8}) {
      // Whole panels, halves and parts of them.
      for (const int64_t grid_channels : {11, 32, 55}) {
        for (const auto& [height, width] :
             {std::pair<int64_t, int64_t>{1, 1}, {4, 6}, {7, 5}, {11, 110}}) {
          for (const int64_t lead : {0, 2}) {
            Windows windows;
            windows.grid_h = height;
            windows.grid_w = width;
            windows.grid_channels = grid_channels;
            windows.channels = channels;
            windows.kernel = kernel;
            windows.stride = stride;
            windows.lead = lead;
            ASSERT_TRUE(LineWinograd::supports(windows));
            compare<float>(windows, Convolution<float>::Way::kLines, 4e-6);
          }
        }
      }
    }
  }
}

TEST(Convolution, LinesAreTakenWhereTheyPay) {
  if (kernels().winograd_1d.convolve_lines == nullptr)
    GTEST_SKIP() << "this processor has few registers";
  Windows windows;
  windows.grid_channels = 32;
  windows.channels = 3;
  windows.kernel = 5;
  windows.stride = 2;
  EXPECT_TRUE(LineWinograd::pays(windows));
  windows.channels = 32;
  EXPECT_FALSE(LineWinograd::pays(windows));
  windows.kernel = 4;
  EXPECT_FALSE(LineWinograd::supports(windows));
}

TEST(Convolution, WinogradIsTakenWhereItPays) {
  Windows windows;
  windows.grid_h = windows.grid_w = 32;
  windows.grid_channels = 64;
  windows.channels = 32;
  windows.kernel = 5;
  windows.stride = 2;
  EXPECT_TRUE(Winograd<float>::pays(windows));
  // Too few channels, and too many taps.
  windows.channels = 1;
  EXPECT_FALSE(Winograd<float>::supports(windows));
  windows.channels = 32;
  windows.kernel = 7;
  EXPECT_FALSE(Winograd<float>::supports(windows));
}

TEST(Convolution, ProductsAreAtensForEveryWayOfComputingThem) {
  compare_all<float>(Convolution<float>::Way::kInPlace, 2e-6);
}

TEST(Convolution, ProductsOfBf16AreAtensUnfolded) {
  compare_all<Bf16>(Convolution<Bf16>::Way::kUnfolded, 2e-2);
}

TEST(Convolution, ProductsOfBf16AreAtensInPlace) {
  if (kernels().bf16.products.convolve == nullptr)
    GTEST_SKIP() << "this processor does not multiply bf16";
  compare_all<Bf16>(Convolution<Bf16>::Way::kInPlace, 2e-2);
}

}  // namespace
}  // namespace flexae

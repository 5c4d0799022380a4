#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <limits>
#include <numeric>
#include <vector>

#include "core/tensor/scratch_buffer.h"
#include "test/core/cpu/kernels/kernels_support.h"

namespace flexae {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)

class ElementwiseKernelsTest : public KernelsTest {};

TEST_P(ElementwiseKernelsTest, StoringAsBf16RoundsAsPyTorch) {
  const at::Tensor x = at::cat({at::randn({1000}) * 1e3, at::tensor({0.0F, -0.0F, 1e38F, 3.4e38F}),
                                at::full({1}, std::numeric_limits<float>::infinity())});
  at::Tensor y = at::empty(x.sizes(), at::kBFloat16);
  k().bf16.elementwise.store(values<float>(x), mutable_values<Bf16>(y), x.numel());
  EXPECT_TRUE(y.equal(x.to(at::kBFloat16)));
  const at::Tensor nan = at::full({100}, std::numeric_limits<float>::quiet_NaN());
  y = at::zeros({100}, at::kBFloat16);
  k().bf16.elementwise.store(values<float>(nan), mutable_values<Bf16>(y), 100);
  EXPECT_TRUE(y.isnan().all().item<bool>());
}

TEST_P(ElementwiseKernelsTest, InterleaveMakesPixelsOfPlanes) {
  for (const int64_t pixels : {1, 15, 16, 53}) {
    const at::Tensor wider = at::randn({3, pixels + 5});
    const at::Tensor planes = wider.narrow(1, 0, pixels);
    at::Tensor out = at::full({3 * pixels + 1}, 7.0F);
    k().images.interleave(values<float>(wider), pixels + 5, pixels, mutable_values<float>(out));
    EXPECT_TRUE(out.narrow(0, 0, 3 * pixels).view({pixels, 3}).equal(planes.t()));
    EXPECT_EQ(out[3 * pixels].item<float>(), 7.0F);
  }
}

TEST_P(ElementwiseKernelsTest, PairUpPutsTheFirstIntoTheLowerHalf) {
  for (const int64_t n : {3, 32, 77}) {
    // Rows of pairs as cells have them: a[t], b[t], a[t + 1], ...
    const at::Tensor cells = at::randn({3, 2, n}).to(at::kBFloat16);
    at::Tensor pairs = at::empty({3, n, 2}, at::kBFloat16);
    k().pairs.pair_up(values<Bf16>(cells), values<Bf16>(cells) + n, mutable_values<Bf16Pair>(pairs),
                      3, 2 * n, n);
    EXPECT_TRUE(pairs.equal(cells.transpose(1, 2)));
  }
}

TEST_P(ElementwiseKernelsTest, PairUpWideNarrowsFirst) {
  const at::Tensor a = at::randn({77});
  const at::Tensor b = at::randn({77});
  const at::Tensor expected = at::stack({a, b}, 1).to(at::kBFloat16);
  at::Tensor pairs = at::empty({77}, at::kInt);
  k().pairs.pair_up_wide(a.const_data_ptr<float>(), b.const_data_ptr<float>(),
                         mutable_values<Bf16Pair>(pairs), 77);
  EXPECT_TRUE(pairs.view(at::kBFloat16).view({77, 2}).equal(expected));
}

TEST_P(ElementwiseKernelsTest, AddUpAndAddScaledAddRows) {
  // Columns 5 to 5 + n of two parts of 3 rows of 60.
  const at::Tensor parts = at::randn({2, 3, 60});
  for (const int64_t n : {1, 16, 55}) {
    at::Tensor sums = at::empty({3, n});
    k().sums.add_up(parts.const_data_ptr<float>() + 5, 2, 180, 3, 60, n,
                    sums.mutable_data_ptr<float>());
    EXPECT_TRUE(sums.equal(parts.narrow(2, 5, n).sum(0)));
    at::Tensor scaled = sums.clone();
    k().sums.add_scaled(scaled.mutable_data_ptr<float>(), parts.const_data_ptr<float>(), 0.5F,
                        3 * n);
    EXPECT_LT(error(scaled, as_double(sums) +
                                0.5 * as_double(parts.flatten().narrow(0, 0, 3 * n)).view({3, n})),
              1e-6);
  }
}

TEST_P(ElementwiseKernelsTest, AddFourAddsValuesAShiftApart) {
  const at::Tensor a = at::randn({200});
  const at::Tensor b = at::randn({200});
  for (const int64_t n : {1, 5, 16, 97}) {
    for (const int64_t shift : {1, 6, 64}) {
      at::Tensor out = at::full({n + 1}, 7.0F);
      k().fp32.elementwise.add_four(a.data_ptr<float>(), b.data_ptr<float>(), out.data_ptr<float>(),
                                    n, shift);
      const at::Tensor both = as_double(a) + as_double(b);
      EXPECT_LT(error(out.narrow(0, 0, n), both.narrow(0, 0, n) + both.narrow(0, shift, n)), 1e-6);
      EXPECT_EQ(out[n].item<float>(), 7.0F);
    }
  }
}

TEST_P(ElementwiseKernelsTest, ReversePixelsTurnsRowsOver) {
  for (const int64_t channels : {1, 3}) {
    for (const int64_t width : {1, 2, 31, 64, 131}) {
      const at::Tensor row = at::randint(256, {width, channels}, at::kByte);
      at::Tensor out = at::zeros({width + 1, channels}, at::kByte);
      k().images.reverse_pixels(row.const_data_ptr<uint8_t>(), out.mutable_data_ptr<uint8_t>(),
                                width, channels);
      EXPECT_TRUE(out.narrow(0, 0, width).equal(row.flip({0}))) << width;
      EXPECT_EQ(out[width].count_nonzero().item<int64_t>(), 0);
    }
  }
}

TEST_P(ElementwiseKernelsTest, ScaleBytesRoundsEveryQuotientCorrectly) {
  std::vector<uint8_t> bytes(256);
  std::iota(bytes.begin(), bytes.end(), uint8_t{0});
  std::vector<float> out(256);
  k().images.scale_bytes(bytes.data(), out.data(), 256);
  for (size_t i = 0; i < 256; ++i) {
    EXPECT_EQ(out[i], static_cast<float>(static_cast<double>(i) / 255.0)) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Sets, ElementwiseKernelsTest, sets(), set_name);

}  // namespace
}  // namespace flexae

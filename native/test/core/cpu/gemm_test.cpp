#include "core/cpu/gemm.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <limits>

#include "core/tensor/scratch_buffer.h"

namespace flexae {
namespace {

using Gemm = void (*)(bool, bool, int64_t, int64_t, int64_t, const Bf16*, int64_t, const Bf16*,
                      int64_t, float, float*, int64_t);

/// By the BLAS inside libtorch where it can, and without it.
class GemmTest : public testing::TestWithParam<Gemm> {};

TEST_P(GemmTest, SumsInFp32) {
  at::manual_seed(6);
  constexpr int64_t m = 17;
  constexpr int64_t n = 29;
  constexpr int64_t k = 301;
  for (const bool transpose_a : {false, true}) {
    for (const bool transpose_b : {false, true}) {
      for (const float beta : {0.0F, 1.0F, -0.5F}) {
        const at::Tensor a = at::randn({m, k}).to(at::kBFloat16);
        const at::Tensor b = at::randn({k, n}).to(at::kBFloat16);
        // Rows of what is stored are longer than the matrix.
        const auto stored = [](const at::Tensor& matrix, bool transposed) {
          return at::constant_pad_nd(transposed ? matrix.t() : matrix, {0, 3}).contiguous();
        };
        const at::Tensor sa = stored(a, transpose_a);
        const at::Tensor sb = stored(b, transpose_b);
        const at::Tensor before = at::randn({m, n + 5});
        at::Tensor c = before.clone();
        GetParam()(transpose_a, transpose_b, m, n, k, values<Bf16>(sa), sa.size(1),
                   values<Bf16>(sb), sb.size(1), beta, mutable_values<float>(c), c.size(1));
        const at::Tensor expected = at::mm(a.to(at::kDouble), b.to(at::kDouble)) +
                                    beta * before.slice(1, 0, n).to(at::kDouble);
        // Rounded to bf16, the sums would be off by 0.1.
        EXPECT_LT((c.slice(1, 0, n) - expected).abs().max().item<double>(), 1e-4)
            << transpose_a << transpose_b << beta;
        EXPECT_TRUE(c.slice(1, n).equal(before.slice(1, n)));
      }
    }
  }
}

TEST_P(GemmTest, TakesNothingOfWhatWasThereWithoutBeta) {
  const at::Tensor one = at::ones({1, 1}, at::kBFloat16);
  at::Tensor c = at::full({1, 1}, std::numeric_limits<float>::quiet_NaN());
  GetParam()(false, false, 1, 1, 1, values<Bf16>(one), 1, values<Bf16>(one), 1, 0.0F,
             mutable_values<float>(c), 1);
  EXPECT_EQ(c.item<float>(), 1.0F);
}

INSTANTIATE_TEST_SUITE_P(Ways, GemmTest, testing::Values(gemm_bf16, gemm_bf16_by_aten),
                         [](const auto& info) { return info.index == 0 ? "Blas" : "Aten"; });

}  // namespace
}  // namespace flexae

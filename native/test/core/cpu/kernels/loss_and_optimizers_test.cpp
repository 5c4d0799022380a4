#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <array>
#include <limits>
#include <vector>

#include "test/core/cpu/kernels/kernels_support.h"

namespace flexae {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)

class LossKernelsTest : public KernelsTest {};

TEST_P(LossKernelsTest, BceAgreesWithAtenIncludingItsTails) {
  const int64_t n = 10007;
  const at::Tensor z = at::cat({at::randn({n - 2000}) * 4, at::linspace(-120, 120, 2000)});
  at::Tensor t = at::rand({n});
  t.slice(0, 0, n / 2).round_();
  at::Tensor grad = at::empty({n});
  double sums[3] = {};
  k().loss.bce(z.data_ptr<float>(), t.data_ptr<float>(), grad.data_ptr<float>(), n, 0.5F, sums);
  const at::Tensor zd = as_double(z);
  const at::Tensor td = as_double(t);
  const at::Tensor p = at::sigmoid(zd);
  const double loss =
      at::binary_cross_entropy_with_logits(zd, td, {}, {}, at::Reduction::Sum).item<double>();
  EXPECT_NEAR(sums[0] / loss, 1.0, 1e-6);
  EXPECT_EQ(sums[1], at::eq(at::gt(at::sigmoid(z), 0.5).to(at::kFloat), t).sum().item<double>());
  EXPECT_NEAR(sums[2] / (p - td).square().sum().item<double>(), 1.0, 1e-6);
  EXPECT_LT(error(grad, (p - td) * 0.5), 1e-6);
}

TEST_P(LossKernelsTest, OptimizersFindABadGradientAnywhere) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  constexpr float kMax = std::numeric_limits<float>::max();
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  // Longer than a few vectors of any set, and all lengths of a rest.
  for (int64_t n = 0; n < 80; ++n) {
    std::vector<float> g(static_cast<size_t>(n), -kMax);
    std::vector<float> p(g.size());
    std::vector<float> u(g.size());
    std::vector<float> v(g.size());
    const OptimizerKernels& optimizers = k().optimizers;
    const auto finds = [&] {
      return std::array<bool, 7>{
          optimizers.sgd(p.data(), g.data(), n, 0.1F),
          optimizers.adadelta(p.data(), g.data(), u.data(), v.data(), n, 0.1F, 0.9F, 1e-7F),
          optimizers.adam(p.data(), g.data(), u.data(), v.data(), n, 0.1F, 0.9F, 0.99F, 1e-7F,
                          1.0F),
          optimizers.rmsprop(p.data(), g.data(), v.data(), n, 0.1F, 0.9F, 1e-7F),
          optimizers.adagrad(p.data(), g.data(), v.data(), n, 0.1F, 1e-7F),
          optimizers.adamax(p.data(), g.data(), u.data(), v.data(), n, 0.1F, 0.9F, 0.99F, 1e-7F),
          optimizers.nadam(p.data(), g.data(), u.data(), v.data(), n, 0.1F, 0.1F, 1.0F, 0.9F, 0.99F,
                           1e-7F)};
    };
    const std::array<bool, 7> all{true, true, true, true, true, true, true};
    EXPECT_EQ(finds(), all) << n;
    for (float& place : g) {
      for (const float bad : {kInf, -kInf, kNan, -kNan}) {
        place = bad;
        EXPECT_EQ(finds(), (std::array<bool, 7>{})) << n;
      }
      place = std::numeric_limits<float>::denorm_min();
    }
    EXPECT_EQ(finds(), all) << n;
  }
}

INSTANTIATE_TEST_SUITE_P(Sets, LossKernelsTest, sets(), set_name);

}  // namespace
}  // namespace flexae

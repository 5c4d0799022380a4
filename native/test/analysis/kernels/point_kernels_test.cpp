#include "analysis/kernels/point_kernels.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace flexae {
namespace {

/// Each table that this processor can run, against ATen in fp64.
class PointKernelsTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    at::manual_seed(5);
    const std::string name = GetParam();
    if (name == "baseline") table_ = baseline_point_kernels();
    if (name == "avx2") table_ = avx2_point_kernels();
    if (name == "avx512") table_ = avx512_point_kernels();
    if (table_ == nullptr) GTEST_SKIP() << "this processor has no " << name;
  }
  const PointKernels& k() { return *table_; }

 private:
  const PointKernels* table_ = nullptr;
};

TEST_P(PointKernelsTest, BestTwoFindsTheTwoGreatestScores) {
  for (const int64_t width : {16, 32, 96}) {
    constexpr int64_t kRows = 50;
    const at::Tensor products = at::randn({kRows, width});
    at::Tensor half_norms = at::rand({width});
    // No centre in the last places.
    half_norms.narrow(0, width - 5, 5).fill_(std::numeric_limits<float>::infinity());
    at::Tensor best = at::empty({kRows});
    at::Tensor second = at::empty({kRows});
    at::Tensor place = at::empty({kRows}, at::kInt);
    k().best_two(products.const_data_ptr<float>(), kRows, width, half_norms.const_data_ptr<float>(),
                 best.mutable_data_ptr<float>(), place.mutable_data_ptr<int32_t>(),
                 second.mutable_data_ptr<float>());
    const auto [scores, places] = (products - half_norms).topk(2, 1);
    EXPECT_TRUE(best.equal(scores.select(1, 0))) << width;
    EXPECT_TRUE(second.equal(scores.select(1, 1))) << width;
    EXPECT_TRUE(place.to(at::kLong).equal(places.select(1, 0))) << width;
  }
}

TEST_P(PointKernelsTest, BestTwoTakesTheFirstOfEqualScores) {
  constexpr int64_t kWidth = 64;
  // Equal pairs in all distances of lanes and registers.
  for (int64_t a = 0; a < kWidth; ++a) {
    for (int64_t b = a + 1; b < kWidth; ++b) {
      std::vector<float> products(kWidth, -1.0F);
      products[static_cast<size_t>(a)] = products[static_cast<size_t>(b)] = 2.0F;
      const std::vector<float> half_norms(kWidth, 0.5F);
      float best = 0;
      float second = 0;
      int32_t place = -1;
      k().best_two(products.data(), 1, kWidth, half_norms.data(), &best, &place, &second);
      EXPECT_EQ(place, a) << b;
      EXPECT_EQ(best, 1.5F);
      EXPECT_EQ(second, 1.5F) << a << " " << b;
    }
  }
}

TEST_P(PointKernelsTest, BestTwoOfASingleCentreHasNoSecond) {
  std::vector<float> products(16, 0.0F);
  std::vector<float> half_norms(16, std::numeric_limits<float>::infinity());
  products[0] = 3;
  half_norms[0] = 1;
  float best = 0;
  float second = 0;
  int32_t place = -1;
  k().best_two(products.data(), 1, 16, half_norms.data(), &best, &place, &second);
  EXPECT_EQ(best, 2.0F);
  EXPECT_EQ(place, 0);
  EXPECT_EQ(second, -std::numeric_limits<float>::infinity());
}

TEST_P(PointKernelsTest, SquaredDistanceIsThatOfATen) {
  for (const int64_t n : {1, 3, 10, 16, 31, 64, 100, 257}) {
    const at::Tensor a = at::randn({n});
    const at::Tensor b = at::randn({n});
    const double expected = (a.to(at::kDouble) - b.to(at::kDouble)).square().sum().item<double>();
    const auto of = [&](const at::Tensor& x, const at::Tensor& y) {
      return k().squared_distance(x.const_data_ptr<float>(), y.const_data_ptr<float>(), n);
    };
    EXPECT_NEAR(of(a, b), expected, 1e-6 * expected) << n;
    EXPECT_EQ(of(a, a), 0.0F) << n;
  }
}

TEST_P(PointKernelsTest, SumOfDistancesIsThatOfATen) {
  for (const int64_t n : {1, 2, 7, 64, 129}) {
    const at::Tensor x = at::randn({7}, at::kDouble);
    const at::Tensor others = at::randn({n, 7}, at::kDouble);
    at::Tensor products = others.matmul(x);
    at::Tensor norms = others.square().sum(1);
    const double norm = x.square().sum().item<double>();
    const double expected = (others - x).square().sum(1).sqrt().sum().item<double>();
    const double sum = k().sum_of_distances(products.const_data_ptr<double>(),
                                            norms.const_data_ptr<double>(), norm, 1e-15, n);
    EXPECT_NEAR(sum, expected, 1e-12 * expected) << n;
    // Squares that rounding made negative, or not quite zero, are none.
    products = at::full({n}, norm * (1 + 1e-16), at::kDouble);
    norms = at::full({n}, norm * (1 + 4e-16), at::kDouble);
    EXPECT_EQ(k().sum_of_distances(products.const_data_ptr<double>(),
                                   norms.const_data_ptr<double>(), norm, 1e-15, n),
              0.0);
  }
}

INSTANTIATE_TEST_SUITE_P(Sets, PointKernelsTest, testing::Values("baseline", "avx2", "avx512"),
                         [](const testing::TestParamInfo<std::string>& info) {
                           return info.param;
                         });

}  // namespace
}  // namespace flexae

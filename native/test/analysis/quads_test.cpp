#include "analysis/quads.h"

#include <gtest/gtest.h>

#include <cmath>

namespace flexae {
namespace {

TEST(Quads, PowerHasSixDigits) {
  for (const float exponent : {0.79F, 0.895F, 1.0F, 0.3F, -1.2F}) {
    for (float x = 1e-30F; x < 1e30F; x *= 1.37F) {
      const double wanted = std::pow(static_cast<double>(x), static_cast<double>(exponent));
      Quad powers[2] = {Quad{x, 1.0F, x, 4.0F}, Quad{4.0F, 4.0F, 4.0F, x}};
      raise_to<2>(exponent, powers);
      const Quad power = powers[0];
      const double error = static_cast<double>(power[0]) / wanted - 1;
      // An error of the logarithm counts as often as it is large.
      EXPECT_LT(std::abs(error), 2e-6 + 1e-7 * std::abs(std::log2(wanted))) << x << " " << exponent;
      EXPECT_EQ(power[0], power[2]);
      EXPECT_EQ(power[0], powers[1][3]);
      EXPECT_EQ(power[3], powers[1][0]);
      EXPECT_NEAR(power[1], 1.0F, 1e-6);
    }
  }
}

TEST(Quads, SumsKeepTheirPlaces) {
  const Quad sums = sums_of(Quad{1, 2, 3, 4}, Quad{10, 20, 30, 40}, Quad{100, 200, 300, 400},
                            Quad{1000, 2000, 3000, 4000});
  EXPECT_EQ(sums[0], 10);
  EXPECT_EQ(sums[1], 100);
  EXPECT_EQ(sums[2], 1000);
  EXPECT_EQ(sums[3], 10000);
}

}  // namespace
}  // namespace flexae

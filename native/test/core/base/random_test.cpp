#include "core/base/random.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cmath>

namespace flexae {
namespace {

TEST(Random, DropoutKeepsItsShareAndTheMean) {
  for (const double keep : {0.5, 0.9, 0.999}) {
    at::Tensor mask = at::empty({1 << 20});
    sample_dropout(mask, keep, 42);
    const at::Tensor kept = mask.gt(0);
    EXPECT_TRUE(mask.masked_select(kept).eq(static_cast<float>(1 / keep)).all().item<bool>());
    const double share = kept.to(at::kDouble).mean().item<double>();
    // Five standard deviations.
    EXPECT_NEAR(share, keep, 5 * std::sqrt(keep * (1 - keep) / (1 << 20)));
    // Neighbours, and rows of a batch, know nothing of each other.
    for (const int64_t distance : {1, 4096}) {
      const at::Tensor both = kept.slice(0, distance).logical_and(kept.slice(0, 0, -distance));
      EXPECT_NEAR(both.to(at::kDouble).mean().item<double>(), keep * keep, 0.005);
    }
  }
}

TEST(Random, DropoutFollowsFromItsBitsAlone) {
  const int threads = at::get_num_threads();
  at::Tensor mask = at::empty({100'001});
  at::Tensor again = at::empty_like(mask);
  sample_dropout(mask, 0.7, 1);
  at::set_num_threads(1);
  sample_dropout(again, 0.7, 1);
  EXPECT_TRUE(mask.equal(again));
  sample_dropout(again, 0.7, 2);
  EXPECT_FALSE(mask.equal(again));
  at::set_num_threads(threads);
}

}  // namespace
}  // namespace flexae

#include "data/cache/ram_store.h"

#include <memory>
#include <utility>

#include "core/base/error.h"
#include "test/data/cache/caching.h"
#include "test/data/support.h"

namespace flexae {
namespace {

using test::CacheTest;

TEST_F(CacheTest, MemoryKeepsEveryImage) {
  std::unique_ptr<ImageStore> images = source();
  RamStore store(std::move(images));
  EXPECT_FALSE(store.kept());
  check(store);
  EXPECT_TRUE(store.kept());
  EXPECT_EQ(decoded, kImages);
  check(store);
  // Only the one that is no image is tried again.
  EXPECT_EQ(decoded, kImages + 1);
}

TEST_F(CacheTest, MemoryThatCannotBeHadLeavesTheSource) {
  spec.height = spec.width = 1 << 28;
  std::unique_ptr<ImageStore> images = source();
  EXPECT_THROW(RamStore{std::move(images)}, Error);
  EXPECT_NE(images, nullptr);  // NOLINT(bugprone-use-after-move): the point
}

}  // namespace
}  // namespace flexae

#include "data/cache/image_cache.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "data/image_store.h"
#include "data/source/image_source.h"
#include "test/data/cache/caching.h"
#include "test/data/support.h"

namespace flexae {
namespace {

using test::CacheTest;
using test::Pixels;
using test::Random;
using test::TempFolder;

TEST_F(CacheTest, ManyThreadsFillAndReadIt) {
  Random random;
  SCOPED_TRACE(random.note());
  files.clear();
  TempFolder many;
  for (int i = 0; i < 120; ++i) {
    files.push_back(many.file(std::to_string(i) + ".png"));
    if (i % 17 == 3) {
      test::write_bytes(files.back(), {});
    } else {
      write_image(files.back());
    }
  }
  for (const auto kind : {CacheKind::kRam, CacheKind::kDisk, CacheKind::kDisk, CacheKind::kNone}) {
    decoded = 0;
    std::vector<std::unique_ptr<ImageStore>> sources;
    sources.push_back(source());
    CachedStores cached_stores =
        keep_decoded(std::move(sources), {.kind = kind, .folder = folder.string(), .note = note()});
    EXPECT_EQ(cached_stores.kind, kind);
    FileBatchSource batches(std::move(cached_stores.stores.at(0)), {.workers = 4});
    for (int pass = 0; pass < 3; ++pass) {
      std::vector<int64_t> order(files.size());
      std::iota(order.begin(), order.end(), 0);
      std::shuffle(order.begin(), order.end(), random);
      batches.start(order, 7);
      size_t seen = 0;
      for (Batch batch; batches.next(batch); seen += batch.indices.size()) {
        for (size_t row = 0; row < batch.indices.size(); ++row) {
          Pixels right(static_cast<size_t>(spec.bytes()));
          ASSERT_EQ(decode_file(files[static_cast<size_t>(batch.indices[row])], spec, right.data()),
                    std::nullopt);
          ASSERT_TRUE(std::equal(right.begin(), right.end(),
                                 batch.images.const_data_ptr<uint8_t>() + row * right.size()));
        }
      }
      EXPECT_EQ(seen, 113U);
    }
    if (kind == CacheKind::kNone) {
      EXPECT_EQ(decoded, 120 + 2 * 113);
    }
  }
  EXPECT_EQ(notes, std::vector<std::string>{});
  EXPECT_EQ(run(), 0);
}

TEST_F(CacheTest, AutoTakesMemoryWhenItIsPlenty) {
  const auto pick = [&](CacheKind kind, bool once, const DecodeSpec& one) {
    std::vector<std::unique_ptr<ImageStore>> sources;
    sources.push_back(std::make_unique<FileStore>(files, one));
    sources.push_back(std::make_unique<FileStore>(files, one));
    CachedStores result =
        keep_decoded(std::move(sources),
                     {.kind = kind, .folder = folder.string(), .once = once, .note = note()});
    EXPECT_EQ(result.stores.size(), 2U);
    for (const auto& store : result.stores) EXPECT_NE(store, nullptr);
    return result.kind;
  };
  EXPECT_EQ(pick(CacheKind::kAuto, false, spec), CacheKind::kRam);
  EXPECT_EQ(pick(CacheKind::kNone, false, spec), CacheKind::kNone);
  EXPECT_EQ(pick(CacheKind::kAuto, true, spec), CacheKind::kNone);
  EXPECT_EQ(pick(CacheKind::kRam, true, spec), CacheKind::kNone);
  EXPECT_EQ(cached(), std::vector<std::string>{});
  EXPECT_EQ(notes, std::vector<std::string>{});
  // More than any machine's memory and disk together.
  DecodeSpec vast = spec;
  vast.height = vast.width = 1 << 22;
  EXPECT_EQ(pick(CacheKind::kAuto, false, vast), CacheKind::kNone);
  EXPECT_EQ(notes.size(), 1U);
  EXPECT_EQ(pick(CacheKind::kRam, false, vast), CacheKind::kNone);
  EXPECT_EQ(notes.size(), 2U);
  vast.height = vast.width = 1 << 30;
  EXPECT_EQ(pick(CacheKind::kDisk, false, vast), CacheKind::kNone);

  // What an earlier run left serves a single pass too.
  ASSERT_EQ(run(), kImages);
  EXPECT_EQ(pick(CacheKind::kAuto, true, spec), CacheKind::kDisk);
  EXPECT_EQ(pick(CacheKind::kDisk, true, spec), CacheKind::kDisk);
  EXPECT_EQ(pick(CacheKind::kNone, true, spec), CacheKind::kNone);
}

TEST(Cache, HasFourNames) {
  for (const char* name : {"auto", "ram", "disk", "none"}) {
    EXPECT_STREQ(cache_kind_name(cache_kind_from_name(name)), name);
  }
  EXPECT_THROW(static_cast<void>(cache_kind_from_name("memory")), Error);
  EXPECT_GT(available_memory(), int64_t{1} << 20);
}

}  // namespace
}  // namespace flexae

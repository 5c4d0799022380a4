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

/// A system of files: /proc and /sys as a process sees them.
class AvailableMemory : public ::testing::Test {
 protected:
  AvailableMemory() { write("/proc/meminfo", "MemTotal: 16 kB\nMemAvailable:    8 kB\n"); }
  void write(const std::string& path, const std::string& text) {
    test::write_bytes(root_.path().string() + path, {text.begin(), text.end()});
  }
  /// A group's files, in version 2.
  void limit(const std::string& group, const std::string& max, const std::string& current) {
    write("/sys/fs/cgroup" + group + "/memory.max", max + "\n");
    write("/sys/fs/cgroup" + group + "/memory.current", current + "\n");
  }
  int64_t available() { return available_memory(root_.path().string()); }

 private:
  TempFolder root_;
};

TEST_F(AvailableMemory, IsTheLeastThatTheGroupsLeave) {
  EXPECT_EQ(available(), 8192);
  write("/proc/self/cgroup", "0::/jobs/night\n");
  // Another's group limits nothing here, nor does one without a limit.
  limit("/jobs/day", "10", "5");
  limit("/jobs/night", "max", "3000");
  EXPECT_EQ(available(), 8192);
  limit("/jobs", "9000", "2000");
  EXPECT_EQ(available(), 7000);
  limit("/jobs/night", "4500", "3000");
  EXPECT_EQ(available(), 1500);
  limit("", "6000", "5000");
  EXPECT_EQ(available(), 1000);
  // A limit may be lowered below what is in use.
  limit("/jobs", "1000", "2000");
  EXPECT_EQ(available(), 0);
}

TEST_F(AvailableMemory, KnowsTheFirstVersion) {
  write("/proc/self/cgroup", "9:memory:/docker/0123\n5:cpu,cpuacct:/other\n0::/\n");
  // Without a limit, version 1 says the largest number of whole pages.
  write("/sys/fs/cgroup/memory/docker/0123/memory.limit_in_bytes", "9223372036854771712\n");
  write("/sys/fs/cgroup/memory/docker/0123/memory.usage_in_bytes", "500\n");
  EXPECT_EQ(available(), 8192);
  // A container's own view: its group is the root.
  write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "3000\n");
  write("/sys/fs/cgroup/memory/memory.usage_in_bytes", "500\n");
  EXPECT_EQ(available(), 2500);
  write("/sys/fs/cgroup/memory/docker/0123/memory.limit_in_bytes", "700\n");
  EXPECT_EQ(available(), 200);
}

TEST_F(AvailableMemory, IsNothingIfItCannotBeTold) {
  write("/proc/meminfo", "MemTotal: 16 kB\n");
  EXPECT_EQ(available(), 0);
}

}  // namespace
}  // namespace flexae

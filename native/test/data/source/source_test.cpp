#include "data/source/image_source.h"

#include <ATen/ops/randint.h>
#include <sched.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <numeric>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/base/cpu_info.h"
#include "core/base/error.h"
#include "data/source/memory_source.h"
#include "test/data/support.h"

namespace flexae {
namespace {

using test::Random;
using test::TempFolder;

using Bad = std::vector<std::pair<std::string, std::string>>;

/// A folder of small PNGs of noise, some of them spoilt.
class ImageSet {
 public:
  ImageSet(int count, int height, int width, int channels, Random& random)
      : spec{height, width, channels, Interpolation::kArea} {
    for (int i = 0; i < count; ++i) {
      const cv::Mat image = test::noise(height, width, channels, random);
      files.push_back(folder_.file(std::to_string(i) + ".png"));
      test::write_bytes(files.back(), test::encode(".png", image));
      std::vector<uint8_t> bytes(static_cast<size_t>(spec.bytes()));
      EXPECT_FALSE(decode_file(files.back(), spec, bytes.data()));
      pixels.push_back(std::move(bytes));
    }
  }

  void spoil(size_t index) {
    std::filesystem::resize_file(files[index], 40);
    pixels[index].clear();
  }

  DecodeSpec spec;
  std::vector<std::string> files;
  std::vector<std::vector<uint8_t>> pixels;  // empty for a spoilt image

 private:
  TempFolder folder_;
};

std::vector<int64_t> shuffled(size_t count, Random& random) {
  std::vector<int64_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), random);
  return order;
}

/// Checks a batch's every byte; `expected` are the indices asked of it, spoilt ones included.
void check_batch(const ImageSet& set, const Batch& batch, const std::vector<int64_t>& expected) {
  std::vector<int64_t> good;
  for (const int64_t index : expected) {
    if (!set.pixels[static_cast<size_t>(index)].empty()) good.push_back(index);
  }
  ASSERT_EQ(batch.indices, good);
  ASSERT_EQ(batch.images.scalar_type(), at::kByte);
  ASSERT_TRUE(batch.images.is_contiguous());
  ASSERT_EQ(batch.images.sizes(),
            (at::IntArrayRef{static_cast<int64_t>(good.size()), set.spec.height, set.spec.width,
                             set.spec.channels}));
  const auto* bytes = batch.images.const_data_ptr<uint8_t>();
  for (size_t i = 0; i < good.size(); ++i) {
    const auto& pixels = set.pixels[static_cast<size_t>(good[i])];
    ASSERT_TRUE(std::equal(pixels.begin(), pixels.end(), bytes + i * pixels.size())) << good[i];
  }
}

/// One whole pass.
void check_pass(const ImageSet& set, BatchSource& source, const std::vector<int64_t>& order,
                size_t batch_size) {
  source.start(order, static_cast<int64_t>(batch_size));
  Batch batch;
  for (size_t at = 0; at < order.size(); at += batch_size) {
    ASSERT_TRUE(source.next(batch));
    const size_t end = std::min(at + batch_size, order.size());
    ASSERT_NO_FATAL_FAILURE(check_batch(
        set, batch,
        {order.begin() + static_cast<long>(at), order.begin() + static_cast<long>(end)}));
  }
  ASSERT_FALSE(source.next(batch));
  ASSERT_FALSE(source.next(batch));
}

TEST(FileSource, GivesEveryImageInOrder) {
  Random random;
  SCOPED_TRACE(random.note());
  const ImageSet set(53, 9, 7, 3, random);
  for (const int workers : {1, 2, 4}) {
    FileBatchSource source(set.files, set.spec, {.workers = workers});
    EXPECT_EQ(source.size(), 53);
    for (const size_t batch_size : {1U, 4U, 53U, 100000U}) {
      ASSERT_NO_FATAL_FAILURE(check_pass(set, source, shuffled(53, random), batch_size));
    }
    ASSERT_NO_FATAL_FAILURE(check_pass(set, source, {7, 3, 50}, 2));
    ASSERT_NO_FATAL_FAILURE(check_pass(set, source, {}, 2));
  }
}

TEST(FileSource, LeavesOutSpoiltImagesAndTellsOnce) {
  Random random;
  SCOPED_TRACE(random.note());
  ImageSet set(20, 8, 8, 1, random);
  for (const size_t index : {0U, 5U, 6U, 7U, 8U, 19U}) set.spoil(index);
  std::filesystem::remove(set.files[5]);
  Bad bad;
  const auto consumer = std::this_thread::get_id();
  FileBatchSource source(set.files, set.spec,
                         {.workers = 3, .on_bad = [&](const auto& name, const auto& reason) {
                            EXPECT_EQ(std::this_thread::get_id(), consumer);
                            bad.emplace_back(name, reason);
                          }});
  std::vector<int64_t> order(20);
  std::iota(order.begin(), order.end(), 0);
  // The batch of 5…8 comes empty.
  order = {0, 1, 2, 3, 5, 6, 7, 8, 4, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19};
  ASSERT_NO_FATAL_FAILURE(check_pass(set, source, order, 4));
  EXPECT_EQ(bad, (Bad{{set.files[0], "truncated"},
                      {set.files[5], "no such file"},
                      {set.files[6], "truncated"},
                      {set.files[7], "truncated"},
                      {set.files[8], "truncated"},
                      {set.files[19], "truncated"}}));
  for (int pass = 0; pass < 3; ++pass) {
    ASSERT_NO_FATAL_FAILURE(check_pass(set, source, shuffled(20, random), 3));
  }
  EXPECT_EQ(bad.size(), 6U);
}

TEST(FileSource, FilesMayVanishBetweenPasses) {
  Random random;
  SCOPED_TRACE(random.note());
  ImageSet set(12, 8, 8, 1, random);
  Bad bad;
  FileBatchSource source(set.files, set.spec,
                         {.workers = 2, .on_bad = [&](const auto& name, const auto& reason) {
                            bad.emplace_back(name, reason);
                          }});
  ASSERT_NO_FATAL_FAILURE(check_pass(set, source, shuffled(12, random), 5));
  EXPECT_TRUE(bad.empty());
  std::filesystem::remove(set.files[4]);
  set.pixels[4].clear();
  ASSERT_NO_FATAL_FAILURE(check_pass(set, source, shuffled(12, random), 5));
  EXPECT_EQ(bad, (Bad{{set.files[4], "no such file"}}));
}

TEST(FileSource, BatchesStayTheConsumersOwn) {
  Random random;
  SCOPED_TRACE(random.note());
  const ImageSet set(40, 8, 8, 1, random);
  FileBatchSource source(set.files, set.spec, {.workers = 2});
  std::vector<Batch> kept;
  std::vector<at::Tensor> copies;
  std::vector<at::Tensor> views;
  for (int pass = 0; pass < 5; ++pass) {
    source.start(shuffled(40, random), 4);
    for (Batch batch; source.next(batch);) {
      copies.push_back(batch.images.clone());
      // Every other time only a view of the batch is kept.
      if (copies.size() % 2 == 0) {
        kept.push_back(batch);
        views.push_back(batch.images);
      } else {
        views.push_back(batch.images.view({-1}).view(batch.images.sizes()));
      }
    }
  }
  for (size_t i = 0; i < copies.size(); ++i) {
    ASSERT_TRUE(views[i].equal(copies[i])) << "batch " << i << " was written to again";
  }
}

/// The real store, watched.
class WatchedStore : public FileStore {
 public:
  using FileStore::FileStore;
  std::optional<std::string> load(int64_t index, uint8_t* out) override {
    ++loads;
    return FileStore::load(index, out);
  }
  std::atomic<int> loads = 0;
};

TEST(FileSource, RunsAheadOnlySoFar) {
  Random random;
  SCOPED_TRACE(random.note());
  const ImageSet set(200, 8, 8, 1, random);
  const auto run = [&](SourceOptions options, int64_t batch_size, int bound) {
    auto store = std::make_unique<WatchedStore>(set.files, set.spec);
    WatchedStore& watched = *store;
    FileBatchSource source(std::move(store), std::move(options));
    source.start(shuffled(200, random), batch_size);
    Batch batch;
    for (int taken = 0; taken < 3; ++taken) {
      // Until the workers stand still.
      int before = -1;
      while (before != watched.loads) {
        before = watched.loads;
        std::this_thread::sleep_for(std::chrono::milliseconds(60));
      }
      EXPECT_LE(watched.loads, taken * batch_size + bound);
      EXPECT_GE(watched.loads, taken * batch_size + batch_size);
      ASSERT_TRUE(source.next(batch));
    }
  };
  run({.workers = 2}, 10, 40);                        // workers + 2 batches
  run({.workers = 2, .max_bytes = 64 * 25}, 10, 20);  // two batches of 640 bytes
  run({.workers = 4, .max_bytes = 1}, 10, 10);        // one at least
}

TEST(FileSource, AbandonedPassesLeaveNothingBehind) {
  Random random;
  SCOPED_TRACE(random.note());
  ImageSet set(150, 12, 10, 1, random);
  for (int i = 0; i < 10; ++i) set.spoil(static_cast<size_t>(random.between(0, 149)));
  for (int workers = 1; workers <= 4; ++workers) {
    std::map<std::string, int> told;
    FileBatchSource source(
        set.files, set.spec,
        {.workers = workers, .on_bad = [&](const auto& name, const auto&) { ++told[name]; }});
    Batch batch;
    for (int pass = 0; pass < 60; ++pass) {
      const auto batch_size = static_cast<size_t>(random.between(1, pass % 3 == 0 ? 200 : 16));
      const std::vector<int64_t> order = shuffled(150, random);
      if (pass % 4 == 0) {
        ASSERT_NO_FATAL_FAILURE(check_pass(set, source, order, batch_size));
        continue;
      }
      source.start(order, static_cast<int64_t>(batch_size));
      size_t at = 0;
      for (int wanted = random.between(0, 5); wanted > 0 && source.next(batch); --wanted) {
        const size_t end = std::min(at + batch_size, order.size());
        ASSERT_NO_FATAL_FAILURE(check_batch(
            set, batch,
            {order.begin() + static_cast<long>(at), order.begin() + static_cast<long>(end)}));
        at = end;
      }
    }
    for (const auto& [name, times] : told) EXPECT_EQ(times, 1) << name;
    EXPECT_EQ(told.size(), static_cast<size_t>(
                               std::count_if(set.pixels.begin(), set.pixels.end(),
                                             [](const auto& pixels) { return pixels.empty(); })));
  }
  // Destroyed before, just after and amid a pass.
  for (int round = 0; round < 40; ++round) {
    FileBatchSource source(set.files, set.spec, {.workers = 1 + round % 4});
    if (round % 5 == 0) continue;
    source.start(shuffled(150, random), 1 + round % 17);
    Batch batch;
    for (int i = round % 3; i > 0; --i) source.next(batch);
  }
}

TEST(FileSource, TroubleOfTheSystemEndsThePass) {
  Random random;
  const ImageSet set(30, 8, 8, 1, random);
  FileBatchSource source(set.files, set.spec, {.workers = 2});
  ASSERT_NO_FATAL_FAILURE(check_pass(set, source, shuffled(30, random), 4));
  rlimit old = {};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
  rlimit none = old;
  none.rlim_cur = 0;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  ErrorCode code = ErrorCode::kInternal;
  source.start(shuffled(30, random), 4);
  Batch batch;
  try {
    while (source.next(batch)) {
    }
  } catch (const Error& error) {
    code = error.code();
  }
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
  EXPECT_EQ(code, ErrorCode::kIo);
  EXPECT_THROW(source.next(batch), Error);
  // No image was taken for a bad one, and a new pass works.
  ASSERT_NO_FATAL_FAILURE(check_pass(set, source, shuffled(30, random), 4));
}

// Not of the machine's size: a job is often given a part of it.
TEST(FileSource, HasAsManyWorkersAsThereAreCoresToUse) {
  EXPECT_EQ(default_workers(), std::clamp(available_cores(), 1, 16));
  const auto tell = [] {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<size_t>(::sched_getcpu()), &set);
    if (::sched_setaffinity(0, sizeof set, &set) != 0) std::exit(2);
    std::fprintf(stderr, "%d workers\n", default_workers());
    std::exit(0);
  };
  EXPECT_EXIT(tell(), testing::ExitedWithCode(0), "^1 workers\n");
}

TEST(FileSource, RefusesImpossibleRequests) {
  Random random;
  const ImageSet set(3, 8, 8, 1, random);
  FileBatchSource source(set.files, set.spec, {.workers = 1});
  Batch batch;
  EXPECT_FALSE(source.next(batch));
  EXPECT_THROW(source.start({0, 3}, 2), Error);
  EXPECT_THROW(source.start({-1}, 2), Error);
  EXPECT_THROW(source.start({0}, 0), Error);
  EXPECT_FALSE(source.next(batch));
  ASSERT_NO_FATAL_FAILURE(check_pass(set, source, {2, 0, 1}, 2));
}

TEST(FileSource, MemoryThatCannotBeHadIsNamed) {
  Random random;
  const ImageSet set(3, 8, 8, 1, random);
  DecodeSpec spec = set.spec;
  spec.height = spec.width = 1 << 30;
  FileBatchSource source(set.files, spec, {.workers = 1});
  try {
    source.start({0, 1, 2}, 3);
    FAIL() << "an exabyte was had";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kMemory);
  }
  Batch batch;
  EXPECT_THROW(source.next(batch), Error);
}

TEST(MemorySource, GivesEveryImageInOrder) {
  Random random;
  SCOPED_TRACE(random.note());
  const at::Tensor images =
      at::randint(0, 256, {17, 5, 4, 3}, at::TensorOptions().dtype(at::kByte));
  MemoryBatchSource source(images);
  EXPECT_EQ(source.size(), 17);
  for (const int64_t batch_size : {1, 5, 17, 1000}) {
    const std::vector<int64_t> order = shuffled(17, random);
    source.start(order, batch_size);
    std::vector<int64_t> seen;
    for (Batch batch; source.next(batch);) {
      ASSERT_EQ(batch.images.size(0), static_cast<int64_t>(batch.indices.size()));
      ASSERT_LE(batch.images.size(0), batch_size);
      for (size_t i = 0; i < batch.indices.size(); ++i) {
        ASSERT_TRUE(batch.images[static_cast<int64_t>(i)].equal(images[batch.indices[i]]));
      }
      seen.insert(seen.end(), batch.indices.begin(), batch.indices.end());
    }
    EXPECT_EQ(seen, order);
  }
  EXPECT_THROW(source.start({17}, 1), Error);
  EXPECT_THROW(source.start({0}, 0), Error);
  EXPECT_THROW(MemoryBatchSource(images.to(at::kFloat)), Error);
  EXPECT_THROW(MemoryBatchSource{images[0]}, Error);
}

}  // namespace
}  // namespace flexae

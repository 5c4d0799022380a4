#include "data/cache/cache_file.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <numeric>
#include <string>
#include <vector>

#include "data/files/cache_folder.h"
#include "test/data/cache/caching.h"
#include "test/data/support.h"

namespace flexae {
namespace {

namespace fs = std::filesystem;
using test::CacheTest;
using test::Pixels;
using test::Random;

TEST_F(CacheTest, SettingsMakeOtherFiles) {
  ASSERT_EQ(run(), kImages);
  const DecodeSpec before = spec;
  for (const auto& change : std::initializer_list<std::function<void()>>{
           [&] { spec.height = 13; }, [&] { spec.width = 9; }, [&] { spec.channels = 1; },
           [&] { std::swap(spec.height, spec.width); }, [&] { spec.max_pixels = 1000; },
           [&] { spec.interpolation = Interpolation::kNearest; }}) {
    spec = before;
    change();
    EXPECT_EQ(run(), kImages);
    EXPECT_EQ(run(), 0);
  }
  spec = before;
  EXPECT_EQ(run(), 0);
  EXPECT_EQ(cached().size(), 7U);
}

TEST_F(CacheTest, DamageIsNeverTrusted) {
  ASSERT_EQ(run(), kImages);
  const std::string path = cached().at(0);
  const Pixels whole = test::read_bytes(path);
  const auto index_at = static_cast<size_t>(index_offset(kImages, spec));
  ASSERT_EQ(whole.size(), index_at + kImages * 16 + std::string("not an image").size());

  Random random;
  SCOPED_TRACE(random.note());
  // Every byte of the header, every field of the index, some of each image, all of the reasons.
  std::vector<size_t> places(112);
  std::iota(places.begin(), places.end(), 0);
  for (size_t at = index_at; at < whole.size(); ++at) places.push_back(at);
  for (int i = 0; i < kImages; ++i) {
    const auto at = static_cast<size_t>(image_offset(i, spec));
    places.push_back(at);
    places.push_back(at +
                     static_cast<size_t>(random.between(0, static_cast<int>(spec.bytes()) - 1)));
  }
  for (const size_t at : places) {
    Pixels damaged = whole;
    damaged[at] ^= static_cast<uint8_t>(1 << random.between(0, 7));
    test::write_bytes(path, damaged);
    decoded = 0;
    const int again = run();
    const bool in_pixels = at >= 4096 && at < index_at;
    const bool in_bad_image = at >= static_cast<size_t>(image_offset(4, spec)) &&
                              at < static_cast<size_t>(image_offset(5, spec));
    // One image of a set is decoded again and put right; anything else has the file made again.
    EXPECT_EQ(again, in_bad_image ? 0 : in_pixels ? 1 : kImages) << at;
    EXPECT_EQ(run(), 0) << at;
    if (!in_bad_image) {
      EXPECT_EQ(test::read_bytes(path), whole) << at;
    }
  }
}

TEST_F(CacheTest, FilesCutShortOrGrownAreMadeAgain) {
  ASSERT_EQ(run(), kImages);
  const std::string path = cached().at(0);
  const auto size = fs::file_size(path);
  for (const auto other : {uintmax_t{0}, uintmax_t{1}, uintmax_t{111}, uintmax_t{4096},
                           uintmax_t{5000}, size - 1, size + 1, size + 100000}) {
    fs::resize_file(path, other);
    EXPECT_EQ(run(), kImages) << other;
    EXPECT_EQ(run(), 0) << other;
    EXPECT_EQ(fs::file_size(path), size);
  }
  // What only bears the name.
  fs::remove(path);
  fs::create_symlink(files[0], path);
  EXPECT_EQ(run(), kImages);
  EXPECT_EQ(run(), 0);
  EXPECT_TRUE(fs::is_regular_file(fs::symlink_status(path)));
}

/// A file as a stranger would make it: every hash is right, whatever the rest is.
TEST_F(CacheTest, AStrangersFileCannotAskForMemoryNorForTheTerminal) {
  ASSERT_EQ(run(), kImages);
  const std::string path = cached().at(0);
  const std::string key = fs::path(path).stem().string();
  const auto offer = [&](const std::string& reasons, uint32_t length) {
    CacheIndex index;
    index.entries.resize(kImages);
    index.entries[0] = {0, CacheEntry::kBad, length};
    index.reasons = reasons;
    const Descriptor file(::open(path.c_str(), O_RDWR));
    EXPECT_EQ(write_cache_index(file.get(), key, spec, index), 0);
    return read_cache_index(file.get(), key, spec, kImages).has_value();
  };
  EXPECT_TRUE(offer("a reason", 8));
  EXPECT_FALSE(offer("a reason", 9));
  EXPECT_FALSE(offer("\x1b[31m", 5));
  EXPECT_FALSE(offer("two\nlines", 9));
  EXPECT_TRUE(offer(std::string(kImages * 1024, 'x'), 8));
  EXPECT_FALSE(offer(std::string(kImages * 1024 + 1, 'x'), 8));
  EXPECT_EQ(run(), kImages);
}

TEST_F(CacheTest, AFileCutShortInUseIsNotTrusted) {
  ASSERT_EQ(run(), kImages);
  const auto store = open();
  ASSERT_TRUE(store->reused());
  check(*store);
  fs::resize_file(cached().at(0), 4096);
  check(*store);
  EXPECT_EQ(decoded, 2 * kImages - 1);
}

TEST_F(CacheTest, ReadOnlyFilesServe) {
  ASSERT_EQ(run(), kImages);
  const std::string path = cached().at(0);
  Pixels damaged = test::read_bytes(path);
  damaged[static_cast<size_t>(image_offset(2, spec))] ^= 1;
  test::write_bytes(path, damaged);
  // Root may write to any file: another user reads it.
  fs::permissions(path, fs::perms::owner_read);
  const pid_t child = fork();
  if (child == 0) {
    if (geteuid() == 0) {
      for (fs::path up = folder; up != "/"; up = up.parent_path()) {
        fs::permissions(up, fs::perms::others_exec | fs::perms::others_read, fs::perm_options::add);
      }
      fs::permissions(fs::path(files[0]).parent_path(),
                      fs::perms::others_exec | fs::perms::others_read, fs::perm_options::add);
      fs::permissions(path, fs::perms::others_read, fs::perm_options::add);
      test::become_nobody();
    }
    decoded = 0;
    const auto store = open();
    const bool reused = store->reused();
    check(*store);
    check(*store);
    const bool told = notes.size() == 1 && notes[0].find("damaged") != std::string::npos;
    // The damaged one is decoded each time.
    _exit(reused && told && decoded == 2 && !HasFailure() ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace flexae

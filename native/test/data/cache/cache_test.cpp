#include <fcntl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <numeric>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/error.h"
#include "data/cache/cache_file.h"
#include "data/cache/cache_folder.h"
#include "data/cache/disk_store.h"
#include "data/cache/image_cache.h"
#include "data/cache/ram_store.h"
#include "data/hash.h"
#include "data/source/image_source.h"
#include "test/data/support.h"

namespace flexae {
namespace {

namespace fs = std::filesystem;
using test::Random;
using test::TempFolder;

using Pixels = std::vector<uint8_t>;

/// The real store of files, its loads counted.
class CountingStore : public FileStore {
 public:
  CountingStore(std::vector<std::string> files, const DecodeSpec& spec, std::atomic<int>& loads)
      : FileStore(std::move(files), spec), loads_(loads) {}
  std::optional<std::string> load(int64_t index, uint8_t* out) override {
    ++loads_;
    return FileStore::load(index, out);
  }

 private:
  std::atomic<int>& loads_;
};

class CacheTest : public ::testing::Test {
 protected:
  static constexpr int kImages = 9;

  CacheTest() {
    for (int i = 0; i < kImages; ++i) {
      files.push_back(images_.file("image" + std::to_string(i) + ".png"));
      write_image(files.back());
    }
    // One that is no image.
    test::write_bytes(files[4], {1, 2, 3});
  }

  void write_image(const std::string& path) {
    test::write_bytes(path, test::encode(".png", test::noise(21, 17, 3, random_)));
  }

  std::unique_ptr<ImageStore> source() {
    return std::make_unique<CountingStore>(files, spec, decoded);
  }

  DiskStore::Note note() {
    return [this](const std::string& message) {
      const std::lock_guard lock(notes_mutex_);
      notes.push_back(message);
    };
  }

  std::unique_ptr<DiskStore> open() {
    return std::make_unique<DiskStore>(source(), folder.string(), note());
  }

  /// Loads all images and checks each against its file as decoded without any store.
  void check(ImageStore& store) {
    for (int64_t i = 0; i < store.size(); ++i) {
      const std::string& path = files[static_cast<size_t>(i)];
      Pixels right(static_cast<size_t>(spec.bytes()));
      const auto why = decode_file(path, spec, right.data());
      Pixels loaded(right.size());
      ASSERT_EQ(store.load(i, loaded.data()), why) << path;
      if (!why) {
        ASSERT_EQ(loaded, right) << path;
      }
    }
  }

  /// One run that loads everything once; how many files it decoded.
  int run() {
    decoded = 0;
    const auto store = open();
    EXPECT_TRUE(store->begin());
    check(*store);
    return decoded;
  }

  std::vector<std::string> cached() {
    std::vector<std::string> paths;
    if (fs::exists(folder)) {
      for (const auto& entry : fs::directory_iterator(folder)) {
        paths.push_back(entry.path().string());
      }
    }
    std::sort(paths.begin(), paths.end());
    return paths;
  }

  DecodeSpec spec{12, 10, 3, Interpolation::kArea};
  std::vector<std::string> files;
  std::atomic<int> decoded = 0;
  std::vector<std::string> notes;

 private:
  TempFolder images_;
  TempFolder cache_;
  Random random_;
  std::mutex notes_mutex_;

 protected:
  fs::path folder = cache_.path() / "a" / "decoded";
};

TEST(Xxh64, GivesThePublishedValues) {
  const auto of = [](const std::string& text, uint64_t seed) {
    return xxh64({reinterpret_cast<const uint8_t*>(text.data()), text.size()}, seed);
  };
  EXPECT_EQ(of("", 0), 0xEF46DB3751D8E999U);
  EXPECT_EQ(of("a", 0), 0xD24EC4F1A98C6E5BU);
  EXPECT_EQ(of("abc", 0), 0x44BC2CF5AD770999U);
  EXPECT_EQ(of("Nobody inspects the spammish repetition", 0), 0xFBCEA83C8A378BF1U);
}

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

TEST_F(CacheTest, LaterRunsDecodeNothing) {
  EXPECT_EQ(run(), kImages);
  ASSERT_EQ(cached().size(), 1U);
  EXPECT_TRUE(cached()[0].ends_with(".images")) << cached()[0];
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(run(), 0);
    const auto store = open();
    EXPECT_TRUE(store->reused());
    EXPECT_TRUE(store->kept());
    check(*store);
    check(*store);  // now without checking hashes
    EXPECT_EQ(decoded, 0);
  }
  EXPECT_EQ(notes, std::vector<std::string>{});
  struct stat info = {};
  ASSERT_EQ(stat(cached()[0].c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
}

TEST_F(CacheTest, SecondPassesDecodeNothing) {
  const auto store = open();
  ASSERT_TRUE(store->begin());
  EXPECT_FALSE(store->kept());
  check(*store);
  EXPECT_TRUE(store->kept());
  check(*store);
  EXPECT_EQ(decoded, kImages);
}

TEST_F(CacheTest, ChangesOfTheSetAreNoticed) {
  ASSERT_EQ(run(), kImages);
  // Same size, same name, other pixels; its time tells.
  fs::copy_file(files[1], files[0], fs::copy_options::overwrite_existing);
  EXPECT_EQ(run(), kImages);
  EXPECT_EQ(run(), 0);
  // Only its time.
  fs::last_write_time(files[2], fs::last_write_time(files[2]) + std::chrono::nanoseconds(1));
  EXPECT_EQ(run(), kImages);
  const std::string removed = files.back();
  files.pop_back();
  EXPECT_EQ(run(), kImages - 1);
  files.push_back(removed);
  EXPECT_EQ(run(), 0);
  std::swap(files[0], files[1]);
  EXPECT_EQ(run(), kImages);
  EXPECT_EQ(run(), 0);
  // One that is missing, and then comes.
  files.push_back(files[0] + ".later.png");
  EXPECT_EQ(run(), kImages + 1);
  EXPECT_EQ(run(), 1);
  write_image(files.back());
  EXPECT_EQ(run(), kImages + 1);
  EXPECT_EQ(run(), 0);
}

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

TEST_F(CacheTest, AnImageThatChangesMidwaySpoilsTheFile) {
  {
    const auto store = open();
    ASSERT_TRUE(store->begin());
    write_image(files[8]);
    check(*store);
    check(*store);
    EXPECT_EQ(decoded, kImages);
  }
  EXPECT_EQ(cached(), std::vector<std::string>{});
}

TEST_F(CacheTest, APassCutShortLeavesNothing) {
  {
    const auto store = open();
    ASSERT_TRUE(store->begin());
    Pixels pixels(static_cast<size_t>(spec.bytes()));
    store->load(0, pixels.data());
    EXPECT_EQ(cached().size(), 1U);
  }
  EXPECT_EQ(cached(), std::vector<std::string>{});
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
    const FileHandle file(::open(path.c_str(), O_RDWR));
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

TEST_F(CacheTest, FoldersThatCannotBeUsedAreToldOnce) {
  const auto refused = [&](const std::string& where, const std::string& why) {
    notes.clear();
    decoded = 0;
    {
      DiskStore store(source(), where, note());
      EXPECT_FALSE(store.begin()) << where;
      check(store);
      check(store);
      EXPECT_FALSE(store.kept());
    }
    EXPECT_EQ(decoded, 2 * kImages);
    ASSERT_EQ(notes.size(), 1U);
    EXPECT_NE(notes[0].find(why), std::string::npos) << notes[0];
    EXPECT_NE(notes[0].find("--cache none"), std::string::npos) << notes[0];
    EXPECT_LE(std::count(notes[0].begin(), notes[0].end(), '\n'), 1);
  };
  refused("", "no home folder");
  refused(files[0] + "/decoded", "Not a directory");
  refused("/proc/nowhere/decoded", "No such file");
  refused("/sys/decoded", "permitted");
}

TEST_F(CacheTest, ReadOnlyFoldersAreTold) {
  fs::create_directories(folder);
  const pid_t child = fork();
  if (child == 0) {
    if (geteuid() == 0) {
      for (fs::path up = folder; up != "/"; up = up.parent_path()) {
        fs::permissions(up, fs::perms::others_exec | fs::perms::others_read, fs::perm_options::add);
      }
      test::become_nobody();
    } else {
      fs::permissions(folder, fs::perms::owner_read | fs::perms::owner_exec);
    }
    const auto store = open();
    const bool begun = store->begin();
    const bool told = notes.size() == 1 && notes[0].find("Permission denied") != std::string::npos;
    _exit(!begun && told ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST_F(CacheTest, AFullDiskEndsTheCacheNotTheRun) {
  TempFolder disk;
  if (geteuid() != 0 || mount("none", disk.path().c_str(), "tmpfs", 0, "size=40k") != 0) {
    GTEST_SKIP() << "mounting a small disk takes root's rights";
  }
  const auto unmount = [&] { umount2(disk.path().c_str(), MNT_DETACH); };
  folder = disk.path() / "decoded";
  spec = {100, 100, 1, Interpolation::kArea};
  {
    // Noticed at the start.
    const auto store = open();
    EXPECT_FALSE(store->begin());
    check(*store);
    EXPECT_EQ(decoded, kImages);
    ASSERT_EQ(notes.size(), 1U);
    EXPECT_NE(notes[0].find("No space left"), std::string::npos) << notes[0];
    EXPECT_EQ(cached(), std::vector<std::string>{});
  }
  unmount();
}

TEST_F(CacheTest, ADiskThatFillsUpMidwayEndsTheCacheNotTheRun) {
  // A limit on this process's files fails a write as a full disk does, in the middle of the file.
  const auto store = open();
  ASSERT_TRUE(store->begin());
  Pixels pixels(static_cast<size_t>(spec.bytes()));
  ASSERT_EQ(store->load(0, pixels.data()), std::nullopt);
  ASSERT_EQ(signal(SIGXFSZ, SIG_IGN), SIG_DFL);
  rlimit old = {};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
  rlimit small = old;
  small.rlim_cur = static_cast<rlim_t>(image_offset(3, spec));
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  check(*store);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &old), 0);
  signal(SIGXFSZ, SIG_DFL);
  check(*store);
  EXPECT_FALSE(store->kept());
  EXPECT_EQ(notes.size(), 1U);
  EXPECT_EQ(cached(), std::vector<std::string>{});
}

TEST_F(CacheTest, ProcessesThatBuildTheSameFileDoNotClash) {
  std::vector<pid_t> children;
  for (int c = 0; c < 6; ++c) {
    const pid_t child = fork();
    if (child == 0) {
      for (int round = 0; round < 15; ++round) {
        const auto store = open();
        const bool begun = store->begin();
        check(*store);
        check(*store);
        if (!begun || HasFailure()) _exit(1);
        // As if nobody had made it yet.
        if (round % 3 == c % 3)
          for (const std::string& path : cached())
            if (path.ends_with(".images")) unlink(path.c_str());
      }
      _exit(notes.empty() ? 0 : 1);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
  run();
  EXPECT_EQ(run(), 0);
  EXPECT_EQ(cached().size(), 1U);
}

TEST_F(CacheTest, WhatAKilledProcessLeftIsRemoved) {
  std::array<int, 2> ready{};
  ASSERT_EQ(pipe(ready.data()), 0);
  const pid_t child = fork();
  if (child == 0) {
    const auto store = open();
    store->begin();
    if (write(ready[1], "x", 1) != 1) _exit(1);
    pause();
    _exit(0);
  }
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  ASSERT_EQ(cached().size(), 1U);
  // Alive, it keeps its file.
  trim_cache_folder(folder.string(), 0);
  EXPECT_EQ(cached().size(), 1U);
  ASSERT_EQ(kill(child, SIGKILL), 0);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  EXPECT_EQ(cached().size(), 1U);
  trim_cache_folder(folder.string(), 0);
  EXPECT_EQ(cached(), std::vector<std::string>{});
  close(ready[0]);
  close(ready[1]);
}

TEST_F(CacheTest, TheLongestUnusedGoFirst) {
  std::map<int, std::string> paths;
  for (const int height : {8, 9, 10, 11}) {
    spec.height = height;
    run();
    for (const std::string& path : cached()) {
      const bool known = std::any_of(paths.begin(), paths.end(),
                                     [&](const auto& entry) { return entry.second == path; });
      if (!known) paths[height] = path;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  ASSERT_EQ(paths.size(), 4U);
  // Use makes the oldest the newest.
  spec.height = 8;
  EXPECT_EQ(run(), 0);
  const std::string foreign = (folder / "notes.txt").string();
  test::write_bytes(foreign, Pixels(100000));
  const auto size = [&](int height) { return static_cast<int64_t>(fs::file_size(paths[height])); };

  trim_cache_folder(folder.string(), 0, "", size(8) + size(9) + size(10) + size(11));
  EXPECT_EQ(cached().size(), 5U);
  trim_cache_folder(folder.string(), 1, "", size(8) + size(9) + size(10) + size(11));
  EXPECT_FALSE(fs::exists(paths[9]));
  EXPECT_EQ(cached().size(), 4U);
  {
    // One in use stays, and so does one that is to be kept.
    spec.height = 10;
    const auto store = open();
    ASSERT_TRUE(store->reused());
    trim_cache_folder(folder.string(), 0, paths[11], 0);
  }
  EXPECT_TRUE(fs::exists(paths[10]));
  EXPECT_TRUE(fs::exists(paths[11]));
  EXPECT_FALSE(fs::exists(paths[8]));
  trim_cache_folder(folder.string(), 0, "", 0);
  EXPECT_EQ(cached(), std::vector<std::string>{foreign});
}

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

TEST(CacheFolder, FollowsTheEnvironment) {
  const std::array<const char*, 3> names{"FLEXAE_CACHE", "XDG_CACHE_HOME", "HOME"};
  std::map<std::string, std::optional<std::string>> before;
  for (const char* name : names) {
    const char* value = getenv(name);
    if (value != nullptr) before[name] = value;
  }
  const auto folder_with = [&](const char* own, const char* xdg, const char* home) {
    const std::array<const char*, 3> values{own, xdg, home};
    for (size_t i = 0; i < names.size(); ++i) {
      if (values[i] == nullptr) {
        unsetenv(names[i]);
      } else {
        setenv(names[i], values[i], 1);
      }
    }
    return default_cache_folder();
  };
  EXPECT_EQ(folder_with("/own", "/xdg", "/home/me"), "/own/decoded");
  EXPECT_EQ(folder_with(nullptr, "/xdg", "/home/me"), "/xdg/flexible-autoencoder/decoded");
  EXPECT_EQ(folder_with("", "", "/home/me"), "/home/me/.cache/flexible-autoencoder/decoded");
  EXPECT_EQ(folder_with("", "not/absolute", "/home/me"),
            "/home/me/.cache/flexible-autoencoder/decoded");
  EXPECT_EQ(folder_with(nullptr, nullptr, nullptr), "");
  for (const char* name : names) {
    unsetenv(name);
    if (before[name]) setenv(name, before[name]->c_str(), 1);
  }
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

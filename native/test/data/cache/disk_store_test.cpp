#include "data/cache/disk_store.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "data/cache/cache_file.h"
#include "test/data/cache/caching.h"
#include "test/data/support.h"

namespace flexae {
namespace {

namespace fs = std::filesystem;
using test::CacheTest;
using test::Pixels;
using test::TempFolder;

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

}  // namespace
}  // namespace flexae

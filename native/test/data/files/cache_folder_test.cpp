#include "data/files/cache_folder.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "test/data/cache/caching.h"
#include "test/data/support.h"

namespace flexae {
namespace {

namespace fs = std::filesystem;
using test::CacheTest;
using test::Pixels;

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
    return default_cache_folder(kDecodedFolder);
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

}  // namespace
}  // namespace flexae

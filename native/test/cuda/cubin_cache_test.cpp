#include "core/cuda/cubin_cache.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "../core/temporary_folder.h"

namespace flexae::cuda {
namespace {

class CubinCache : public testing::Test {
 protected:
  void SetUp() override { ::setenv("FLEXAE_CACHE", folder_.path("cache").c_str(), 1); }
  void TearDown() override { ::unsetenv("FLEXAE_CACHE"); }
  TemporaryFolder folder_;
};

TEST_F(CubinCache, GivesBackWhatWasKept) {
  EXPECT_FALSE(read_cubin("a key"));
  const std::string cubin(
      "\x7f"
      "ELF\0 and more",
      14);
  keep_cubin("a key", cubin);
  EXPECT_EQ(read_cubin("a key"), cubin);
  EXPECT_FALSE(read_cubin("another key"));
}

TEST_F(CubinCache, WhatIsDamagedIsNotThere) {
  keep_cubin("a key", "a cubin");
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_.path("cache"))) {
    if (!entry.is_regular_file()) continue;
    std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(-1, std::ios::end);
    file.put('?');
  }
  EXPECT_FALSE(read_cubin("a key"));
  keep_cubin("a key", "a cubin");
  EXPECT_EQ(read_cubin("a key"), "a cubin");
}

TEST_F(CubinCache, AFolderThatCannotBeWrittenChangesNothing) {
  std::ofstream(folder_.path("cache")) << "a file where the folder would be";
  keep_cubin("a key", "a cubin");
  EXPECT_FALSE(read_cubin("a key"));
}

}  // namespace
}  // namespace flexae::cuda

#include "data/files/path_list.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace flexae {
namespace {

TEST(PathListTest, GivesBackWhatWasAdded) {
  const std::vector<std::string> paths{
      "/a/1.png", "/a/2.png", "/b/c/1.png", "/a/3.png", "plain", "/a/", "/", "", "x/y", "/a/1.png"};
  const PathList list(paths);
  ASSERT_EQ(list.size(), paths.size());
  for (size_t i = 0; i < paths.size(); ++i) EXPECT_EQ(list[i], paths[i]);
  EXPECT_TRUE(PathList().empty());
}

}  // namespace
}  // namespace flexae

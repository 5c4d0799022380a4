#include "data/image_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/decode.h"
#include "test/data/decoding.h"
#include "test/data/support.h"

namespace flexae {
namespace {

using test::TempFolder;

TEST(Decode, SaysWhyFilesCannotBeRead) {
  const TempFolder folder;
  const DecodeSpec spec{16, 24, 3, Interpolation::kArea};
  std::vector<uint8_t> pixels(static_cast<size_t>(spec.bytes()));
  const auto why = [&](const std::string& name) {
    return decode_file(folder.file(name), spec, pixels.data()).value_or("");
  };
  test::write_bytes(folder.file("empty.png"), {});
  ASSERT_EQ(mkfifo(folder.file("pipe.png").c_str(), 0600), 0);
  EXPECT_EQ(why("empty.png"), "empty file");
  EXPECT_EQ(why("missing.png"), "no such file");
  EXPECT_EQ(why("empty.png/x.png"), "no such file");
  EXPECT_EQ(why(""), "is a folder");
  EXPECT_EQ(why("pipe.png"), "not a regular file");
  std::filesystem::create_symlink("nowhere", folder.path() / "broken.png");
  EXPECT_EQ(why("broken.png"), "broken link");
  std::filesystem::create_symlink("loop.png", folder.path() / "loop.png");
  EXPECT_EQ(why("loop.png"), "link that leads to itself");
  // A sparse file beyond what the decoders take.
  test::write_bytes(folder.file("large.png"), {1});
  std::filesystem::resize_file(folder.file("large.png"), std::uintmax_t{3} << 30);
  EXPECT_EQ(why("large.png"), "file too large");
  std::filesystem::resize_file(folder.file("large.png"), std::uintmax_t{1} << 30);
  EXPECT_EQ(why("large.png"), "not an image");
  if (geteuid() != 0) {
    test::write_bytes(folder.file("locked.png"), {1});
    ASSERT_EQ(chmod(folder.file("locked.png").c_str(), 0), 0);
    EXPECT_EQ(why("locked.png"), "permission denied");
  }
}

}  // namespace
}  // namespace flexae

#include "data/described_store.h"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "test/data/decoding.h"
#include "test/data/support.h"

namespace flexae {
namespace {

TEST(DescribedStore, TellsThePicturesSizeAsItIsSeen) {
  const test::TempFolder folder;
  const cv::Mat picture(512, 1024, CV_8UC3, cv::Scalar(10, 20, 30));
  const auto jpeg = test::encode(".jpg", picture, {});
  const std::vector<std::vector<uint8_t>> contents{
      jpeg,                             // decoded at a fraction of its size
      test::with_orientation(jpeg, 6),  // lies on its side
      test::with_orientation(jpeg, 3),  // upside down
      test::encode(".png", picture),
      test::encode(".tiff", picture),
      {'n', 'o'},
  };
  std::vector<std::string> files;
  for (const auto& bytes : contents) {
    files.push_back(folder.file(std::to_string(files.size())));
    test::write_bytes(files.back(), bytes);
  }
  DescribedStore store(PathList(files), {16, 32, 1, Interpolation::kArea});
  EXPECT_EQ(store.seconds(), 0);
  std::vector<uint8_t> out(static_cast<size_t>(store.spec().bytes()));
  for (size_t i = 0; i < contents.size(); ++i) {
    const auto index = static_cast<int64_t>(i);
    const auto reason = store.load(index, out.data());
    const FileFacts& facts = store.facts(index);
    if (i == 5) {
      EXPECT_EQ(reason, "not an image");
      EXPECT_EQ(facts.width, 0);
      continue;
    }
    ASSERT_FALSE(reason) << i << ": " << *reason;
    EXPECT_EQ(facts.width, i == 1 ? 512 : 1024) << i;
    EXPECT_EQ(facts.height, i == 1 ? 1024 : 512) << i;
    EXPECT_EQ(facts.bytes, static_cast<int64_t>(contents[i].size())) << i;
    const test::Decoded decoded = test::decode(contents[i], store.spec());
    EXPECT_EQ(decoded.pixels, out) << i;
  }
  EXPECT_GT(store.seconds(), 0);
}

}  // namespace
}  // namespace flexae

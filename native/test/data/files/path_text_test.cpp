#include "data/files/path_text.h"

#include <string>

#include "test/data/support.h"

namespace flexae {
namespace {

using test::Random;

std::string shown(const std::string& path) {
  return shown_path(path);
}

TEST(PathText, ShowsAnyBytesOnOneLineOfUtf8) {
  EXPECT_EQ(shown("/a b/é日本🙂.png"), "/a b/é日本🙂.png");
  EXPECT_EQ(shown("a\nb\tc\x7f"), "a\\nb\\x09c\\x7f");
  EXPECT_EQ(shown("\x1b[31m"), "\\x1b[31m");
  EXPECT_EQ(shown("\xff\xfe.png"), "\\xff\\xfe.png");
  EXPECT_EQ(shown("\xc3"), "\\xc3");                             // cut short
  EXPECT_EQ(shown("\xc0\xaf"), "\\xc0\\xaf");                    // overlong
  EXPECT_EQ(shown("\xed\xa0\x80"), "\\xed\\xa0\\x80");           // a surrogate
  EXPECT_EQ(shown("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");  // beyond Unicode
  EXPECT_EQ(shown("\xc2\x85"), "\\xc2\\x85");                    // a control character of two bytes
  EXPECT_EQ(shown(""), "");
}

TEST(PathText, Utf16IsPythons) {
  EXPECT_EQ(path_to_utf16("aé日🙂"), u"aé日🙂");
  EXPECT_EQ(path_to_utf16("a\xff"), (std::u16string{u'a', 0xdcff}));
  EXPECT_EQ(path_to_utf16("\xed\xb3\xbf"), (std::u16string{0xdced, 0xdcb3, 0xdcbf}));
  EXPECT_EQ(path_from_utf16(std::u16string{u'a', 0xd800, u'b'}),
            "a\xef\xbf\xbd"
            "b");
  EXPECT_EQ(path_from_utf16(std::u16string{0xdc7f}), "\xef\xbf\xbd");
}

TEST(PathText, AnyBytesComeBack) {
  Random random;
  SCOPED_TRACE(random.note());
  const std::string pieces[] = {"é",        "🙂",         "日", "\xff", "\xc3",
                                "\xe6\x97", "\xf0\x9f\x99", "a",  "\n"};
  for (int round = 0; round < 20000; ++round) {
    std::string path;
    for (int i = random.between(0, 12); i > 0; --i) {
      if (random.between(0, 1) == 0) {
        path += pieces[random.between(0, 8)];
      } else {
        path += static_cast<char>(random.between(1, 255));
      }
    }
    ASSERT_EQ(path_from_utf16(path_to_utf16(path)), path);
    const std::string line = shown_path(path);
    ASSERT_EQ(path_from_utf16(path_to_utf16(line)), line);
    const std::u16string text = path_to_utf16(line);
    for (size_t i = 0; i < text.size(); ++i) {
      const char16_t unit = text[i];
      ASSERT_FALSE(unit < 0x20 || (unit >= 0x7f && unit < 0xa0)) << line;
      // Nothing that UTF-8 cannot say.
      const bool low = unit >= 0xdc00 && unit <= 0xdfff;
      ASSERT_FALSE(low && (i == 0 || text[i - 1] < 0xd800 || text[i - 1] > 0xdbff)) << line;
    }
  }
}

}  // namespace
}  // namespace flexae

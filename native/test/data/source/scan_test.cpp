#include "data/source/scan.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "test/data/support.h"

namespace flexae {
namespace {

using test::TempFolder;
using Names = std::vector<std::string>;

class Scan : public ::testing::Test {
 protected:
  void touch(const std::string& name) { test::write_bytes(folder_.file(name), {1}); }
  void link(const std::string& name, const std::string& target) {
    std::filesystem::create_directories(folder_.path() / std::filesystem::path(name).parent_path());
    std::filesystem::create_symlink(target, folder_.path() / name);
  }
  [[nodiscard]] FolderScan scan() const { return scan_folder(folder_.path().string()); }
  /// Paths without the folder's own.
  [[nodiscard]] Names names(const FolderScan& scan) const {
    Names names;
    for (const std::string& file : scan.files) {
      EXPECT_TRUE(file.starts_with(folder_.path().string() + "/")) << file;
      names.push_back(file.substr(folder_.path().string().size() + 1));
    }
    return names;
  }
  std::string message_of(const std::string& path) {
    try {
      static_cast<void>(scan_folder(path));
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kData);
      const std::string message = error.what();
      EXPECT_EQ(std::count(message.begin(), message.end(), '\n'), 0) << message;
      return message;
    }
    ADD_FAILURE() << "nothing was thrown for " << path;
    return "";
  }

  TempFolder folder_;
};

TEST_F(Scan, ListsClassesAtAnyDepthInBytewiseOrder) {
  for (const char* name :
       {"b/2.png", "b/10.png", "a/deep/er/x.jpg", "a/y.JPEG", "B/z.tif", "a b/q.webp", "é/ü.bmp"}) {
    touch(name);
  }
  const FolderScan found = scan();
  EXPECT_EQ(found.classes, (Names{"B", "a", "a b", "b", "é"}));
  EXPECT_EQ(names(found), (Names{"B/z.tif", "a/deep/er/x.jpg", "a/y.JPEG", "a b/q.webp", "b/10.png",
                                 "b/2.png", "é/ü.bmp"}));
  EXPECT_EQ(found.labels, (std::vector<int32_t>{0, 1, 1, 2, 3, 3, 4}));
  EXPECT_EQ(found.loose, 0);
}

TEST_F(Scan, TakesEveryKnownExtensionAndNoOther) {
  for (const char* name : {"a.png", "b.jpg", "c.jpeg", "d.jpe", "e.bmp", "f.tif", "g.tiff",
                           "h.webp", "i.pgm", "j.ppm", "k.pbm", "l.pnm", "m.PnG"}) {
    touch(name);
  }
  for (const char* name : {"n.gif", "o.txt", "png", "p.png.txt", ".png", ".hidden.png", "q."}) {
    touch(name);
  }
  EXPECT_EQ(names(scan()), (Names{"a.png", "b.jpg", "c.jpeg", "d.jpe", "e.bmp", "f.tif", "g.tiff",
                                  "h.webp", "i.pgm", "j.ppm", "k.pbm", "l.pnm", "m.PnG"}));
}

TEST_F(Scan, FolderWithoutClassesIsFlat) {
  touch("2.png");
  touch("1.png");
  touch("notes/readme.txt");
  touch(".cache/x.png");
  const FolderScan found = scan();
  EXPECT_EQ(names(found), (Names{"1.png", "2.png"}));
  EXPECT_TRUE(found.classes.empty());
  EXPECT_TRUE(found.labels.empty());
}

TEST_F(Scan, LooseImagesBesideClassesAreCountedAndLeftOut) {
  touch("1.png");
  touch("2.png");
  touch("cat/3.png");
  const FolderScan found = scan();
  EXPECT_EQ(names(found), (Names{"cat/3.png"}));
  EXPECT_EQ(found.loose, 2);
}

TEST_F(Scan, FollowsLinksAndListsEachFolderOnce) {
  const TempFolder elsewhere;
  test::write_bytes(elsewhere.file("far/1.png"), {1});
  touch("b/1.png");
  touch("b/sub/2.png");
  link("z", elsewhere.file("far"));                 // a class that is a link
  link("b/file.png", elsewhere.file("far/1.png"));  // an image that is a link
  link("b/up", "..");                               // loops
  link("b/sub/self", ".");
  link("b/sub/root", folder_.path().string());
  link("a", "b");               // another name of a real class
  link("c/round", "../b/sub");  // from one class into another
  link("c/broken.png", "nowhere");
  link("c/broken", "nowhere");
  const FolderScan found = scan();
  EXPECT_EQ(found.classes, (Names{"b", "c", "z"}));
  EXPECT_EQ(names(found),
            (Names{"b/1.png", "b/file.png", "b/sub/2.png", "c/broken.png", "z/1.png"}));
}

TEST_F(Scan, TwoLinkedFoldersThatLinkToEachOtherEnd) {
  const TempFolder elsewhere;
  test::write_bytes(elsewhere.file("one/1.png"), {1});
  test::write_bytes(elsewhere.file("two/2.png"), {1});
  std::filesystem::create_symlink("../two", elsewhere.path() / "one" / "next");
  std::filesystem::create_symlink("../one", elsewhere.path() / "two" / "next");
  link("x", elsewhere.file("one"));
  link("y", elsewhere.file("two"));
  EXPECT_EQ(names(scan()), (Names{"x/1.png", "y/2.png"}));
}

TEST_F(Scan, WhatHasAnImagesNameAndIsNoneIsNotPassedOverInSilence) {
  touch("a/1.png");
  const auto folder = [&](const char* name) {
    std::filesystem::create_directories(folder_.path() / name);
  };
  folder("a/folder.png");
  folder("a/inner/deep.jpg");
  touch("a/named.png/2.png");
  ASSERT_EQ(mkfifo(folder_.file("a/pipe.png").c_str(), 0600), 0);
  link("a/loop.png", "loop.png");
  link("a/pipe link.png", "pipe.png");
  touch("a/notes.txt");
  folder("b/c.png");
  const FolderScan found = scan();
  EXPECT_EQ(found.classes, (Names{"a"}));
  EXPECT_EQ(names(found), (Names{"a/1.png", "a/folder.png", "a/inner/deep.jpg", "a/loop.png",
                                 "a/named.png/2.png", "a/pipe link.png", "a/pipe.png"}));
  EXPECT_EQ(found.loose, 1);  // b/c.png, which makes no class of b
  EXPECT_EQ(found.others, 1);
}

TEST_F(Scan, AnEmptyFolderMakesNoClassOfItself) {
  touch("1.png");
  std::filesystem::create_directories(folder_.path() / "2.png");
  std::filesystem::create_directories(folder_.path() / "old" / "3.png");
  const FolderScan found = scan();
  EXPECT_TRUE(found.classes.empty());
  EXPECT_EQ(names(found), (Names{"1.png", "2.png", "old/3.png"}));
}

TEST_F(Scan, NamesOfAnyBytesComeBackUnchanged) {
  for (const char* name : {"a/new\nline.png", "a/ blank .png", "a/\xff\xfe.png", "a/日本.png"}) {
    touch(name);
  }
  EXPECT_EQ(names(scan()),
            (Names{"a/ blank .png", "a/new\nline.png", "a/日本.png", "a/\xff\xfe.png"}));
}

TEST_F(Scan, PathsAreAbsoluteAndWithoutDots) {
  touch("real/in/1.png");
  link("link", "real/in");
  // The parent of what a link points to, not of the link.
  const FolderScan found = scan_folder(folder_.file("link/.."));
  const std::string real = std::filesystem::canonical(folder_.path() / "real").string();
  EXPECT_EQ(found.files, (Names{real + "/in/1.png"}));
  EXPECT_EQ(scan_folder(folder_.file("./real//in/")).files, (Names{folder_.file("real/in/1.png")}));
}

TEST_F(Scan, SaysWhatIsWrong) {
  EXPECT_NE(message_of(folder_.file("no\nsuch")).find("There is no folder '"), std::string::npos);
  EXPECT_NE(message_of(folder_.file("no\nsuch")).find("no\\nsuch"), std::string::npos);
  touch("file.txt");
  EXPECT_NE(message_of(folder_.file("file.txt")).find("is not a folder"), std::string::npos);
  EXPECT_NE(message_of(folder_.file("file.txt/x")).find("There is no folder"), std::string::npos);
  EXPECT_NE(message_of(folder_.path().string()).find("There are no images in"), std::string::npos);
  EXPECT_NE(message_of("").find("empty name"), std::string::npos);
}

TEST_F(Scan, UnreadableSubFolderIsNamed) {
  touch("a/1.png");
  touch("locked/2.png");
  ASSERT_EQ(chmod(folder_.path().c_str(), 0755), 0);
  ASSERT_EQ(chmod(folder_.file("locked").c_str(), 0), 0);
  const pid_t child = fork();
  if (child == 0) {
    // Permissions do not bind the superuser.
    if (geteuid() == 0) test::become_nobody();
    const std::string message = message_of(folder_.path().string());
    const auto named = message.find("Cannot read the folder '" + folder_.file("locked"));
    _exit(named == 0 && !HasFailure() ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  ASSERT_EQ(chmod(folder_.file("locked").c_str(), 0700), 0);
}

TEST_F(Scan, ReportsImagesAndEndsWhereItIsAskedTo) {
  // Reports come every 1024 entries, whatever these are.
  for (int i = 0; i < 2500; ++i) touch("a/" + std::to_string(i) + (i < 5 ? ".txt" : ".png"));
  std::vector<int64_t> reported;
  const auto note = [&](int64_t images) {
    reported.push_back(images);
    return true;
  };
  EXPECT_EQ(scan_folder(folder_.path().string(), note).files.size(), 2495U);
  ASSERT_EQ(reported.size(), 2U);
  // The class and five files are no images.
  EXPECT_GE(reported[0], 1024 - 6);
  EXPECT_LE(reported[0], 1024);
  EXPECT_GE(reported[1], 2048 - 6);
  EXPECT_LE(reported[1], 2048);
  EXPECT_THROW(
      static_cast<void>(scan_folder(folder_.path().string(), [](int64_t) { return false; })),
      ScanCancelled);
}

}  // namespace
}  // namespace flexae

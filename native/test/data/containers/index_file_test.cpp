#include "data/containers/index_file.h"

#include <cstring>
#include <filesystem>
#include <functional>
#include <iterator>
#include <span>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "data/files/hash.h"
#include "test/data/containers/building.h"

namespace flexae {
namespace {

using test::ContainerTest;
using test::kKey;
using test::Members;
using Bytes = std::vector<uint8_t>;

Members some() {
  Members members;
  members.add("cats/1.png", {1, 2, 3}, 0);
  members.add("dogs/\xff.png", {4, 5}, 1);
  members.add("z", {6}, -1);
  members.contents.classes = {"cats", "dogs"};
  members.contents.others = 7;
  return members;
}

class Index : public ContainerTest {
 protected:
  /// Whether an earlier process's index is used, in which `change` has changed something.
  bool is_taken(const std::function<void(Bytes&)>& change) {
    Bytes bytes = whole_;
    change(bytes);
    test::write_bytes(index_path(), bytes);
    return open_container(place, cache, kKey) != nullptr;
  }

  /// The same, with sums that fit what was changed.
  bool is_taken_with_sums(const std::function<void(Bytes&)>& change) {
    return is_taken([&](Bytes& bytes) {
      change(bytes);
      const uint64_t index = xxh64(std::span(bytes).subspan(kContainerData));
      std::memcpy(bytes.data() + 120, &index, sizeof index);
      const uint64_t header = xxh64(std::span(bytes).first(128));
      std::memcpy(bytes.data() + 128, &header, sizeof header);
    });
  }

  void SetUp() override {
    made(some());
    whole_ = test::read_bytes(index_path());
  }

  template <typename T>
  static auto put(size_t at, T value) {
    return [=](Bytes& bytes) { std::memcpy(bytes.data() + at, &value, sizeof value); };
  }

  Bytes whole_;
};

TEST_F(Index, HasWhatWasWritten) {
  const auto container = open_container(place, cache, kKey);
  ASSERT_TRUE(container);
  const ContainerIndex& index = container->index();
  ASSERT_EQ(index.members().size(), 3U);
  EXPECT_EQ(index.name(0), "cats/1.png");
  EXPECT_EQ(index.name(1), "dogs/\xff.png");
  EXPECT_EQ(index.name(2), "z");
  EXPECT_EQ(index.members()[1].label, 1);
  EXPECT_EQ(index.members()[2].label, -1);
  EXPECT_EQ(index.members()[2].offset, 5U);
  EXPECT_EQ(index.classes(), (std::vector<std::string>{"cats", "dogs"}));
  EXPECT_EQ(index.others(), 7U);
  EXPECT_FALSE(index.holds_data());
  EXPECT_EQ(index.find("z"), 2U);
  EXPECT_EQ(index.find("dogs/\xff.png"), 1U);
  EXPECT_EQ(index.find(""), std::nullopt);
  EXPECT_EQ(index.find("cats/1.pn"), std::nullopt);
  EXPECT_EQ(index.find("cats/1.png\0"), 0U) << "a literal ends at its NUL";
}

TEST_F(Index, FindsEachOfMany) {
  Members many;
  for (int i = 0; i < 5000; ++i) many.add("folder/" + std::to_string(i * 7919) + ".png", {1});
  const auto container = made(many);
  for (int i = 0; i < 5000; ++i) {
    EXPECT_EQ(container->index().find("folder/" + std::to_string(i * 7919) + ".png"),
              static_cast<size_t>(i));
  }
  EXPECT_EQ(container->index().find("folder/1.png"), std::nullopt);
}

TEST_F(Index, IsOfOneKey) {
  EXPECT_TRUE(open_container(place, cache, kKey));
  EXPECT_FALSE(open_container(place, cache, std::string(32, '0')));
  EXPECT_FALSE(open_container(place, "", kKey));
  // A file of another key under this one's name.
  const std::string other = std::string(32, 'a');
  test::write_bytes(cache + "/" + other + ".images", whole_);
  EXPECT_FALSE(open_container(place, cache, other));
}

TEST_F(Index, DamageIsNeverTrusted) {
  EXPECT_TRUE(is_taken([](Bytes&) {}));
  for (size_t at = 0; at < whole_.size(); ++at) {
    if (at == 136) at = kContainerData;  // what is between is not used
    EXPECT_FALSE(is_taken([&](Bytes& bytes) { bytes[at] ^= 0x10; })) << at;
    EXPECT_FALSE(std::filesystem::exists(index_path())) << "it is gone, to be made anew";
  }
  for (const size_t size : {size_t{0}, size_t{135}, size_t{136}, size_t{4096}, whole_.size() - 1}) {
    EXPECT_FALSE(is_taken([&](Bytes& bytes) { bytes.resize(size); })) << size;
  }
  EXPECT_FALSE(is_taken([](Bytes& bytes) { bytes.push_back(0); }));
}

TEST_F(Index, WhatIsNotSoundIsNotTakenWhateverItsSumsSay) {
  EXPECT_TRUE(is_taken_with_sums([](Bytes&) {}));
  constexpr size_t kMember = kContainerData;  // the first: offset, length, stored, crc, label, end
  EXPECT_TRUE(is_taken_with_sums(put<uint64_t>(kMember, uint64_t{1} << 40))) << "read and refused";
  EXPECT_FALSE(is_taken_with_sums(put<uint64_t>(kMember, uint64_t{1} << 63)));
  EXPECT_FALSE(is_taken_with_sums(put<uint32_t>(kMember + 8, 0x80000000U)));
  EXPECT_FALSE(is_taken_with_sums(put<uint32_t>(kMember + 12, 0x80000000U)));
  EXPECT_FALSE(is_taken_with_sums(put<int32_t>(kMember + 20, 2)));
  EXPECT_FALSE(is_taken_with_sums(put<int32_t>(kMember + 20, -2)));
  EXPECT_FALSE(is_taken_with_sums(put<uint32_t>(kMember + 24, 0)));
  EXPECT_FALSE(is_taken_with_sums(put<uint32_t>(kMember + 24, 1000)));
  EXPECT_FALSE(is_taken_with_sums(put<uint8_t>(kMember + 28, 3)));
  EXPECT_FALSE(is_taken_with_sums(put<uint8_t>(kMember + 28, 2))) << "pixels of no shape";
  // The table: no free slot, on which a search would end; a member that is not there.
  constexpr size_t kSlots = kMember + 3 * sizeof(MemberEntry);
  EXPECT_FALSE(is_taken_with_sums([](Bytes& bytes) { std::fill_n(&bytes[kSlots], 8 * 4, 0); }));
  EXPECT_FALSE(is_taken_with_sums(put<uint32_t>(kSlots, 3)));
  // A name with a NUL.
  EXPECT_FALSE(is_taken_with_sums(put<uint8_t>(kSlots + 8 * 4, 0)));
  // The header: sizes that are not the file's, and that overflow.
  for (const size_t at : {size_t{72}, size_t{80}, size_t{88}, size_t{96}, size_t{104}}) {
    for (const uint64_t value : {uint64_t{0}, uint64_t{5}, uint64_t{1} << 32, ~uint64_t{0},
                                 uint64_t{1} << 61, uint64_t{1} << 59}) {
      EXPECT_FALSE(is_taken_with_sums(put<uint64_t>(at, value))) << at << ' ' << value;
    }
  }
}

TEST_F(Index, IsKeptInMemoryWhereTheCacheCannotBeWrittenTo) {
  const std::string file = folder.file("file");
  test::write_bytes(file, {1});
  const Members members = some();
  for (const std::string& nowhere : {file, std::string("/dev/null/x"), std::string()}) {
    const auto container = ContainerFile(place, nowhere, kKey, false).finish(members.contents);
    EXPECT_EQ(test::read_member(*container, 0).bytes, (Bytes{1, 2, 3}));
    EXPECT_THROW(ContainerFile(place, nowhere, kKey, true), Error);
  }
}

TEST_F(Index, IsNotLeftBehindUnfinished) {
  {
    ContainerFile file(place, cache, std::string(32, 'b'), true);
    file.append(Bytes(5000, 7));
  }
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(cache), {}), 1);
}

}  // namespace
}  // namespace flexae

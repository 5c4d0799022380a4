#include "data/containers/container.h"

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "data/image_file.h"
#include "test/data/containers/building.h"

namespace flexae {
namespace {

using test::ContainerTest;
using test::kKey;
using test::Members;
using test::Random;
using test::read_member;
using Bytes = std::vector<uint8_t>;

Bytes random_bytes(size_t size, Random& random) {
  Bytes bytes(size);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random.between(0, 255));
  return bytes;
}

Bytes text(const std::string& characters) {
  return {characters.begin(), characters.end()};
}

using Reading = ContainerTest;

TEST_F(Reading, GivesEachMemberAsAFile) {
  Random random;
  SCOPED_TRACE(random.note());
  const Bytes first = random_bytes(1000, random);
  const Bytes second = random_bytes(70000, random);
  Members members;
  members.add("stored", first);
  members.add_deflated("deflated", second);
  members.add_pixels("pixels", text("abcdef"));
  members.contents.shape = {2, 1, 3};
  const auto container = made(members);
  EXPECT_EQ(read_member(*container, 0).bytes, first);
  EXPECT_EQ(read_member(*container, 1).bytes, second);
  EXPECT_EQ(read_member(*container, 2).bytes, text("P6 1 2 255\nabcdef"));
  EXPECT_EQ(container->stamp(1).bytes, 70000);
}

TEST_F(Reading, SaysWhatIsWrong) {
  Random random;
  SCOPED_TRACE(random.note());
  const Bytes bytes = random_bytes(500, random);
  Members members;
  members.add("sum", bytes, -1, 1);
  members.add("empty", {});
  members.add_deflated("short", bytes);
  members.contents.members.back().length += 1;
  members.add_deflated("long", bytes);
  members.contents.members.back().length -= 1;
  members.add_deflated("cut", bytes);
  members.contents.members.back().stored -= 3;
  members.add_deflated("none", {});
  members.add("behind", bytes);
  members.contents.members.back().offset += 1;
  members.add("far", bytes);
  members.contents.members.back().offset = uint64_t{1} << 62;
  const auto container = made(members);
  const auto reason = [&](size_t member) { return read_member(*container, member).reason; };
  EXPECT_EQ(reason(0), "corrupt in its container: its checksum differs");
  EXPECT_EQ(reason(1), "empty file");
  for (const size_t member : {size_t{2}, size_t{3}, size_t{4}}) {
    EXPECT_EQ(reason(member), "corrupt in its zip file") << member;
  }
  EXPECT_EQ(reason(5), "empty file");
  EXPECT_EQ(reason(6), "");
  EXPECT_EQ(reason(7), "truncated");
}

TEST_F(Reading, EndsAtTheFilesEnd) {
  Members members;
  members.add("last", Bytes(500, 1));
  members.contents.members.back().length = 501;
  EXPECT_EQ(read_member(*made(members), 0).reason, "truncated");
}

TEST_F(Reading, TakesNoMemoryForWhatIsNoImage) {
  Members members;
  members.add("large", Bytes((size_t{1} << 20) + 1, 'x'));
  const auto container = made(members);
  ByteBuffer buffer;
  std::span<const uint8_t> bytes;
  EXPECT_EQ(container->read(0, buffer, bytes), "not an image");
  EXPECT_EQ(buffer.capacity(), 0U);
}

TEST_F(Reading, FindsOutThatTheContainerIsAnother) {
  Members members;
  members.add("1.png", {1, 2, 3});
  const auto container = made(members);
  test::write_bytes(place, {1, 2, 3, 4});
  EXPECT_EQ(read_member(*container, 0).reason, "its container was changed since it was opened");
  std::filesystem::remove(place);
  EXPECT_EQ(read_member(*container, 0).reason, "no such file");
}

TEST_F(Reading, KeepsWhatItHoldsItself) {
  test::write_bytes(place, {0});
  ContainerFile file(place, cache, kKey, true);
  Members members;
  members.add("1.png", {1, 2, 3});
  members.contents.members[0].offset = static_cast<uint64_t>(file.position());
  file.append(members.file());
  file.append(Bytes(9000, 5));
  Bytes back(4);
  EXPECT_EQ(file.read(back, kContainerData + 1), 4U);
  EXPECT_EQ(back, (Bytes{2, 3, 5, 5}));
  EXPECT_EQ(file.read(back, kContainerData + 9001), 2U);
  EXPECT_EQ(file.read(back, 0), 0U);
  const auto container = file.finish(members.contents);
  EXPECT_EQ(read_member(*container, 0).bytes, (Bytes{1, 2, 3}));
  // The next process has it, too, and this one's stays readable when the cache is emptied.
  const auto again = open_container(place, cache, kKey);
  ASSERT_TRUE(again);
  std::filesystem::remove_all(cache);
  EXPECT_EQ(read_member(*again, 0).bytes, (Bytes{1, 2, 3}));
}

TEST_F(Reading, IsByPathsOnceMounted) {
  Members members;
  members.add("cats/1.png", {1, 2, 3});
  const std::string path = place + "/cats/1.png";
  EXPECT_FALSE(find_member(path));
  mount_container(made(members));
  ByteBuffer buffer;
  std::span<const uint8_t> bytes;
  EXPECT_EQ(read_image_file(path, buffer, bytes), std::nullopt);
  EXPECT_EQ(Bytes(bytes.begin(), bytes.end()), (Bytes{1, 2, 3}));
  EXPECT_EQ(stamp_of(path).bytes, 3);
  EXPECT_EQ(read_image_file(place + "/cats/2.png", buffer, bytes), "no such file");
  for (const std::string& other : {place, place + "/", place + "/cats", std::string("/"),
                                   std::string(), folder.file("other.tar/cats/1.png")}) {
    EXPECT_FALSE(find_member(other)) << other;
  }
  // One of the same place takes its place; who has the first keeps it.
  const auto before = find_member(path);
  Members others;
  others.add("dogs/1.png", {9});
  mount_container(made(others));
  EXPECT_FALSE(find_member(path));
  EXPECT_TRUE(find_member(place + "/dogs/1.png"));
  EXPECT_EQ(before->container->index().name(0), "cats/1.png");
}

TEST_F(Reading, IsForAnyNumberOfThreads) {
  Random random;
  SCOPED_TRACE(random.note());
  std::vector<Bytes> all;
  Members members;
  for (int i = 0; i < 50; ++i) {
    all.push_back(random_bytes(static_cast<size_t>(random.between(1, 5000)), random));
    const std::string name = std::to_string(i);
    if (i % 2 == 0) {
      members.add(name, all.back());
    } else {
      members.add_deflated(name, all.back());
    }
  }
  const auto container = made(members);
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (size_t i = 0; i < 400; ++i) {
        const size_t member = (i * 7 + static_cast<size_t>(t)) % all.size();
        if (read_member(*container, member).bytes != all[member]) ++wrong;
        if (i % 50 == 0) mount_container(container);
        if (!find_member(place + '/' + std::to_string(member)) && i > 0) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace flexae

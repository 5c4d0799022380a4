#pragma once

#include <zlib.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/containers/container.h"
#include "data/containers/container_file.h"
#include "test/data/containers/deflating.h"
#include "test/data/support.h"

namespace flexae::test {

inline const std::string kKey = "0123456789abcdef0123456789abcdef";

/// A file of members one behind the other, and the list of them.
class Members {
 public:
  void add(const std::string& name, const std::vector<uint8_t>& bytes, int32_t label = -1,
           uint32_t crc = 0) {
    MemberEntry& entry = next(name, MemberForm::kStored, label);
    entry.length = static_cast<uint32_t>(bytes.size());
    entry.crc = crc;
    append(bytes);
  }

  void add_deflated(const std::string& name, const std::vector<uint8_t>& bytes) {
    MemberEntry& entry = next(name, MemberForm::kDeflated, -1);
    const std::vector<uint8_t> packed = deflated(bytes);
    entry.length = static_cast<uint32_t>(bytes.size());
    entry.stored = static_cast<uint32_t>(packed.size());
    entry.crc = static_cast<uint32_t>(::crc32_z(0, bytes.data(), bytes.size()));
    append(packed);
  }

  void add_pixels(const std::string& name, const std::vector<uint8_t>& bytes) {
    MemberEntry& entry = next(name, MemberForm::kPixels, -1);
    entry.length = static_cast<uint32_t>(bytes.size());
    append(bytes);
  }

  [[nodiscard]] const std::vector<uint8_t>& file() const { return file_; }
  ContainerContents contents;

 private:
  MemberEntry& next(const std::string& name, MemberForm form, int32_t label) {
    contents.names += name;
    MemberEntry& entry = contents.members.emplace_back();
    entry.offset = file_.size();
    entry.name_end = static_cast<uint32_t>(contents.names.size());
    entry.form = form;
    entry.label = label;
    return entry;
  }

  void append(const std::vector<uint8_t>& bytes) {
    file_.insert(file_.end(), bytes.begin(), bytes.end());
  }

  std::vector<uint8_t> file_;
};

/// What a member is as a file; "" and why it cannot be read.
struct Read {
  std::vector<uint8_t> bytes;
  std::string reason;
};

inline Read read_member(const Container& container, size_t member) {
  ByteBuffer buffer;
  std::span<const uint8_t> bytes;
  if (const auto reason = container.read(member, buffer, bytes)) return {{}, *reason};
  return {{bytes.begin(), bytes.end()}, ""};
}

/// A folder with a container in it, and a cache.
class ContainerTest : public testing::Test {
 protected:
  std::shared_ptr<const Container> made(const Members& members) {
    write_bytes(place, members.file());
    return ContainerFile(place, cache, kKey, false).finish(members.contents);
  }
  [[nodiscard]] std::string index_path() const { return cache + "/" + kKey + ".images"; }

  const TempFolder folder;
  const std::string place = folder.file("shard.tar");
  const std::string cache = folder.file("cache");
};

}  // namespace flexae::test

#include "data/containers/index_file.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstring>
#include <utility>

#include "core/base/error.h"
#include "core/files/descriptor.h"
#include "data/files/hash.h"

namespace flexae {
namespace {

constexpr std::array<char, 8> kIndexMagic{'F', 'L', 'X', 'I', 'N', 'D', 'E', 'X'};
constexpr uint32_t kIndexVersion = 1;
constexpr uint32_t kNoMember = UINT32_MAX;
/// The index is mapped from a page's beginning on.
constexpr uint64_t kPage = 4096;
constexpr size_t kLongestClasses = size_t{64} << 20;

struct IndexHeader {
  std::array<char, 8> magic = kIndexMagic;
  uint32_t version = kIndexVersion;
  uint32_t holds_data = 0;
  std::array<char, 32> key{};
  PixelShape shape;
  uint32_t unused = 0;
  uint64_t others = 0;
  uint64_t index_offset = 0;
  uint64_t members = 0;
  uint64_t slots = 0;
  uint64_t names_bytes = 0;
  uint64_t classes_bytes = 0;
  uint64_t file_bytes = 0;
  /// Of all that begins at index_offset.
  uint64_t index_hash = 0;
  /// Of all fields above.
  uint64_t header_hash = 0;
};
static_assert(sizeof(IndexHeader) == 136);

uint64_t hash_of(const IndexHeader& header) {
  return xxh64(bytes_of(&header, offsetof(IndexHeader, header_hash)));
}

uint64_t name_hash(std::string_view name) {
  return xxh64(bytes_of(name.data(), name.size()));
}

std::string_view name_of(std::span<const MemberEntry> members, std::string_view names,
                         size_t member) {
  const size_t begin = member == 0 ? 0 : members[member - 1].name_end;
  return names.substr(begin, members[member].name_end - begin);
}

/// A table by hash: the member is at the first slot from its name's on that is not another's. Two
/// thirds of the slots are free.
std::vector<uint32_t> slots_for(const ContainerContents& contents) {
  const size_t count = std::bit_ceil(std::max<size_t>(4, contents.members.size() * 3 / 2 + 1));
  std::vector<uint32_t> slots(count, kNoMember);
  for (size_t i = 0; i < contents.members.size(); ++i) {
    size_t slot = name_hash(name_of(contents.members, contents.names, i)) & (count - 1);
    while (slots[slot] != kNoMember) slot = (slot + 1) & (count - 1);
    slots[slot] = static_cast<uint32_t>(i);
  }
  return slots;
}

bool is_plain(std::string_view text) {
  // Names are shown on terminals, which obey control characters; shown_path() sees to those, but a
  // NUL ends a name.
  return !text.empty() && text.find('\0') == std::string_view::npos;
}

bool is_sound(std::span<const MemberEntry> members, std::span<const uint32_t> slots,
              std::string_view names, size_t classes, const PixelShape& shape) {
  uint64_t begin = 0;
  const uint64_t pixels = uint64_t{shape.height} * shape.width;
  for (const MemberEntry& member : members) {
    if (member.name_end < begin || member.name_end > names.size()) return false;
    if (!is_plain(names.substr(begin, member.name_end - begin))) return false;
    begin = member.name_end;
    if (member.form > MemberForm::kPixels || member.length > INT_MAX || member.stored > INT_MAX ||
        member.offset > INT64_MAX - uint64_t{UINT32_MAX}) {
      return false;
    }
    if (member.label < -1 || member.label >= static_cast<int64_t>(classes)) return false;
    if (member.form == MemberForm::kPixels &&
        (pixels == 0 || pixels > INT_MAX || (shape.channels != 1 && shape.channels != 3) ||
         pixels * shape.channels != member.length)) {
      return false;
    }
  }
  bool has_free = false;
  for (const uint32_t slot : slots) {
    if (slot == kNoMember) {
      has_free = true;
    } else if (slot >= members.size()) {
      return false;
    }
  }
  return has_free;
}

/// Names, each ended by a NUL.
std::vector<std::string> split_names(std::string_view text) {
  std::vector<std::string> names;
  while (!text.empty()) {
    const size_t end = text.find('\0');
    if (end == std::string_view::npos) break;
    names.emplace_back(text.substr(0, end));
    text.remove_prefix(end + 1);
  }
  return names;
}

}  // namespace

std::unique_ptr<ContainerIndex> ContainerIndex::map(int file, const std::string& key) {
  struct stat info = {};
  IndexHeader header;
  if (::fstat(file, &info) != 0 || !S_ISREG(info.st_mode) ||
      !read_at(file, &header, sizeof header, 0)) {
    return nullptr;
  }
  const auto size = static_cast<uint64_t>(info.st_size);
  if (header.magic != kIndexMagic || header.version != kIndexVersion || header.file_bytes != size ||
      header.header_hash != hash_of(header) || key.size() != header.key.size() ||
      !std::equal(key.begin(), key.end(), header.key.begin())) {
    return nullptr;
  }
  // Each is below the file's size, so that no sum overflows.
  if (header.index_offset > size || header.index_offset % kPage != 0 || header.index_offset == 0 ||
      header.members > size / sizeof(MemberEntry) || header.members >= kNoMember ||
      header.slots > size / sizeof(uint32_t) || header.names_bytes > size ||
      header.classes_bytes > kLongestClasses || !std::has_single_bit(header.slots) ||
      header.index_offset + header.members * sizeof(MemberEntry) + header.slots * sizeof(uint32_t) +
              header.names_bytes + header.classes_bytes !=
          size) {
    return nullptr;
  }
  std::unique_ptr<ContainerIndex> index(new ContainerIndex);
  index->mapped_ = size - header.index_offset;
  void* mapping = ::mmap(nullptr, index->mapped_, PROT_READ, MAP_PRIVATE, file,
                         static_cast<off_t>(header.index_offset));
  if (mapping == MAP_FAILED) return nullptr;
  index->mapping_ = mapping;
  const auto* bytes = static_cast<const uint8_t*>(mapping);
  if (xxh64({bytes, index->mapped_}) != header.index_hash) return nullptr;
  index->members_ = {reinterpret_cast<const MemberEntry*>(bytes), header.members};
  bytes += header.members * sizeof(MemberEntry);
  index->slots_ = {reinterpret_cast<const uint32_t*>(bytes), header.slots};
  bytes += header.slots * sizeof(uint32_t);
  index->names_ = {reinterpret_cast<const char*>(bytes), header.names_bytes};
  bytes += header.names_bytes;
  index->classes_ = split_names({reinterpret_cast<const char*>(bytes), header.classes_bytes});
  index->others_ = header.others;
  index->shape_ = header.shape;
  index->holds_data_ = header.holds_data != 0;
  if (!is_sound(index->members_, index->slots_, index->names_, index->classes_.size(),
                index->shape_)) {
    return nullptr;
  }
  return index;
}

ContainerIndex::~ContainerIndex() {
  if (mapping_ != nullptr) ::munmap(mapping_, mapped_);
}

std::string_view ContainerIndex::name(size_t member) const {
  return name_of(members_, names_, member);
}

std::optional<size_t> ContainerIndex::find(std::string_view name) const {
  const size_t mask = slots_.size() - 1;
  // A free slot is there, which is_sound() has seen.
  for (size_t slot = name_hash(name) & mask; slots_[slot] != kNoMember; slot = (slot + 1) & mask) {
    if (this->name(slots_[slot]) == name) return slots_[slot];
  }
  return std::nullopt;
}

int write_container_index(int file, const std::string& key, const ContainerContents& contents,
                          int64_t data_bytes) {
  if (contents.names.size() >= UINT32_MAX || contents.members.size() >= kNoMember / 2) {
    throw Error(ErrorCode::kData, "has more images than can be listed: make several of it");
  }
  const std::vector<uint32_t> slots = slots_for(contents);
  std::string classes;
  for (const std::string& name : contents.classes) (classes += name) += '\0';

  std::vector<uint8_t> index;
  const auto add = [&](const void* data, size_t size) {
    const auto bytes = bytes_of(data, size);
    index.insert(index.end(), bytes.begin(), bytes.end());
  };
  index.reserve(contents.members.size() * sizeof(MemberEntry) + slots.size() * sizeof(uint32_t) +
                contents.names.size() + classes.size());
  add(contents.members.data(), contents.members.size() * sizeof(MemberEntry));
  add(slots.data(), slots.size() * sizeof(uint32_t));
  add(contents.names.data(), contents.names.size());
  add(classes.data(), classes.size());

  IndexHeader header;
  header.holds_data = data_bytes > 0 ? 1 : 0;
  std::copy_n(key.begin(), std::min(key.size(), header.key.size()), header.key.begin());
  header.shape = contents.shape;
  header.others = contents.others;
  header.index_offset =
      (static_cast<uint64_t>(kContainerData + data_bytes) + kPage - 1) / kPage * kPage;
  header.members = contents.members.size();
  header.slots = slots.size();
  header.names_bytes = contents.names.size();
  header.classes_bytes = classes.size();
  header.file_bytes = header.index_offset + index.size();
  header.index_hash = xxh64(index);
  header.header_hash = hash_of(header);
  if (::ftruncate(file, static_cast<off_t>(header.file_bytes)) != 0) return errno;
  const auto at = static_cast<int64_t>(header.index_offset);
  if (const int error = write_at(file, index.data(), static_cast<int64_t>(index.size()), at)) {
    return error;
  }
  if (const int error = write_at(file, &header, sizeof header, 0)) return error;
  return ::fsync(file) == 0 ? 0 : errno;
}

}  // namespace flexae

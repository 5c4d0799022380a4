#include "data/cache/cache_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <span>

#include "data/files/hash.h"

namespace flexae {
namespace {

constexpr std::array<char, 8> kMagic{'F', 'L', 'X', 'I', 'M', 'A', 'G', 'E'};
constexpr uint32_t kVersion = 1;
/// Pixels begin on a page of their own.
constexpr int64_t kDataOffset = 4096;
/// No reason is nearly as long, so that a file cannot ask for more memory than its set is worth.
constexpr uint64_t kLongestReason = 1024;

struct Header {
  std::array<char, 8> magic = kMagic;
  uint32_t version = kVersion;
  uint32_t channels = 0;
  uint32_t height = 0;
  uint32_t width = 0;
  std::array<char, 32> key{};
  uint64_t images = 0;
  uint64_t data_offset = kDataOffset;
  uint64_t index_offset = 0;
  uint64_t reasons_bytes = 0;
  uint64_t file_bytes = 0;
  /// Of the entries and the reasons that follow them.
  uint64_t index_hash = 0;
  /// Of all fields above.
  uint64_t header_hash = 0;
};
static_assert(sizeof(Header) == 112);

uint64_t hash_of(const CacheIndex& index) {
  const auto& [entries, reasons] = index;
  return xxh64(bytes_of(reasons.data(), reasons.size()),
               xxh64(bytes_of(entries.data(), entries.size() * sizeof(CacheEntry))));
}

/// The header that fits; the hashes are the caller's.
Header header_for(const std::string& key, const DecodeSpec& spec, int64_t images,
                  uint64_t reasons_bytes) {
  Header header;
  header.channels = static_cast<uint32_t>(spec.channels);
  header.height = static_cast<uint32_t>(spec.height);
  header.width = static_cast<uint32_t>(spec.width);
  std::memcpy(header.key.data(), key.data(), std::min(key.size(), header.key.size()));
  header.images = static_cast<uint64_t>(images);
  header.index_offset = static_cast<uint64_t>(index_offset(images, spec));
  header.reasons_bytes = reasons_bytes;
  header.file_bytes =
      header.index_offset + header.images * sizeof(CacheEntry) + header.reasons_bytes;
  return header;
}

uint64_t hash_of(const Header& header) {
  return xxh64(bytes_of(&header, offsetof(Header, header_hash)));
}

bool sound(const CacheIndex& index) {
  // Reasons are shown on terminals, which obey control characters.
  const bool plain = std::none_of(index.reasons.begin(), index.reasons.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  });
  if (!plain) return false;
  for (const CacheEntry& entry : index.entries) {
    if (entry.state > CacheEntry::kBad) return false;
    if (entry.state == CacheEntry::kBad && (entry.length > index.reasons.size() ||
                                            entry.value > index.reasons.size() - entry.length)) {
      return false;
    }
  }
  return true;
}

}  // namespace

CacheKey::CacheKey(const DecodeSpec& spec) : low_(kVersion), high_(~uint64_t{kVersion}) {
  std::string settings;
  for (const int64_t value :
       {int64_t{kDecoderVersion}, int64_t{spec.height}, int64_t{spec.width}, int64_t{spec.channels},
        static_cast<int64_t>(spec.interpolation), spec.max_pixels}) {
    settings += std::to_string(value) + ' ';
  }
  add(settings + opencv_version());
}

void CacheKey::add(const std::string& path, const FileStamp& stamp) {
  add(path);
  const std::array<int64_t, 3> words{stamp.bytes, stamp.seconds, stamp.nanoseconds};
  add(std::string(reinterpret_cast<const char*>(words.data()), sizeof words));
}

void CacheKey::add(const std::string& bytes) {
  // Each hash seeds the next, so that order and boundaries count.
  low_ = xxh64(bytes_of(bytes.data(), bytes.size()), low_);
  high_ = xxh64(bytes_of(bytes.data(), bytes.size()), high_);
}

std::string CacheKey::text() const {
  std::array<char, 33> digits{};
  std::snprintf(digits.data(), digits.size(), "%016llx%016llx",
                static_cast<unsigned long long>(high_), static_cast<unsigned long long>(low_));
  return digits.data();
}

int64_t image_offset(int64_t index, const DecodeSpec& spec) {
  return kDataOffset + index * spec.bytes();
}

int64_t index_offset(int64_t images, const DecodeSpec& spec) {
  constexpr int64_t kAlignment = alignof(CacheEntry);
  return (image_offset(images, spec) + kAlignment - 1) / kAlignment * kAlignment;
}

std::optional<CacheIndex> read_cache_index(int file, const std::string& key, const DecodeSpec& spec,
                                           int64_t images) {
  struct stat info = {};
  Header header;
  if (::fstat(file, &info) != 0 || !S_ISREG(info.st_mode) ||
      !read_at(file, &header, sizeof header, 0)) {
    return std::nullopt;
  }
  // Sizes are what this set's must be before any of them is used.
  const auto end = static_cast<uint64_t>(index_offset(images, spec)) +
                   static_cast<uint64_t>(images) * sizeof(CacheEntry);
  const auto size = static_cast<uint64_t>(info.st_size);
  if (size < end || header.reasons_bytes != size - end ||
      header.reasons_bytes > static_cast<uint64_t>(images) * kLongestReason) {
    return std::nullopt;
  }
  Header expected = header_for(key, spec, images, header.reasons_bytes);
  expected.index_hash = header.index_hash;
  expected.header_hash = hash_of(expected);
  if (std::memcmp(&header, &expected, sizeof header) != 0) return std::nullopt;

  CacheIndex index;
  index.entries.resize(static_cast<size_t>(images));
  index.reasons.resize(header.reasons_bytes);
  const auto entries_bytes = static_cast<int64_t>(index.entries.size() * sizeof(CacheEntry));
  const auto at = static_cast<int64_t>(header.index_offset);
  if (!read_at(file, index.entries.data(), entries_bytes, at) ||
      !read_at(file, index.reasons.data(), static_cast<int64_t>(index.reasons.size()),
               at + entries_bytes) ||
      hash_of(index) != header.index_hash || !sound(index)) {
    return std::nullopt;
  }
  return index;
}

int write_cache_index(int file, const std::string& key, const DecodeSpec& spec,
                      const CacheIndex& index) {
  const auto& [entries, reasons] = index;
  Header header = header_for(key, spec, static_cast<int64_t>(entries.size()), reasons.size());
  header.index_hash = hash_of(index);
  header.header_hash = hash_of(header);
  const auto entries_bytes = static_cast<int64_t>(entries.size() * sizeof(CacheEntry));
  const auto at = static_cast<int64_t>(header.index_offset);
  // What was reserved may be longer, when it is not yet known how many images are bad.
  if (::ftruncate(file, static_cast<int64_t>(header.file_bytes)) != 0) return errno;
  if (const int error = write_at(file, entries.data(), entries_bytes, at)) return error;
  if (const int error = write_at(file, reasons.data(), static_cast<int64_t>(reasons.size()),
                                 at + entries_bytes)) {
    return error;
  }
  if (const int error = write_at(file, &header, sizeof header, 0)) return error;
  return ::fsync(file) == 0 ? 0 : errno;
}

}  // namespace flexae

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/files/descriptor.h"
#include "data/decode.h"
#include "data/files/file_stamp.h"

namespace flexae {

/// The file of decoded images, as docs/formats.md describes it.

//// 32 hexadecimal digits that depend on the files' paths and stamps, in order, and on all that
/// decides what bytes they decode to.
class CacheKey {
 public:
  explicit CacheKey(const DecodeSpec& spec);
  void add(const std::string& path, const FileStamp& stamp);
  [[nodiscard]] std::string text() const;

 private:
  void add(const std::string& bytes);
  uint64_t low_;
  uint64_t high_;
};

/// One image of the index.
struct CacheEntry {
  enum State : uint32_t {
    kAbsent,  ///< not kept: to be decoded
    kImage,   ///< `value` is the XXH64 of its pixels
    kBad,     ///< unusable; the reason is `length` bytes at `value` in the reasons
  };
  uint64_t value = 0;
  uint32_t state = kAbsent;
  uint32_t length = 0;
};
static_assert(sizeof(CacheEntry) == 16);

/// All of a file but its pixels.
struct CacheIndex {
  std::vector<CacheEntry> entries;
  std::string reasons;
};

/// Where image `index` lies in the file, in bytes from its start.
[[nodiscard]] int64_t image_offset(int64_t index, const DecodeSpec& spec);
/// Where its index begins, which is where the pixels have ended.
[[nodiscard]] int64_t index_offset(int64_t images, const DecodeSpec& spec);

/// The index of an open file if the file is whole and holds just `images` images of this key and
/// size. Pixels are not looked at.
[[nodiscard]] std::optional<CacheIndex> read_cache_index(int file, const std::string& key,
                                                         const DecodeSpec& spec, int64_t images);

/// Completes a file whose pixels are in place, and sees it safely on disk. Returns 0 or errno.
[[nodiscard]] int write_cache_index(int file, const std::string& key, const DecodeSpec& spec,
                                    const CacheIndex& index);

}  // namespace flexae

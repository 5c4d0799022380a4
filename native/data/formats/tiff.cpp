#include "data/formats/tiff.h"

#include <algorithm>
#include <utility>

#include "data/formats/byte_reader.h"
#include "data/formats/tiff_directory.h"

namespace flexae {
namespace {

// Whether every strip or tile lies inside the file.
bool tiff_is_whole(const TiffDirectory& directory, size_t file_size) {
  bool found = false;
  for (const auto& [offsets_tag, counts_tag] : {std::pair{273, 279}, std::pair{324, 325}}) {
    const auto offsets = directory.find(offsets_tag);
    if (!offsets) continue;
    found = true;
    // Some writers leave the counts of strips out.
    const auto counts = directory.find(counts_tag);
    for (uint64_t i = 0; i < offsets->count; ++i) {
      const auto offset = directory.value(*offsets, i);
      const auto count = counts ? directory.value(*counts, i) : std::optional<uint64_t>(1);
      if (!offset || !count || *offset > file_size || *count > file_size - *offset) return false;
    }
  }
  return found;
}

}  // namespace

HeaderResult read_tiff_header(std::span<const uint8_t> bytes) {
  const auto directory = TiffDirectory::open(bytes);
  if (!directory) return refuse("truncated");
  ImageHeader header;
  header.format = ImageFormat::kTiff;
  // Capped so that nothing overflows; such sizes are refused by any limit on pixels.
  constexpr uint64_t kHuge = uint64_t{1} << 31;
  header.width = static_cast<int64_t>(std::min(directory->first(256, 0), kHuge));
  header.height = static_cast<int64_t>(std::min(directory->first(257, 0), kHuge));
  for (const uint64_t tag : {322, 323}) {
    if (directory->has(tag) && directory->first(tag, 0) - 1 >= kHuge / 2) {
      return refuse("corrupt TIFF (tile size)");
    }
  }
  // A tile is decoded whole, however small the image in it.
  header.width = std::max(
      header.width, static_cast<int64_t>(directory->first(322, 0)) * (header.width > 0 ? 1 : 0));
  header.height = std::max(
      header.height, static_cast<int64_t>(directory->first(323, 0)) * (header.height > 0 ? 1 : 0));
  if (header.width < 1 || header.height < 1) return refuse("truncated");
  // OpenCV reads TIFF by way of RGBA.
  header.working_bytes = header.width * header.height * 4;
  if (!tiff_is_whole(*directory, bytes.size())) return refuse("truncated");
  const auto extra = directory->find(338);
  if (extra && extra->size == 2 && directory->value(*extra, 0) == 2) {
    header.unassociated_alpha = extra->values + (bytes[0] == 'M' ? 1 : 0);
  }
  return accept(std::move(header));
}

}  // namespace flexae

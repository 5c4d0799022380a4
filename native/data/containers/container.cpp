#include "data/containers/container.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <filesystem>
#include <mutex>
#include <new>
#include <shared_mutex>
#include <string_view>
#include <system_error>
#include <unordered_map>
#include <utility>

#include "core/files/descriptor.h"
#include "data/containers/inflate.h"
#include "data/files/readable_file.h"
#include "data/formats/image_header.h"

namespace flexae {
namespace {

std::string netpbm_header(const PixelShape& shape) {
  if (shape.channels == 0) return "";
  return (shape.channels == 1 ? "P5 " : "P6 ") + std::to_string(shape.width) + ' ' +
         std::to_string(shape.height) + " 255\n";
}

struct TextHash {
  using is_transparent = void;
  size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};

/// All mounted containers, by place. They stay, for any job may name their images.
struct Mounts {
  std::shared_mutex mutex;
  std::unordered_map<std::string, std::shared_ptr<const Container>, TextHash, std::equal_to<>> all;
  std::atomic<size_t> count = 0;
};

Mounts& mounts() {
  static Mounts* const kMounts = new Mounts;  // never destroyed: threads may read until the end
  return *kMounts;
}

/// Containers are known by absolute paths.
std::string absolute_path(const std::string& path) {
  if (path.starts_with('/')) return path;
  std::error_code ignored;
  return (std::filesystem::current_path(ignored) / path).lexically_normal().string();
}

}  // namespace

Container::Container(std::string place, std::unique_ptr<const ContainerIndex> index,
                     Descriptor data)
    : place_(std::move(place)),
      index_(std::move(index)),
      data_(std::move(data)),
      stamp_(file_stamp(place_)),
      pixels_header_(netpbm_header(index_->shape())) {}

std::optional<std::string> Container::read(size_t member, ByteBuffer& buffer,
                                           std::span<const uint8_t>& bytes) const {
  const MemberEntry& entry = index_->members()[member];
  if (entry.length == 0) return "empty file";
  Descriptor opened;
  if (!data_) {
    opened = open_for_reading(place_);
    if (!opened) return unreadable(place_, errno);
    // Where a member lies is known of the file that was listed.
    if (file_stamp(place_) != stamp_) return "its container was changed since it was opened";
  }
  const int file = data_ ? data_.get() : opened.get();
  const auto offset = static_cast<int64_t>(entry.offset);
  const bool is_deflated = entry.form == MemberForm::kDeflated;
  const bool is_pixels = entry.form == MemberForm::kPixels;
  // No memory is taken for a large one before it looks like an image.
  constexpr uint32_t kLarge = uint32_t{1} << 20;
  if (entry.form == MemberForm::kStored && entry.length > kLarge) {
    std::array<uint8_t, 64> start{};
    if (!read_at(file, start.data(), start.size(), offset)) return "truncated";
    if (!image_format(start)) return read_image_header(start).reason;
  }
  // Nor before as many bytes are there, and as DEFLATE makes of those: 1032 of one at most.
  const uint32_t in_file = is_deflated ? entry.stored : entry.length;
  uint8_t last = 0;
  if (in_file > kLarge && !read_at(file, &last, 1, offset + in_file - 1)) return "truncated";
  constexpr uint64_t kMostOfOne = 1032;
  if (is_deflated && entry.length > kMostOfOne * entry.stored) return "corrupt in its zip file";
  const size_t before = is_pixels ? pixels_header_.size() : 0;
  const size_t stored = is_deflated ? entry.stored : 0;
  uint8_t* memory = nullptr;
  try {
    memory = buffer.bytes(before + entry.length + stored);
  } catch (const std::bad_alloc&) {
    return "not enough memory to read it";
  }
  std::copy_n(pixels_header_.begin(), before, memory);
  uint8_t* const image = memory + before;
  if (is_deflated) {
    uint8_t* const packed = image + entry.length;
    if (!read_at(file, packed, static_cast<int64_t>(stored), offset)) return "truncated";
    if (!inflate_raw({packed, stored}, {image, entry.length})) return "corrupt in its zip file";
  } else if (!read_at(file, image, entry.length, offset)) {
    return "truncated";
  }
  if (entry.crc != 0 && zip_crc({image, entry.length}) != entry.crc) {
    return "corrupt in its container: its checksum differs";
  }
  bytes = {memory, before + entry.length};
  return std::nullopt;
}

FileStamp Container::stamp(size_t member) const {
  return {index_->members()[member].length, stamp_.seconds, stamp_.nanoseconds};
}

void mount_container(std::shared_ptr<const Container> container) {
  Mounts& mounted = mounts();
  const std::unique_lock lock(mounted.mutex);
  const std::string place = container->place();
  mounted.all.insert_or_assign(place, std::move(container));
  mounted.count = mounted.all.size();
}

std::optional<FoundMember> find_member(const std::string& path) {
  Mounts& mounted = mounts();
  if (mounted.count.load(std::memory_order_relaxed) == 0) return std::nullopt;
  const std::string text = absolute_path(path);
  const std::shared_lock lock(mounted.mutex);
  for (size_t end = text.rfind('/'); end != std::string::npos && end > 0;
       end = text.rfind('/', end - 1)) {
    const std::string_view view = text;
    const auto found = mounted.all.find(view.substr(0, end));
    if (found == mounted.all.end()) continue;
    const auto member = found->second->index().find(view.substr(end + 1));
    if (member) return FoundMember{found->second, *member};
  }
  return std::nullopt;
}

}  // namespace flexae

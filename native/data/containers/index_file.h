#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace flexae {

/// How an image lies in the file that holds it.
enum class MemberForm : uint8_t {
  kStored,    ///< as a file of its own would be
  kDeflated,  ///< raw DEFLATE (RFC 1951), as in a zip file
  kPixels,    ///< height×width×channels bytes, no header
};

/// An image in a container. Its place in the file is trusted no further than that it is read there.
struct MemberEntry {
  uint64_t offset = 0;
  /// Bytes of the image as a file: at most INT32_MAX. Of kPixels, those of the pixels.
  uint32_t length = 0;
  /// Bytes that it takes in the file, where it is deflated.
  uint32_t stored = 0;
  /// CRC-32 of the image's bytes; 0 says that it is not known.
  uint32_t crc = 0;
  /// Position in the names of classes, or -1.
  int32_t label = -1;
  /// Where its name ends in the names; it begins where the one before it ends.
  uint32_t name_end = 0;
  MemberForm form = MemberForm::kStored;
  uint8_t unused[3] = {};  // NOLINT(modernize-avoid-c-arrays): padding that is written out
};
static_assert(sizeof(MemberEntry) == 32);

/// The size of images that are kPixels, as one set has them.
struct PixelShape {
  uint32_t height = 0;
  uint32_t width = 0;
  uint32_t channels = 0;  ///< 1 or 3
  bool operator==(const PixelShape&) const = default;
};

/// What a container holds.
struct ContainerContents {
  std::vector<MemberEntry> members;
  /// The names of all members, one behind the other, no two the same.
  std::string names;
  std::vector<std::string> classes;
  /// Members that are no images.
  uint64_t others = 0;
  PixelShape shape;
};

/// The index of a container as it lies in memory: mapped, so that a million images cost nothing to
/// open, and pages of it are shared by all who use it.
///
/// The file of an index may begin with data of its own, the images of a container that gives no
/// access at random (of compressed files, and of Parquet). docs/formats.md has its form.
class ContainerIndex {
 public:
  /// Maps the index of an open file. Nothing if it is not whole, not of this key, or not sound.
  [[nodiscard]] static std::unique_ptr<ContainerIndex> map(int file, const std::string& key);
  ~ContainerIndex();
  ContainerIndex(const ContainerIndex&) = delete;
  ContainerIndex& operator=(const ContainerIndex&) = delete;

  [[nodiscard]] std::span<const MemberEntry> members() const { return members_; }
  [[nodiscard]] std::string_view name(size_t member) const;
  [[nodiscard]] const std::vector<std::string>& classes() const { return classes_; }
  [[nodiscard]] uint64_t others() const { return others_; }
  [[nodiscard]] const PixelShape& shape() const { return shape_; }
  /// Whether the images lie in the index's own file.
  [[nodiscard]] bool holds_data() const { return holds_data_; }
  /// The member of a name.
  [[nodiscard]] std::optional<size_t> find(std::string_view name) const;

 private:
  ContainerIndex() = default;

  void* mapping_ = nullptr;
  size_t mapped_ = 0;
  std::span<const MemberEntry> members_;
  std::span<const uint32_t> slots_;
  std::string_view names_;
  std::vector<std::string> classes_;
  uint64_t others_ = 0;
  PixelShape shape_;
  bool holds_data_ = false;
};

/// Where data of its own begins in an index's file.
inline constexpr int64_t kContainerData = 4096;

/// Completes a file that holds `data_bytes` of its own from kContainerData on, or none. Throws
/// Error(kData) for more names than 4 GiB. Returns 0 or errno.
[[nodiscard]] int write_container_index(int file, const std::string& key,
                                        const ContainerContents& contents, int64_t data_bytes);

}  // namespace flexae

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "core/files/descriptor.h"
#include "data/containers/index_file.h"
#include "data/files/file_stamp.h"

namespace flexae {

/// Memory that is kept from one use to the next, so that pages are not mapped anew each time.
class ByteBuffer {
 public:
  /// Room for `size` bytes; what was in it before is lost. Throws std::bad_alloc.
  uint8_t* bytes(size_t size) {
    if (size > capacity_) {
      release();
      bytes_ = std::make_unique_for_overwrite<uint8_t[]>(size);
      capacity_ = size;
    }
    return bytes_.get();
  }
  [[nodiscard]] size_t capacity() const { return capacity_; }
  void release() {
    bytes_.reset();
    capacity_ = 0;
  }

 private:
  std::unique_ptr<uint8_t[]> bytes_;
  size_t capacity_ = 0;
};

/// A file that holds many images, each of which can be read by itself.
class Container {
 public:
  /// `data` is the file that holds the images: `place`, or the index's own, where it holds them.
  /// It is opened for each image if it is not handed over open.
  Container(std::string place, std::unique_ptr<const ContainerIndex> index, Descriptor data);

  [[nodiscard]] const std::string& place() const { return place_; }
  [[nodiscard]] const ContainerIndex& index() const { return *index_; }

  /// Reads a member into `buffer`, and has `bytes` name what it is as a file. Pixels become a PGM
  /// or PPM file. Returns why it cannot be used, or nothing. Any number of threads at once.
  [[nodiscard]] std::optional<std::string> read(size_t member, ByteBuffer& buffer,
                                                std::span<const uint8_t>& bytes) const;
  /// Of a member: its length and the container's time of change.
  [[nodiscard]] FileStamp stamp(size_t member) const;

 private:
  const std::string place_;
  const std::unique_ptr<const ContainerIndex> index_;
  const Descriptor data_;
  const FileStamp stamp_;
  /// What stands before pixels.
  const std::string pixels_header_;
};

/// An image within a container.
struct FoundMember {
  std::shared_ptr<const Container> container;
  size_t member = 0;
};

/// Makes the images of a container known to this process: from then on each is a file of its name
/// below the container's own path. Replaces one of the same place.
void mount_container(std::shared_ptr<const Container> container);

/// The image of a path such as `/data/shard.tar/cats/1.jpg`; nothing if no mounted container has
/// it. Costs no more than a look at a number where there are none.
[[nodiscard]] std::optional<FoundMember> find_member(const std::string& path);

}  // namespace flexae

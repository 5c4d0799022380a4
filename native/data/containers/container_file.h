#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "core/files/descriptor.h"
#include "data/containers/container.h"

namespace flexae {

/// Opens a container whose index an earlier process has left in `folder`. Nothing if there is none,
/// or none that is whole; `key` tells one state of one container, in 32 hexadecimal digits.
[[nodiscard]] std::shared_ptr<const Container> open_container(const std::string& place,
                                                              const std::string& folder,
                                                              const std::string& key);

/// Writes the index of a container, and the images where it holds them itself.
///
/// It is a file in `folder`, of a temporary name until it is whole. An index alone is kept in
/// memory where that folder cannot be written to.
class ContainerFile {
 public:
  /// With `holds_data`, images are handed over by append(); throws Error(kIo) if the folder cannot
  /// be written to.
  ContainerFile(std::string place, std::string folder, std::string key, bool holds_data);
  /// Deletes what is not finished.
  ~ContainerFile();
  ContainerFile(const ContainerFile&) = delete;
  ContainerFile& operator=(const ContainerFile&) = delete;

  /// Where the next bytes would lie, to be an entry's offset.
  [[nodiscard]] int64_t position() const { return kContainerData + data_bytes_; }
  /// Adds bytes of images. Throws Error(kIo).
  void append(std::span<const uint8_t> bytes);
  /// Reads what was appended, from `position` on; returns how many bytes that were.
  [[nodiscard]] size_t read(std::span<uint8_t> to, int64_t position) const;
  /// Completes the file. Throws Error(kIo), and Error(kData) for too many images.
  [[nodiscard]] std::shared_ptr<const Container> finish(const ContainerContents& contents);

 private:
  /// Takes a file in memory in the file's place.
  void use_memory();
  [[noreturn]] void fail(const std::string& reason) const;

  const std::string place_;
  const std::string folder_;
  const std::string key_;
  const bool holds_data_;
  std::string temporary_;  ///< "" of a file in memory, and once it has its name
  Descriptor file_;
  int64_t data_bytes_ = 0;
};

}  // namespace flexae

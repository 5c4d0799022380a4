#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "data/containers/container.h"
#include "data/files/file_stamp.h"

namespace flexae {

/// Reads the file of an image, or an image within a mounted container, into `buffer`, and has
/// `bytes` name what it holds. A large file that does not begin like an image is not read.
///
/// Returns why it cannot be read, as decode_file() does, or nothing on success. Throws Error(kIo)
/// when the system is out of file handles or memory.
[[nodiscard]] std::optional<std::string> read_image_file(const std::string& path,
                                                         ByteBuffer& buffer,
                                                         std::span<const uint8_t>& bytes);

/// What tells that an image, in a file of its own or within a container, is still the same.
[[nodiscard]] FileStamp stamp_of(const std::string& path);

}  // namespace flexae

#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace flexae {

/// Named tensors and string metadata in the safetensors format (8 bytes of header length, a JSON
/// header, raw little-endian data), so other programs read our files with stock libraries.
struct TensorFile {
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  std::map<std::string, std::string> metadata;
};

/// Writes atomically, with a CRC-32C over the whole file in the metadata entry `checksum`, computed
/// with its own eight digits as zeros; `links` as write_file_atomic() takes them. Tensors: fp32,
/// fp64, fp16, bf16, int64 or uint8. Throws Error(kIo).
void write_tensor_file(const std::string& path, const TensorFile& file,
                       const std::vector<std::string>& links = {});

/// Reads and checks every size, offset and count; verifies `checksum` where there is one, and
/// `require_checksum` demands it. Throws Error(kModel) naming the path and what is wrong,
/// Error(kIo).
TensorFile read_tensor_file(const std::string& path, bool require_checksum);

/// The same from memory; `name` is for messages.
TensorFile parse_tensor_file(std::string_view data, const std::string& name, bool require_checksum);

}  // namespace flexae

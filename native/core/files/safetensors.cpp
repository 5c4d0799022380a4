#include "core/files/safetensors.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>

#include "core/base/error.h"
#include "core/base/json.h"
#include "core/files/atomic_file.h"
#include "core/files/bytes.h"
#include "core/files/crc32c.h"

namespace flexae {
namespace {

constexpr size_t kMaxHeader = size_t{100} << 20;
constexpr std::string_view kNoChecksum = "00000000";

struct DType {
  std::string_view name;
  at::ScalarType type;
};
constexpr std::array<DType, 6> kTypes{{{"F32", at::kFloat},
                                       {"F64", at::kDouble},
                                       {"F16", at::kHalf},
                                       {"BF16", at::kBFloat16},
                                       {"I64", at::kLong},
                                       {"U8", at::kByte}}};

std::string_view type_name(at::ScalarType type) {
  for (const DType& known : kTypes) {
    if (known.type == type) return known.name;
  }
  throw Error(ErrorCode::kInternal, "a tensor's dtype has no place in the file");
}

std::span<const std::byte> bytes_of(const void* data, size_t size) {
  return {static_cast<const std::byte*>(data), size};
}

std::string_view view_of(const at::Tensor& tensor) {
  return {static_cast<const char*>(tensor.const_data_ptr()), tensor.nbytes()};
}

class Reader {
 public:
  Reader(const Bytes& bytes, const std::string& name) : bytes_(bytes), name_(name) {}

  TensorFile read(bool require_checksum) {
    const std::string header = take_header();
    Json::Object entries;
    try {
      entries = Json::parse(header).object();
    } catch (const Error& error) {
      fail(error.what());
    }
    try {
      return assemble(entries, header, require_checksum);
    } catch (const Error& error) {
      fail(error.what());
    }
  }

 private:
  [[noreturn]] void fail(const std::string& why) const {
    throw Error(ErrorCode::kModel, name_ + " is damaged or no tensor file: " + why);
  }

  std::string take_header() {
    uint64_t size = 0;
    if (bytes_.size() < sizeof size) fail("it is too short");
    copy(0, &size, sizeof size);
    if (size > kMaxHeader || size > bytes_.size() - sizeof size) fail("its header is cut off");
    std::string header(size, '\0');
    copy(sizeof size, header.data(), size);
    body_ = sizeof size + size;
    return header;
  }

  void copy(uint64_t position, void* to, size_t count) const {
    if (bytes_.read(position, to, count) < count) fail("it is cut off");
  }

  [[nodiscard]] size_t body_size() const { return bytes_.size() - body_; }

  TensorFile assemble(const Json::Object& entries, const std::string& header,
                      bool require_checksum) {
    TensorFile file;
    size_t covered = 0;
    for (const auto& [name, entry] : entries) {
      if (name == "__metadata__") {
        for (const auto& [key, value] : entry.object()) file.metadata[key] = value.string();
      } else {
        const at::Tensor tensor = read_tensor(entry);
        covered += tensor.nbytes();
        file.tensors.emplace_back(name, tensor);
      }
    }
    if (covered != body_size())
      throw Error(ErrorCode::kModel, "its length is not what its header says");
    const auto checksum = file.metadata.find("checksum");
    if (checksum == file.metadata.end()) {
      if (require_checksum) throw Error(ErrorCode::kModel, "it has no checksum");
    } else {
      verify(header, checksum->second);
      file.metadata.erase(checksum);
    }
    return file;
  }

  at::Tensor read_tensor(const Json& entry) const {
    const std::string& dtype = entry.at("dtype").string();
    const auto* known = std::find_if(kTypes.begin(), kTypes.end(),
                                     [&](const DType& type) { return type.name == dtype; });
    if (known == kTypes.end()) throw Error(ErrorCode::kModel, "an unknown dtype");
    uint64_t bytes = c10::elementSize(known->type);
    std::vector<int64_t> shape;
    for (const Json& item : entry.at("shape").array()) {
      const int64_t size = item.integer();
      if (size < 0 || (size > 0 && bytes > body_size() / static_cast<uint64_t>(size))) {
        throw Error(ErrorCode::kModel, "a shape beyond the file's size");
      }
      bytes *= static_cast<uint64_t>(size);
      shape.push_back(size);
    }
    const Json::Array& offsets = entry.at("data_offsets").array();
    if (offsets.size() != 2) throw Error(ErrorCode::kModel, "a tensor without two offsets");
    const int64_t begin = offsets[0].integer();
    const int64_t end = offsets[1].integer();
    if (begin < 0 || end < begin || static_cast<uint64_t>(end) > body_size() ||
        static_cast<uint64_t>(end - begin) != bytes) {
      throw Error(ErrorCode::kModel, "an offset that does not fit");
    }
    at::Tensor tensor = at::empty(shape, known->type);
    if (bytes > 0) copy(body_ + static_cast<uint64_t>(begin), tensor.mutable_data_ptr(), bytes);
    return tensor;
  }

  void verify(const std::string& header, const std::string& stored) const {
    const size_t at = header.find("\"checksum\":\"" + stored + "\"");
    constexpr size_t kPrefix = std::string_view("\"checksum\":\"").size();
    if (stored.size() != kNoChecksum.size() || at == std::string_view::npos) {
      throw Error(ErrorCode::kModel, "its checksum is malformed");
    }
    const size_t digits = sizeof(uint64_t) + at + kPrefix;
    uint32_t crc = crc32c(bytes_, 0, digits);
    crc = crc32c(kNoChecksum, crc);
    crc = crc32c(bytes_, digits + kNoChecksum.size(), bytes_.size(), crc);
    if (crc32c_text(crc) != stored)
      throw Error(ErrorCode::kModel, "its checksum does not match its contents");
  }

  const Bytes& bytes_;
  std::string name_;
  uint64_t body_ = 0;  ///< where tensors begin
};

}  // namespace

void write_tensor_file(const std::string& path, const TensorFile& file,
                       const std::vector<std::string>& links) {
  std::vector<at::Tensor> data;
  Json::Object header;
  int64_t offset = 0;
  for (const auto& [name, tensor] : file.tensors) {
    data.push_back(tensor.cpu().contiguous());
    const auto bytes = static_cast<int64_t>(data.back().nbytes());
    Json::Array shape;
    for (const int64_t size : tensor.sizes()) shape.emplace_back(size);
    header.emplace(name, Json::Object{{"dtype", std::string(type_name(tensor.scalar_type()))},
                                      {"shape", shape},
                                      {"data_offsets", Json::Array{offset, offset + bytes}}});
    offset += bytes;
  }
  Json::Object metadata;
  for (const auto& [key, value] : file.metadata) metadata.emplace(key, value);
  metadata["checksum"] = std::string(kNoChecksum);
  header.emplace("__metadata__", metadata);
  std::string text = Json(header).dump();
  text.append((8 - text.size() % 8) % 8, ' ');
  const uint64_t size = text.size();

  uint32_t crc = crc32c({reinterpret_cast<const char*>(&size), sizeof size});
  crc = crc32c(text, crc);
  for (const at::Tensor& tensor : data) crc = crc32c(view_of(tensor), crc);
  const std::string mark = "\"checksum\":\"";
  text.replace(text.find(mark + std::string(kNoChecksum)) + mark.size(), kNoChecksum.size(),
               crc32c_text(crc));

  std::vector<std::span<const std::byte>> pieces{bytes_of(&size, sizeof size),
                                                 bytes_of(text.data(), text.size())};
  for (const at::Tensor& tensor : data) {
    pieces.push_back(bytes_of(tensor.const_data_ptr(), tensor.nbytes()));
  }
  write_file_atomic(path, pieces, links);
}

TensorFile parse_tensor_file(std::string_view data, const std::string& name,
                             bool require_checksum) {
  return Reader(MemoryBytes(data), name).read(require_checksum);
}

TensorFile read_tensor_file(const std::string& path, bool require_checksum) {
  return Reader(FileBytes(path), path).read(require_checksum);
}

}  // namespace flexae

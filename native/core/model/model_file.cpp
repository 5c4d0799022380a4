#include "core/model/model_file.h"

#include <ATen/ATen.h>
#include <caffe2/serialize/inline_container.h>
#include <caffe2/serialize/read_adapter_interface.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include "core/base/error.h"
#include "core/base/json.h"
#include "core/files/crc32c.h"
#include "core/spec/layer_spec.h"
#include "core/spec/model_config_json.h"

namespace flexae {
namespace {

using caffe2::serialize::PyTorchStreamReader;

/// Zip's end-of-central-directory record (PKWARE APPNOTE 4.3.16): its signature, and the length of
/// the comment in its last two bytes.
constexpr std::string_view kEndSignature("PK\x05\x06", 4);
constexpr size_t kEndSize = 22;
constexpr std::string_view kMark = "flexible-autoencoder crc32c ";
constexpr std::string_view kNoChecksum = "00000000";
constexpr size_t kSealSize = kMark.size() + kNoChecksum.size();

/// What libtorch reads from: never beyond the end.
class Adapter : public caffe2::serialize::ReadAdapterInterface {
 public:
  explicit Adapter(const Bytes& bytes) : bytes_(bytes) {}
  [[nodiscard]] size_t size() const override { return bytes_.size(); }
  size_t read(uint64_t pos, void* buffer, size_t n, const char* /*what*/) const override {
    return bytes_.read(pos, buffer, n);
  }

 private:
  const Bytes& bytes_;
};

std::string record_name(size_t index) {
  return "data/" + std::to_string(index);
}

std::string read_text(PyTorchStreamReader& reader, const char* entry, size_t most) {
  const std::string name = std::string("extra/") + entry;
  if (!reader.hasRecord(name)) {
    throw Error(ErrorCode::kModel, "its " + std::string(entry) + " is missing");
  }
  if (reader.getRecordSize(name) > most) {
    throw Error(ErrorCode::kModel, "its " + std::string(entry) + " is too long");
  }
  const auto [data, size] = reader.getRecord(name);
  return {static_cast<const char*>(data.get()), size};
}

at::Tensor read_weight(PyTorchStreamReader& reader, const std::string& record, const Json& shape,
                       size_t most) {
  uint64_t bytes = sizeof(float);
  std::vector<int64_t> sizes;
  for (const Json& item : shape.array()) {
    const int64_t size = item.integer();
    if (size < 1 || bytes > most / static_cast<uint64_t>(size)) {
      throw Error(ErrorCode::kModel, "a weight is larger than the file");
    }
    bytes *= static_cast<uint64_t>(size);
    sizes.push_back(size);
  }
  if (!reader.hasRecord(record) || reader.getRecordSize(record) != bytes) {
    throw Error(ErrorCode::kModel, "its record " + record + " does not fit");
  }
  at::Tensor weight = at::empty(sizes, at::kFloat);
  reader.getRecord(record, weight.mutable_data_ptr(), bytes);
  return weight;
}

ModelFile read_archive(const Bytes& data) {
  PyTorchStreamReader reader(std::make_shared<Adapter>(data));
  ModelFile file;
  file.config_json = read_text(reader, kConfigEntry, data.size());
  const Json index = Json::parse(read_text(reader, kWeightsEntry, data.size()));
  if (index.at("format").integer() != 1) {
    throw Error(ErrorCode::kModel, "it is of another version");
  }
  file.autoencoder = index.at("kind").string() == "autoencoder";
  const Json::Array& weights = index.at("weights").array();
  for (size_t i = 0; i < weights.size(); ++i) {
    file.weights.emplace_back(
        weights[i].at("name").string(),
        read_weight(reader, record_name(i), weights[i].at("shape"), data.size()));
  }
  file.config = model_config_from_json(Json::parse(file.config_json).at("model"));
  return file;
}

/// Of a file of at least kSealSize bytes, whose checksum counts as kNoChecksum.
uint32_t sealed_crc(const Bytes& file) {
  return crc32c(kNoChecksum, crc32c(file, 0, file.size() - kNoChecksum.size()));
}

/// The last `count` bytes, of which there are so many.
std::string tail(const Bytes& file, size_t count) {
  std::string text(count, '\0');
  text.resize(file.read(file.size() - count, text.data(), count));
  return text;
}

}  // namespace

std::string describe_weights(const NamedTensors& weights, bool autoencoder) {
  Json::Array list;
  for (const auto& [name, tensor] : weights) {
    Json::Array shape;
    for (const int64_t size : tensor.sizes()) shape.emplace_back(size);
    list.emplace_back(Json::Object{{"name", name}, {"shape", std::move(shape)}});
  }
  return Json(Json::Object{{"format", int64_t{1}},
                           {"kind", autoencoder ? "autoencoder" : "encoder"},
                           {"weights", std::move(list)}})
      .dump();
}

void seal_model_file(std::string& archive, const NamedTensors& weights) {
  {
    const MemoryBytes bytes(archive);
    PyTorchStreamReader reader(std::make_shared<Adapter>(bytes));
    for (size_t i = 0; i < weights.size(); ++i) {
      const auto [data, size] = reader.getRecord(record_name(i));
      const at::Tensor& weight = weights[i].second;
      if (size != weight.nbytes() || std::memcmp(data.get(), weight.const_data_ptr(), size) != 0) {
        throw Error(ErrorCode::kInternal,
                    "libtorch has not written the weights in their order: " + weights[i].first);
      }
    }
  }
  const size_t end = archive.size() - kEndSize;
  if (archive.size() < kEndSize || archive.compare(end, kEndSignature.size(), kEndSignature) != 0) {
    throw Error(ErrorCode::kInternal, "libtorch has written a zip file with an unknown end");
  }
  archive[archive.size() - 2] = static_cast<char>(kSealSize);
  archive[archive.size() - 1] = 0;
  archive += kMark;
  archive += kNoChecksum;
  archive.replace(archive.size() - kNoChecksum.size(), kNoChecksum.size(),
                  crc32c_text(sealed_crc(MemoryBytes(archive))));
}

bool is_sealed(const Bytes& file, const std::string& name) {
  if (file.size() < kEndSize + kSealSize) return false;
  const std::string seal = tail(file, kSealSize);
  if (!seal.starts_with(kMark)) return false;
  if (crc32c_text(sealed_crc(file)) == seal.substr(kMark.size())) return true;
  throw Error(ErrorCode::kModel,
              name + " is damaged: its checksum does not match its contents.\n" +
                  "Take it from a copy, or delete it and make it again: flexae run --resume with " +
                  "its run folder.");
}

ModelFile parse_model_file(const Bytes& file, const std::string& name) {
  try {
    return read_archive(file);
  } catch (const Error& error) {
    throw Error(ErrorCode::kModel, name + " cannot be used: " + error.what());
  } catch (const std::exception&) {
    throw Error(ErrorCode::kModel, name + " cannot be used: it is no archive that libtorch reads");
  }
}

}  // namespace flexae

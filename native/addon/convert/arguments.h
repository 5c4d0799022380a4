#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <napi.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/spec/model_config.h"
#include "core/train/trainer.h"
#include "data/cache/image_cache.h"
#include "data/decode.h"
#include "data/files/path_list.h"
#include "data/source/image_source.h"

namespace flexae::addon {

/// Readers of JavaScript values. The TypeScript side has validated them for people; these guard the
/// border and throw Error(kConfig) as "Expected X for Y but received Z".
int64_t get_integer(const Napi::Object& object, const char* name);
double get_number(const Napi::Object& object, const char* name);
bool get_boolean(const Napi::Object& object, const char* name);
std::string get_string(const Napi::Object& object, const char* name);
int64_t to_integer(const Napi::Value& value, const std::string& name);
/// A seed: any integer from 0.
uint64_t get_seed(const Napi::Object& object);
Napi::Object get_object(const Napi::Object& object, const char* name);
std::vector<std::string> to_strings(const Napi::Value& value, const char* name);
/// Paths as path_to_js() makes them.
std::string to_path(const Napi::Value& value, const char* name);
std::vector<std::string> to_paths(const Napi::Value& value, const char* name);
/// The same, of a whole set.
PathList to_path_list(const Napi::Value& value, const char* name);
Napi::Object to_object(const Napi::Value& value, const char* name);
std::string to_text(const Napi::Value& value, const char* name);
/// Where libtorch's operations compute on embeddings: auto, cuda or cuda:N. Nothing where kernels
/// of our own do: cpu, undefined, and auto where there is no CUDA.
std::optional<at::Device> to_compute_device(const Napi::Value& value);

/// The network from a JSON text.
ModelConfig to_network(const Napi::Value& value);

/// BenchmarkRequest of ts/addon/types.ts without the images.
TrainerConfig to_benchmark(const Napi::Object& object);

/// TrainRequest without the images.
TrainerConfig to_trainer(const Napi::Object& object);

/// LoadOptions; the shape is the model's.
struct Load {
  DecodeSpec spec;
  int workers = 0;
  CacheKind cache = CacheKind::kAuto;
  std::string cache_folder;
};
Load to_load(const Napi::Object& object, int64_t channels, int64_t height, int64_t width);

/// Images to read, copied out of JavaScript so that any thread may use them.
struct Source {
  PathList files;
  std::vector<SetPart> parts;  ///< of the files, where they are drawn by weights
  at::Tensor images;           ///< uint8 N×H×W×C; undefined when `files` is meant
};
Source to_source(const Napi::Object& object, const DecodeSpec& spec, const char* name);

/// A source, and what to call with the name of each image that is bad, and why.
struct SourceRequest {
  Source source;
  std::function<void(const std::string& name, const std::string& reason)> on_bad = {};
};

struct OpenSources {
  std::vector<std::unique_ptr<BatchSource>> sources;  ///< As requested.
  CacheKind cache = CacheKind::kNone;                 ///< Of the files among them.
};

/// Opens what one job reads together. With `once`, nothing new is kept of it. `note` is called from
/// any thread while a source lives, with what the user should know.
OpenSources open_sources(std::vector<SourceRequest> requests, const Load& load, bool pinned,
                         bool once, std::function<void(const std::string&)> note = {});

/// A Float32Array or Uint8Array of N×C×H×W as a tensor that reads the array's memory. Throws
/// Error(kConfig) if the length is not a whole, positive number of images.
at::Tensor view_batch(const Napi::Value& value, const std::vector<int64_t>& image_shape);
/// The same as a tensor of its own.
at::Tensor to_batch(const Napi::Value& value, const std::vector<int64_t>& image_shape);

}  // namespace flexae::addon

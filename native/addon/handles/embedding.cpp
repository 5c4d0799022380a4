#include "addon/handles/embedding.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <chrono>
#include <numeric>
#include <optional>

#include "addon/convert/values.h"
#include "core/base/error.h"
#include "core/base/thread_time.h"
#include "core/tensor/scale_images.h"
#include "core/train/feed/device_feed.h"
#include "data/described_store.h"
#include "data/source/image_source.h"

namespace flexae::addon {
namespace {

/// A stretch ends when it has so many images, or has taken so long.
constexpr int64_t kMostRows = 8192;
constexpr std::chrono::milliseconds kLongest{250};

/// EmbeddingStretch of ts/addon/types.ts.
struct Stretch {
  std::vector<int64_t> indices;
  at::Tensor embeddings;  ///< N×…, fp32
  at::Tensor losses;      ///< N, fp32; undefined unless asked for
  std::vector<FileFacts> facts;
  std::vector<std::pair<std::string, std::string>> bad;  ///< file, reason
  double decode_seconds = 0;
  double encode_seconds = 0;
  bool is_last = false;
};

/// One pass over files. All of it runs on the model's thread; others decode ahead.
class EmbeddingPass {
 public:
  explicit EmbeddingPass(EmbeddingRequest request)
      : batch_size_(request.batch_size), with_loss_(request.with_loss) {
    auto store = std::make_unique<DescribedStore>(std::move(request.files), request.load.spec);
    store_ = store.get();
    SourceOptions options;
    options.workers = request.load.workers;
    options.pinned = request.device.is_cuda();
    options.on_bad = [this](const std::string& file, const std::string& reason) {
      bad_.emplace_back(file, reason);
    };
    source_ = std::make_unique<FileBatchSource>(std::move(store), std::move(options));
    feed_.emplace(*source_, request.device, /*resident_bytes=*/0);
    std::vector<int64_t> order(static_cast<size_t>(source_->size()));
    std::iota(order.begin(), order.end(), 0);
    feed_->start(std::move(order), batch_size_);
  }

  Stretch next(LoadedModel& model) {
    const c10::NoGradGuard no_grad;
    const auto began = std::chrono::steady_clock::now();
    Stretch stretch;
    std::vector<at::Tensor> embeddings;
    std::vector<at::Tensor> losses;
    DeviceFeed::Item item;
    const auto rows = [&] { return static_cast<int64_t>(stretch.indices.size()); };
    while (rows() < kMostRows && std::chrono::steady_clock::now() - began < kLongest) {
      if (!feed_->next(item)) {
        stretch.is_last = true;
        break;
      }
      const int64_t start = thread_nanoseconds();
      const at::Tensor images = to_images(item.images);
      if (with_loss_) {
        auto [embedding, loss] = model.encode_and_score(images);
        embeddings.push_back(embedding.to(at::kFloat).cpu());
        losses.push_back(loss.to(at::kFloat).cpu());
      } else {
        embeddings.push_back(model.encode(images).to(at::kFloat).cpu());
      }
      encode_nanoseconds_ += thread_nanoseconds() - start;
      for (const int64_t index : item.indices) {
        stretch.indices.push_back(index);
        stretch.facts.push_back(store_->facts(index));
      }
    }
    if (!embeddings.empty()) stretch.embeddings = at::cat(embeddings).contiguous();
    if (!losses.empty()) stretch.losses = at::cat(losses);
    stretch.bad = std::exchange(bad_, {});
    stretch.decode_seconds = store_->seconds();
    stretch.encode_seconds = 1e-9 * static_cast<double>(encode_nanoseconds_);
    return stretch;
  }

 private:
  int64_t batch_size_;
  bool with_loss_;
  int64_t encode_nanoseconds_ = 0;
  std::vector<std::pair<std::string, std::string>> bad_;
  DescribedStore* store_ = nullptr;  ///< The source's.
  std::unique_ptr<FileBatchSource> source_;
  std::optional<DeviceFeed> feed_;
};

template <typename Array, typename Get>
Array to_array(Napi::Env env, size_t count, const Get& get) {
  Array array = Array::New(env, count);
  for (size_t i = 0; i < count; ++i) array[i] = get(i);
  return array;
}

Napi::Value stretch_to_js(Napi::Env env, const Stretch& stretch) {
  Napi::Object object = Napi::Object::New(env);
  const size_t count = stretch.indices.size();
  const auto& facts = stretch.facts;
  object.Set("indices", to_array<Napi::Int32Array>(env, count, [&](size_t i) {
               return static_cast<int32_t>(stretch.indices[i]);
             }));
  object.Set("embeddings", stretch.embeddings.defined() ? to_typed_array(env, stretch.embeddings)
                                                        : Napi::Float32Array::New(env, 0));
  object.Set("losses", stretch.losses.defined() ? to_typed_array(env, stretch.losses) : env.Null());
  object.Set("widths",
             to_array<Napi::Int32Array>(env, count, [&](size_t i) { return facts[i].width; }));
  object.Set("heights",
             to_array<Napi::Int32Array>(env, count, [&](size_t i) { return facts[i].height; }));
  object.Set("bytes", to_array<Napi::Float64Array>(env, count, [&](size_t i) {
               return static_cast<double>(facts[i].bytes);
             }));
  Napi::Array bad = Napi::Array::New(env, stretch.bad.size());
  for (uint32_t i = 0; i < stretch.bad.size(); ++i) {
    Napi::Object entry = Napi::Object::New(env);
    entry.Set("file", path_to_js(env, stretch.bad[i].first));
    entry.Set("reason", stretch.bad[i].second);
    bad.Set(i, entry);
  }
  object.Set("bad", bad);
  object.Set("decodeSeconds", stretch.decode_seconds);
  object.Set("encodeSeconds", stretch.encode_seconds);
  object.Set("last", stretch.is_last);
  return object;
}

}  // namespace

Napi::Object make_embedding(Napi::Env env, std::shared_ptr<Hosted<LoadedModel>> model,
                            EmbeddingRequest request) {
  /// Opened on the model's thread, where it is used.
  struct State {
    EmbeddingRequest request;
    std::unique_ptr<EmbeddingPass> pass;
    bool is_closed = false;
  };
  const auto state = std::make_shared<State>(State{std::move(request), nullptr});
  Napi::Object handle = Napi::Object::New(env);
  handle.Set("next", Napi::Function::New(env, [=](const Napi::CallbackInfo&) -> Napi::Value {
               return model->call<Stretch>(
                   [state](LoadedModel& m) -> Stretch {
                     if (state->is_closed) {
                       throw Error(ErrorCode::kDisposed, "The embedding has been closed.");
                     }
                     if (!state->pass) {
                       state->pass = std::make_unique<EmbeddingPass>(std::move(state->request));
                     }
                     return state->pass->next(m);
                   },
                   [](Napi::Env env, Stretch& stretch) { return stretch_to_js(env, stretch); });
             }));
  handle.Set("close", Napi::Function::New(env, [=](const Napi::CallbackInfo&) -> Napi::Value {
               return model->call<bool>(
                   [state](LoadedModel&) {
                     state->is_closed = true;
                     state->pass.reset();
                     return true;
                   },
                   [](Napi::Env env, bool&) { return env.Undefined(); });
             }));
  return handle;
}

}  // namespace flexae::addon

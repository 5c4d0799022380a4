#pragma once

#include <napi.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "addon/async/hosted.h"
#include "addon/convert/arguments.h"
#include "core/model/loaded_model.h"

namespace flexae::addon {

/// What an EmbeddingHandle of ts/addon/types.ts is made from.
struct EmbeddingRequest {
  PathList files;
  Load load;
  int64_t batch_size = 64;
  bool with_loss = false;
  at::Device device = at::kCPU;
};

/// EmbeddingHandle of ts/addon/types.ts: the files' embeddings, a stretch at a time.
Napi::Object make_embedding(Napi::Env env, std::shared_ptr<Hosted<LoadedModel>> model,
                            EmbeddingRequest request);

}  // namespace flexae::addon

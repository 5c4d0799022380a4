#include "addon/handles/maps.h"

#include <optional>
#include <utility>

#include "addon/async/job.h"
#include "addon/async/task.h"
#include "addon/convert/arguments.h"
#include "addon/convert/errors.h"
#include "addon/convert/values.h"
#include "addon/convert/views.h"
#include "addon/handles/neighbours.h"
#include "analysis/pca.h"
#include "analysis/trustworthiness.h"
#include "analysis/umap.h"
#include "core/base/error.h"

namespace flexae::addon {
namespace {

/// UmapRequest of ts/addon/types.ts.
UmapOptions to_umap_options(const Napi::Object& given) {
  UmapOptions options;
  options.n_components = get_integer(given, "dims");
  options.n_neighbors = get_integer(given, "nNeighbors");
  options.min_dist = get_number(given, "minDist");
  options.n_epochs = get_integer(given, "epochs");
  options.metric = get_metric(given);
  options.search = get_search(given);
  options.seed = get_seed(given);
  return options;
}

Napi::Value map_to_js(Napi::Env env, at::Tensor& map) {
  return to_typed_array(env, map);
}

/// PcaModel of ts/addon/types.ts.
Pca to_pca(const Napi::Object& object) {
  Pca pca;
  pca.mean = copy_doubles(object.Get("mean"), "mean");
  pca.components = copy_doubles(object.Get("components"), "components");
  const int64_t dims = pca.mean.numel();
  if (dims < 1 || pca.components.numel() < dims || pca.components.numel() % dims != 0) {
    throw Error(ErrorCode::kData, "The principal components are not as long as their mean.");
  }
  pca.components = pca.components.view({-1, dims});
  return pca;
}

struct FittedPca {
  Pca pca;
  at::Tensor map;
};

}  // namespace

Napi::Value fit_umap(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Viewed points = view_floats(info[0], info[1], "embeddings");
    UmapOptions options = to_umap_options(to_object(info[2], "options"));
    options.device = to_compute_device(info[3]);
    return run_job<at::Tensor>(
        info.Env(),
        [tensor = points.tensor, options](JobState& state) -> std::optional<at::Tensor> {
          return Umap::fit(tensor, options, state.progress()).map();
        },
        [kept = points.kept](Napi::Env env, at::Tensor& map) { return map_to_js(env, map); });
  });
}

Napi::Value transform_umap(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    UmapOptions options = to_umap_options(to_object(info[4], "options"));
    options.device = to_compute_device(info[5]);
    const Viewed fresh = view_floats(info[0], info[1], "embeddings");
    const Viewed points = view_floats(info[2], info[1], "points");
    const Viewed map =
        view_floats(info[3], to_object(info[4], "options").Get("dims"), "the points' map");
    return run_job<at::Tensor>(
        info.Env(),
        [rows = fresh.tensor, of = points.tensor, known = map.tensor,
         options](JobState& state) -> std::optional<at::Tensor> {
          return Umap(options, of, known).transform(rows, state.progress());
        },
        [kept = fresh.kept, also = points.kept, too = map.kept](Napi::Env env, at::Tensor& placed) {
          return map_to_js(env, placed);
        });
  });
}

Napi::Value fit_pca(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Viewed points = view_floats(info[0], info[1], "embeddings");
    return Task<FittedPca>::run(
        info.Env(),
        [tensor = points.tensor, count = to_integer(info[2], "dims"),
         device = to_compute_device(info[3])] {
          return in_device_memory([&] {
            Pca pca = flexae::fit_pca(tensor, count, device);
            at::Tensor map = pca.transform(tensor, device);
            return FittedPca{std::move(pca), std::move(map)};
          });
        },
        [kept = points.kept](Napi::Env env, FittedPca& fitted) -> Napi::Value {
          Napi::Object object = Napi::Object::New(env);
          object.Set("map", to_typed_array(env, fitted.map));
          object.Set("mean", to_typed_array(env, fitted.pca.mean));
          object.Set("components", to_typed_array(env, fitted.pca.components));
          object.Set("explainedVarianceRatio",
                     to_typed_array(env, fitted.pca.explained_variance_ratio));
          return object;
        });
  });
}

Napi::Value transform_pca(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Viewed points = view_floats(info[0], info[1], "embeddings");
    return Task<at::Tensor>::run(
        info.Env(),
        [tensor = points.tensor, pca = to_pca(to_object(info[2], "pca")),
         device = to_compute_device(info[3])] {
          return in_device_memory([&] { return pca.transform(tensor, device); });
        },
        [kept = points.kept](Napi::Env env, at::Tensor& map) { return map_to_js(env, map); });
  });
}

Napi::Value trustworthiness(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Viewed points = view_floats(info[0], info[1], "embeddings");
    const Viewed map = view_floats(info[2], info[3], "the map");
    const Napi::Object given = to_object(info[4], "options");
    TrustworthinessOptions options;
    options.n_neighbors = get_integer(given, "nNeighbors");
    options.metric = get_metric(given);
    options.seed = get_seed(given);
    return run_job<double>(
        info.Env(),
        [tensor = points.tensor, placed = map.tensor,
         options](JobState& state) -> std::optional<double> {
          return flexae::trustworthiness(tensor, placed, options, state.progress());
        },
        [kept = points.kept, also = map.kept](Napi::Env env, double& value) -> Napi::Value {
          return Napi::Number::New(env, value);
        });
  });
}

}  // namespace flexae::addon

#include "addon/handles/neighbours.h"

#include <optional>
#include <string>

#include "addon/async/job.h"
#include "addon/convert/arguments.h"
#include "addon/convert/errors.h"
#include "addon/convert/values.h"
#include "addon/convert/views.h"
#include "core/base/error.h"

namespace flexae::addon {
namespace {

/// NeighbourAnswer of ts/addon/types.ts.
Napi::Value neighbours_to_js(Napi::Env env, const Neighbours& found) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("indices", to_typed_array(env, found.indices));
  object.Set("distances", to_typed_array(env, found.distances));
  return object;
}

}  // namespace

NeighbourMetric get_metric(const Napi::Object& options) {
  const std::string name = get_string(options, "metric");
  if (name == "euclidean") return NeighbourMetric::kEuclidean;
  if (name == "cosine") return NeighbourMetric::kCosine;
  throw Error(ErrorCode::kConfig, "Expected euclidean or cosine for metric but received " + name);
}

NeighbourSearch get_search(const Napi::Object& options) {
  const std::string name = get_string(options, "search");
  if (name == "auto") return NeighbourSearch::kAuto;
  if (name == "exact") return NeighbourSearch::kExact;
  if (name == "approximate") return NeighbourSearch::kApproximate;
  throw Error(ErrorCode::kConfig,
              "Expected auto, exact or approximate for search but received " + name);
}

Napi::Value nearest_neighbours(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Viewed points = view_floats(info[0], info[1], "embeddings");
    const Napi::Object given = to_object(info[2], "options");
    return run_job<Neighbours>(
        info.Env(),
        [tensor = points.tensor, k = get_integer(given, "k"), metric = get_metric(given),
         search = get_search(given), seed = get_seed(given),
         device =
             to_compute_device(given.Get("device"))](JobState& state) -> std::optional<Neighbours> {
          return find_neighbours(tensor, k, metric, search, seed, state.progress(), device);
        },
        [kept = points.kept](Napi::Env env, Neighbours& found) {
          return neighbours_to_js(env, found);
        });
  });
}

Napi::Value nearest_neighbours_of(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Viewed queries = view_floats(info[0], info[2], "queries");
    const Viewed points = view_floats(info[1], info[2], "embeddings");
    const Napi::Object given = to_object(info[3], "options");
    return run_job<Neighbours>(
        info.Env(),
        [asked = queries.tensor, tensor = points.tensor, k = get_integer(given, "k"),
         metric = get_metric(given), device = to_compute_device(given.Get("device"))](
            JobState& state) -> std::optional<Neighbours> {
          return flexae::nearest_neighbours_of(asked, tensor, k, metric, state.progress(), device);
        },
        [kept = points.kept, also = queries.kept](Napi::Env env, Neighbours& found) {
          return neighbours_to_js(env, found);
        });
  });
}

}  // namespace flexae::addon

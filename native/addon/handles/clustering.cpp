#include "addon/handles/clustering.h"

#include <ATen/ATen.h>

#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "addon/async/job.h"
#include "addon/async/task.h"
#include "addon/convert/arguments.h"
#include "addon/convert/values.h"
#include "addon/convert/views.h"
#include "analysis/clustering_scores.h"
#include "analysis/kmeans.h"
#include "analysis/mixture.h"
#include "analysis/point_set.h"
#include "analysis/running_centres.h"
#include "analysis/silhouette.h"
#include "core/base/error.h"

namespace flexae::addon {
namespace {

Covariance to_covariance(const std::string& name) {
  if (name == "full") return Covariance::kFull;
  if (name == "diag") return Covariance::kDiagonal;
  if (name == "tied") return Covariance::kTied;
  throw Error(ErrorCode::kConfig,
              "Expected full, diag or tied for covariance but received " + name);
}

const char* covariance_name(Covariance covariance) {
  if (covariance == Covariance::kFull) return "full";
  return covariance == Covariance::kDiagonal ? "diag" : "tied";
}

Napi::Object prediction_to_js(Napi::Env env, const MixturePrediction& prediction) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("labels", to_typed_array(env, prediction.labels));
  object.Set("confidences", to_typed_array(env, prediction.confidences));
  object.Set("logLikelihoods", to_typed_array(env, prediction.log_likelihoods));
  return object;
}

at::Tensor copy_shaped(const Napi::Object& object, const char* name,
                       const std::vector<int64_t>& shape) {
  const at::Tensor values = copy_doubles(object.Get(name), name);
  if (values.numel() != c10::multiply_integers(shape)) {
    throw Error(ErrorCode::kData, "The mixture is of embeddings of another length.");
  }
  return values.view(shape);
}

template <typename T>
std::vector<T> to_vector(const at::Tensor& values) {
  const auto* first = values.const_data_ptr<T>();
  return {first, first + values.numel()};
}

/// What a RunningCentresHandle of ts/addon/types.ts works on: one thread at a time.
struct SharedCentres {
  explicit SharedCentres(RunningCentres centres) : running(std::move(centres)) {}
  RunningCentres running;
  std::mutex mutex;
};

Napi::Value add_points(const std::shared_ptr<SharedCentres>& shared,
                       const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto dims = static_cast<double>(shared->running.width());
    const Viewed points = view_floats(info[0], Napi::Number::New(info.Env(), dims), "embeddings");
    return Task<RunningCentres::Nearest>::run(
        info.Env(),
        [shared, tensor = points.tensor] {
          const PointSet read = read_points(tensor, shared->running.unit());
          const std::lock_guard lock(shared->mutex);
          return in_device_memory([&] { return shared->running.add(read); });
        },
        [kept = points.kept](Napi::Env env, RunningCentres::Nearest& nearest) -> Napi::Value {
          Napi::Object object = Napi::Object::New(env);
          object.Set("labels", to_typed_array(env, nearest.labels));
          object.Set("squaredDistances", to_typed_array(env, nearest.squared_distances));
          object.Set("inertia", nearest.inertia);
          return object;
        });
  });
}

Napi::Value move_centres(const std::shared_ptr<SharedCentres>& shared,
                         const Napi::CallbackInfo& info) {
  const std::lock_guard lock(shared->mutex);
  shared->running.move();
  Napi::Object object = Napi::Object::New(info.Env());
  object.Set("centres", to_typed_array(info.Env(), at::tensor(shared->running.centres())));
  object.Set("counts", to_typed_array(info.Env(), at::tensor(shared->running.counts())));
  return object;
}

/// MixtureModel of ts/addon/types.ts.
Mixture to_mixture(const Napi::Object& object, int64_t dims) {
  Mixture mixture;
  mixture.covariance = to_covariance(get_string(object, "covariance"));
  mixture.weights = copy_doubles(object.Get("weights"), "weights");
  const int64_t k = mixture.weights.numel();
  if (k < 1) throw Error(ErrorCode::kData, "The mixture has no components.");
  std::vector<int64_t> shape{k, dims, dims};
  if (mixture.covariance == Covariance::kDiagonal) shape = {k, dims};
  if (mixture.covariance == Covariance::kTied) shape = {dims, dims};
  mixture.means = copy_shaped(object, "means", {k, dims});
  mixture.covariances = copy_shaped(object, "covariances", shape);
  mixture.precisions_cholesky = copy_shaped(object, "precisionsCholesky", shape);
  return mixture;
}

}  // namespace

Napi::Value kmeans(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Viewed points = view_floats(info[0], info[1], "embeddings");
    const Napi::Object given = to_object(info[2], "options");
    KmeansOptions options;
    options.clusters = get_integer(given, "clusters");
    options.restarts = get_integer(given, "restarts");
    options.max_iterations = get_integer(given, "maxIterations");
    options.tolerance = get_number(given, "tolerance");
    options.spherical = get_boolean(given, "spherical");
    options.batch_size = get_integer(given, "batchSize");
    options.seed = get_seed(given);
    options.device = to_compute_device(given.Get("device"));
    return run_job<KmeansResult>(
        info.Env(),
        [tensor = points.tensor, options](JobState& state) {
          const auto starts = static_cast<double>(options.restarts);
          return flexae::kmeans(tensor, options, [&](const KmeansProgress& at) {
            state.share = static_cast<double>(at.restart) / starts;
            return !state.cancelled;
          });
        },
        [kept = points.kept](Napi::Env env, KmeansResult& result) -> Napi::Value {
          Napi::Object object = Napi::Object::New(env);
          object.Set("centres", to_typed_array(env, result.centres));
          object.Set("labels", to_typed_array(env, result.labels));
          object.Set("squaredDistances", to_typed_array(env, result.squared_distances));
          object.Set("inertia", result.inertia);
          object.Set("iterations", static_cast<double>(result.iterations));
          object.Set("converged", result.converged);
          return object;
        });
  });
}

Napi::Value assign(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Viewed points = view_floats(info[0], info[1], "embeddings");
    const at::Tensor centres = view_floats(info[2], info[1], "centres").tensor.clone();
    const bool spherical = info[3].ToBoolean();
    return Task<Assignment>::run(
        info.Env(),
        [tensor = points.tensor, centres, spherical, device = to_compute_device(info[4])] {
          return in_device_memory(
              [&] { return flexae::assign(tensor, centres, spherical, device); });
        },
        [kept = points.kept](Napi::Env env, Assignment& result) -> Napi::Value {
          Napi::Object object = Napi::Object::New(env);
          object.Set("labels", to_typed_array(env, result.labels));
          object.Set("squaredDistances", to_typed_array(env, result.squared_distances));
          return object;
        });
  });
}

Napi::Value running_centres(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const at::Tensor centres = view_floats(info[0], info[1], "centres").tensor;
    const at::Tensor counts = copy_doubles(info[3], "counts");
    if (centres.size(0) < 1 || counts.numel() != centres.size(0)) {
      throw Error(ErrorCode::kConfig, "Expected as many counts as centres, and at least one");
    }
    const auto shared = std::make_shared<SharedCentres>(
        RunningCentres(to_vector<float>(centres), centres.size(1), info[2].ToBoolean(),
                       to_vector<double>(counts), to_compute_device(info[4])));
    Napi::Object handle = Napi::Object::New(env);
    handle.Set("add", Napi::Function::New(env, [shared](const Napi::CallbackInfo& given) {
                 return add_points(shared, given);
               }));
    handle.Set("move", Napi::Function::New(env, [shared](const Napi::CallbackInfo& given) {
                 return move_centres(shared, given);
               }));
    return handle;
  });
}

Napi::Value fit_mixture(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Viewed points = view_floats(info[0], info[1], "embeddings");
    const Napi::Object given = to_object(info[2], "options");
    MixtureOptions options;
    options.components = get_integer(given, "components");
    options.covariance = to_covariance(get_string(given, "covariance"));
    options.restarts = get_integer(given, "restarts");
    options.max_iterations = get_integer(given, "maxIterations");
    options.seed = get_seed(given);
    options.device = to_compute_device(given.Get("device"));
    return run_job<MixtureResult>(
        info.Env(),
        [tensor = points.tensor, options](JobState& state) {
          const auto starts = static_cast<double>(options.restarts);
          return flexae::fit_mixture(tensor, options, [&](const MixtureProgress& at) {
            state.share = static_cast<double>(at.restart) / starts;
            return !state.cancelled;
          });
        },
        [kept = points.kept](Napi::Env env, MixtureResult& result) -> Napi::Value {
          Napi::Object object = prediction_to_js(env, result.prediction);
          const Mixture& fitted = result.mixture;
          Napi::Object mixture = Napi::Object::New(env);
          mixture.Set("covariance", covariance_name(fitted.covariance));
          mixture.Set("weights", to_typed_array(env, fitted.weights));
          mixture.Set("means", to_typed_array(env, fitted.means));
          mixture.Set("covariances", to_typed_array(env, fitted.covariances));
          mixture.Set("precisionsCholesky", to_typed_array(env, fitted.precisions_cholesky));
          object.Set("mixture", mixture);
          object.Set("lowerBound", result.lower_bound);
          object.Set("iterations", static_cast<double>(result.iterations));
          object.Set("converged", result.converged);
          return object;
        });
  });
}

Napi::Value predict_mixture(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Viewed points = view_floats(info[0], info[1], "embeddings");
    const Mixture mixture = to_mixture(to_object(info[2], "mixture"), points.tensor.size(1));
    return Task<MixturePrediction>::run(
        info.Env(),
        [tensor = points.tensor, mixture, device = to_compute_device(info[3])] {
          return in_device_memory([&] { return flexae::predict(tensor, mixture, device); });
        },
        [kept = points.kept](Napi::Env env, MixturePrediction& result) -> Napi::Value {
          return prediction_to_js(env, result);
        });
  });
}

Napi::Value silhouette(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Viewed points = view_floats(info[0], info[1], "embeddings");
    const Viewed labels = view_labels(info[2], "labels");
    const Napi::Object given = to_object(info[3], "options");
    const int64_t samples = get_integer(given, "samples");
    const uint64_t seed = get_seed(given);
    return run_job<Silhouette>(
        info.Env(),
        [tensor = points.tensor, of = labels.tensor, samples, seed,
         device = to_compute_device(given.Get("device"))](JobState& state) {
          return flexae::silhouette(tensor, of, samples, seed, state.progress(), device);
        },
        [kept = points.kept, also = labels.kept](Napi::Env env, Silhouette& result) -> Napi::Value {
          Napi::Object object = Napi::Object::New(env);
          object.Set("mean", result.mean);
          object.Set("points", to_typed_array(env, result.points.to(at::kInt)));
          object.Set("values", to_typed_array(env, result.values));
          return object;
        });
  });
}

Napi::Value clustering_scores(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const bool counted = !info[2].IsUndefined();
    const ClusteringScores scores = flexae::clustering_scores(
        view_labels(info[0], "labels").tensor, view_labels(info[1], "classes").tensor,
        counted ? copy_doubles(info[2], "counts") : at::Tensor());
    Napi::Object object = Napi::Object::New(info.Env());
    object.Set("accuracy", scores.accuracy);
    object.Set("nmi", scores.nmi);
    object.Set("ari", scores.ari);
    object.Set("purity", scores.purity);
    return object;
  });
}

}  // namespace flexae::addon

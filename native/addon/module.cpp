#include <napi.h>

#include "addon/handles/benchmark.h"
#include "addon/handles/clustering.h"
#include "addon/handles/containers.h"
#include "addon/handles/examine_images.h"
#include "addon/handles/images.h"
#include "addon/handles/info.h"
#include "addon/handles/maps.h"
#include "addon/handles/model.h"
#include "addon/handles/model_layers.h"
#include "addon/handles/neighbours.h"
#include "addon/handles/process_group.h"
#include "addon/handles/run_folder.h"
#include "addon/handles/tensor_file.h"
#include "addon/handles/training.h"

namespace {

/// The exports are the interface Addon of ts/addon/types.ts.
Napi::Object init(Napi::Env env, Napi::Object exports) {
  using namespace flexae::addon;
  exports.Set("versions", Napi::Function::New(env, versions));
  exports.Set("hardware", Napi::Function::New(env, hardware));
  exports.Set("summarize", Napi::Function::New(env, summarize));
  exports.Set("scanFolder", Napi::Function::New(env, scan_folder));
  exports.Set("openContainer", Napi::Function::New(env, open_container));
  exports.Set("createContainer", Napi::Function::New(env, create_container));
  exports.Set("readImages", Napi::Function::New(env, read_images));
  exports.Set("stampImages", Napi::Function::New(env, stamp_images));
  exports.Set("decodeImages", Napi::Function::New(env, decode_images));
  exports.Set("examineImages", Napi::Function::New(env, examine_images));
  exports.Set("train", Napi::Function::New(env, train));
  exports.Set("joinProcesses", Napi::Function::New(env, join_processes));
  exports.Set("readCheckpoint", Napi::Function::New(env, read_checkpoint));
  exports.Set("lockFolder", Napi::Function::New(env, lock_folder));
  exports.Set("isFolderHeld", Napi::Function::New(env, is_folder_held));
  exports.Set("loadModel", Napi::Function::New(env, load_model));
  exports.Set("describeLayers", Napi::Function::New(env, describe_layers));
  exports.Set("writeModel", Napi::Function::New(env, write_model));
  exports.Set("readModelLayers", Napi::Function::New(env, read_model_layers));
  exports.Set("benchmark", Napi::Function::New(env, benchmark));
  exports.Set("kmeans", Napi::Function::New(env, kmeans));
  exports.Set("assign", Napi::Function::New(env, assign));
  exports.Set("runningCentres", Napi::Function::New(env, running_centres));
  exports.Set("fitMixture", Napi::Function::New(env, fit_mixture));
  exports.Set("predictMixture", Napi::Function::New(env, predict_mixture));
  exports.Set("silhouette", Napi::Function::New(env, silhouette));
  exports.Set("clusteringScores", Napi::Function::New(env, clustering_scores));
  exports.Set("nearestNeighbours", Napi::Function::New(env, nearest_neighbours));
  exports.Set("nearestNeighboursOf", Napi::Function::New(env, nearest_neighbours_of));
  exports.Set("fitUmap", Napi::Function::New(env, fit_umap));
  exports.Set("transformUmap", Napi::Function::New(env, transform_umap));
  exports.Set("fitPca", Napi::Function::New(env, fit_pca));
  exports.Set("transformPca", Napi::Function::New(env, transform_pca));
  exports.Set("trustworthiness", Napi::Function::New(env, trustworthiness));
  exports.Set("writeTensors", Napi::Function::New(env, write_tensors));
  exports.Set("readTensors", Napi::Function::New(env, read_tensors));
  watch_exit(env);
  return exports;
}

NODE_API_MODULE(flexae, init)

}  // namespace

#include "core/train/initial_weights.h"

#include <algorithm>
#include <map>
#include <sstream>

#include "core/base/error.h"
#include "core/files/bytes.h"
#include "core/model/model_file.h"
#include "core/tensor/named_tensors.h"

namespace flexae {
namespace {

/// Layers that a message names before it counts the rest.
constexpr size_t kNamed = 8;

/// `encoder.conv_0` of `encoder.conv_0.weight`.
std::string layer_of(const std::string& tensor) {
  return tensor.substr(0, tensor.rfind('.'));
}

std::string sizes_text(const at::Tensor& tensor) {
  std::ostringstream text;
  for (int64_t d = 0; d < tensor.dim(); ++d) text << (d > 0 ? "×" : "") << tensor.size(d);
  return text.str();
}

/// A layer that differs, and how.
struct Difference {
  std::string layer;
  std::string why;
};

std::vector<Difference> find_differences(const NamedTensors& wanted,
                                         const std::map<std::string, at::Tensor>& given) {
  std::vector<Difference> differences;
  for (const auto& [name, tensor] : wanted) {
    const std::string layer = layer_of(name);
    if (!differences.empty() && differences.back().layer == layer) continue;
    const auto found = given.find(name);
    if (found == given.end()) {
      differences.push_back({layer, "not there"});
    } else if (found->second.sizes() != tensor.sizes()) {
      differences.push_back({layer, name.substr(layer.size() + 1) + " is " +
                                        sizes_text(found->second) + ", not " + sizes_text(tensor)});
    }
  }
  return differences;
}

std::string differences_text(const std::vector<Difference>& differences) {
  std::string text;
  for (size_t i = 0; i < std::min(kNamed, differences.size()); ++i) {
    text += (i > 0 ? "; " : "") + differences[i].layer + " (" + differences[i].why + ")";
  }
  if (differences.size() > kNamed) {
    text += " and " + std::to_string(differences.size() - kNamed) + " more";
  }
  return text;
}

}  // namespace

std::vector<std::string> load_initial_weights(Autoencoder& model, const std::string& path,
                                              bool partial) {
  const FileBytes source(path);
  if (!is_sealed(source, path)) {
    throw Error(ErrorCode::kModel,
                path + " was not written by this program: give an ae.pt or en.pt of a run");
  }
  const ModelFile file = parse_model_file(source, path);
  std::map<std::string, at::Tensor> given(file.weights.begin(), file.weights.end());
  NamedTensors state = model.state();
  const std::vector<Difference> differences = find_differences(state, given);
  std::vector<std::string> layers;
  for (const Difference& difference : differences) layers.push_back(difference.layer);
  const auto differs = [&](const std::string& name) {
    return std::find(layers.begin(), layers.end(), layer_of(name)) != layers.end();
  };
  const bool all = std::all_of(state.begin(), state.end(),
                               [&](const auto& entry) { return differs(entry.first); });
  if (all || (!partial && !layers.empty())) {
    throw Error(ErrorCode::kModel,
                "The weights in " + path +
                    " are of another network: " + differences_text(differences) + "." +
                    (all ? "" : "\n--partial takes the rest, and leaves these layers new."));
  }
  for (auto& [name, tensor] : state) {
    if (!differs(name)) tensor = given.at(name);
  }
  model.load_state(state);
  return layers;
}

}  // namespace flexae

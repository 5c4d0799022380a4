#include "core/layers/layers.h"

#include <algorithm>

#include "core/base/error.h"

namespace flexae {
namespace {

/// The parameter or buffer whose name ends with a dot and `name`.
template <typename Named>
Named& named(std::vector<Named>& all, std::string_view name, const LayerSpec& spec) {
  const auto found = std::find_if(all.begin(), all.end(), [&](const Named& one) {
    const std::string_view full = one.name;
    return full.ends_with(name) && full.size() > name.size() &&
           full[full.size() - name.size() - 1] == '.';
  });
  if (found != all.end()) return *found;
  throw Error(ErrorCode::kInternal, spec.full_name() + " has no " + std::string(name));
}

}  // namespace

Parameter& Layer::parameter(std::string_view name) {
  return named(parameters_, name, spec_);
}

const Parameter& Layer::parameter(std::string_view name) const {
  return const_cast<Layer*>(this)->parameter(
      name);  // NOLINT(cppcoreguidelines-pro-type-const-cast)
}

Buffer& Layer::buffer(std::string_view name) {
  return named(buffers_, name, spec_);
}

std::unique_ptr<Layer> make_layer(const LayerSpec& spec, const ModelConfig& config, uint64_t bits) {
  return spec.kind->make(spec, config, bits);
}

void link_layers(const std::vector<std::unique_ptr<Layer>>& layers) {
  for (size_t i = 1; i < layers.size(); ++i) layers[i]->follow(*layers[i - 1]);
}

}  // namespace flexae

#include "core/layers/make_parameter.h"

#include <utility>

namespace flexae {

Parameter make_parameter(std::string name, WeightLayout layout, const std::vector<int64_t>& sizes,
                         Initializer initializer, uint64_t bits) {
  Parameter p;
  p.name = std::move(name);
  p.layout = layout;
  p.initializer = initializer;
  p.value = initialize(initializer, layout, sizes, bits);
  if (sizes.size() == 4) p.value = p.value.contiguous(at::MemoryFormat::ChannelsLast);
  return p;
}

}  // namespace flexae

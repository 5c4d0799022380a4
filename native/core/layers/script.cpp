#include "core/layers/script.h"

namespace flexae::script {

std::string list(const std::vector<int64_t>& values) {
  std::string text = "[";
  for (const int64_t value : values) text += (text.size() > 1 ? ", " : "") + std::to_string(value);
  return text + "]";
}

std::string assign(const std::string& expression) {
  return "    x = " + expression + "\n";
}

std::string crop(const LayerSpec& layer, int64_t h, int64_t w) {
  std::string text;
  if (h != layer.out.h) text += assign("torch.slice(x, 2, 0, " + std::to_string(layer.out.h) + ")");
  if (w != layer.out.w) text += assign("torch.slice(x, 3, 0, " + std::to_string(layer.out.w) + ")");
  return text;
}

}  // namespace flexae::script

#include "core/checkpoint.h"

#include <array>
#include <cstdio>

#include "core/safetensors.h"

namespace flexae {

void save_checkpoint(const std::string& path, const Autoencoder& model, const Optimizer& optimizer,
                     const TrainingState& state, const std::string& config_json) {
  TensorFile file;
  for (const auto& [name, tensor] : model.state())
    file.tensors.emplace_back("model." + name, tensor);
  const std::vector<std::string> names = model.parameter_names();
  for (size_t k = 0; k < optimizer.slots().size(); ++k) {
    for (size_t i = 0; i < names.size(); ++i) {
      file.tensors.emplace_back("optimizer." + std::to_string(k) + "." + names[i],
                                optimizer.slots()[k][i]);
    }
  }
  std::array<char, 32> best{};
  std::snprintf(best.data(), best.size(), "%.17g", state.best_loss);
  file.metadata = {{"format", "flexible-autoencoder checkpoint 1"},
                   {"epoch", std::to_string(state.epoch)},
                   {"best_epoch", std::to_string(state.best_epoch)},
                   {"best_loss", best.data()},
                   {"wait", std::to_string(state.wait)},
                   {"iterations", std::to_string(optimizer.iterations())},
                   {"config", config_json}};
  write_tensor_file(path, file);
}

std::string checkpoint_name(int64_t epoch, double loss, double valid_loss) {
  std::array<char, 96> name{};
  std::snprintf(name.data(), name.size(), "ep%03lld-loss%.7f-val_loss%.7f.ckpt",
                static_cast<long long>(epoch), loss, valid_loss);
  return name.data();
}

}  // namespace flexae

#include "core/train/checkpoint/checkpoint.h"

#include <ATen/ATen.h>

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <limits>
#include <map>
#include <utility>

#include "core/base/error.h"
#include "core/files/atomic_file.h"
#include "core/files/safetensors.h"

namespace flexae {
namespace {

constexpr const char* kFormat = "flexible-autoencoder checkpoint 2";
constexpr std::string_view kModel = "model.";
constexpr std::string_view kBest = "best.";
constexpr std::string_view kSlots = "optimizer.";
constexpr const char* kHistory = "history";
constexpr const char* kMetrics = "epoch_metrics";
constexpr int64_t kHistoryColumns = 14;
/// Of earlier files, without the learning rate.
constexpr int64_t kEarlierColumns = 13;

std::string exact(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.17g", value);
  return text.data();
}

at::Tensor to_tensor(const std::vector<EpochReport>& history) {
  at::Tensor table =
      at::empty({static_cast<int64_t>(history.size()), kHistoryColumns}, at::kDouble);
  auto* row = table.mutable_data_ptr<double>();
  for (const EpochReport& e : history) {
    const std::array<double, kHistoryColumns> values{static_cast<double>(e.epoch),
                                                     e.train.loss,
                                                     e.train.accuracy,
                                                     e.train.mse,
                                                     e.train.psnr,
                                                     e.valid.loss,
                                                     e.valid.accuracy,
                                                     e.valid.mse,
                                                     e.valid.psnr,
                                                     e.seconds,
                                                     e.images_per_second,
                                                     e.best ? 1.0 : 0.0,
                                                     static_cast<double>(e.best_epoch),
                                                     e.learning_rate};
    row = std::copy(values.begin(), values.end(), row);
  }
  return table;
}

std::vector<EpochReport> to_history(const at::Tensor& table, int64_t epochs) {
  if (table.scalar_type() != at::kDouble || table.dim() != 2 || table.size(0) != epochs ||
      (table.size(1) != kHistoryColumns && table.size(1) != kEarlierColumns)) {
    throw Error(ErrorCode::kModel, "its history is not a row an epoch");
  }
  std::vector<EpochReport> history(static_cast<size_t>(epochs));
  const auto* v = table.const_data_ptr<double>();
  const int64_t columns = table.size(1);
  for (int64_t i = 0; i < epochs; ++i, v += columns) {
    EpochReport& e = history[static_cast<size_t>(i)];
    // Written so that a NaN fails too.
    if (!(v[0] == static_cast<double>(i + 1)) || !(v[12] >= 1 && v[12] <= v[0])) {
      throw Error(ErrorCode::kModel, "its history is not in order");
    }
    e.epoch = i + 1;
    e.train = {v[1], v[2], v[3], v[4]};
    e.valid = {v[5], v[6], v[7], v[8]};
    e.seconds = v[9];
    e.images_per_second = v[10];
    e.best = v[11] != 0;
    e.best_epoch = static_cast<int64_t>(v[12]);
    e.learning_rate = columns == kHistoryColumns ? v[13] : std::numeric_limits<double>::quiet_NaN();
  }
  return history;
}

/// The metadata of a file, whose values are all strings.
class Fields {
 public:
  explicit Fields(const std::map<std::string, std::string>& fields) : fields_(fields) {}

  [[nodiscard]] const std::string& text(const char* key) const {
    const auto found = fields_.find(key);
    if (found == fields_.end()) {
      throw Error(ErrorCode::kModel, "its entry '" + std::string(key) + "' is missing");
    }
    return found->second;
  }
  /// At least 0.
  [[nodiscard]] int64_t count(const char* key) const {
    const std::string& digits = text(key);
    int64_t value = -1;
    const char* end = digits.data() + digits.size();
    const auto [rest, error] = std::from_chars(digits.data(), end, value);
    if (error != std::errc() || rest != end || value < 0) wrong(key);
    return value;
  }
  /// Finite.
  [[nodiscard]] double number(const char* key) const {
    const std::string& digits = text(key);
    double value = std::numeric_limits<double>::quiet_NaN();
    const char* end = digits.data() + digits.size();
    const auto [rest, error] = std::from_chars(digits.data(), end, value);
    if (error != std::errc() || rest != end || !std::isfinite(value)) wrong(key);
    return value;
  }

 private:
  [[noreturn]] static void wrong(const char* key) {
    throw Error(ErrorCode::kModel, "its entry '" + std::string(key) + "' is no such number");
  }
  const std::map<std::string, std::string>& fields_;
};

TrainingState to_state(const Fields& fields) {
  TrainingState state;
  state.epoch = fields.count("epoch");
  state.best_epoch = fields.count("best_epoch");
  state.best_loss = fields.number("best_loss");
  state.wait = fields.count("wait");
  state.last_checkpoint = fields.count("last_checkpoint");
  state.rewinds = fields.count("rewinds");
  state.seconds = fields.number("seconds");
  state.progress.batch = fields.count("batch");
  state.progress.images = fields.count("images");
  state.progress.seconds = fields.number("epoch_seconds");
  if (state.best_epoch > state.epoch || state.last_checkpoint > state.epoch ||
      (state.epoch > 0 && state.best_epoch == 0) || state.epoch >= (int64_t{1} << 31) ||
      state.progress.batch >= (int64_t{1} << 31)) {
    throw Error(ErrorCode::kModel, "its epochs contradict one another");
  }
  return state;
}

std::map<std::string, std::string> to_fields(const Checkpoint& checkpoint) {
  const TrainingState& state = checkpoint.snapshot.state;
  return {{"format", kFormat},
          {"epoch", std::to_string(state.epoch)},
          {"best_epoch", std::to_string(state.best_epoch)},
          {"best_loss", exact(state.best_loss)},
          {"wait", std::to_string(state.wait)},
          {"last_checkpoint", std::to_string(state.last_checkpoint)},
          {"rewinds", std::to_string(state.rewinds)},
          {"seconds", exact(state.seconds)},
          {"batch", std::to_string(state.progress.batch)},
          {"images", std::to_string(state.progress.images)},
          {"epoch_seconds", exact(state.progress.seconds)},
          {"iterations", std::to_string(checkpoint.snapshot.iterations)},
          {"learning_rate", exact(checkpoint.snapshot.learning_rate)},
          {"config", checkpoint.config_json},
          {"settings", checkpoint.settings_json}};
}

Checkpoint assemble(TensorFile file) {
  const Fields fields(file.metadata);
  if (fields.text("format") != kFormat) {
    throw Error(ErrorCode::kModel, "it is of another version: '" + fields.text("format") + "'");
  }
  Checkpoint checkpoint;
  checkpoint.config_json = fields.text("config");
  checkpoint.settings_json = fields.text("settings");
  Snapshot& snapshot = checkpoint.snapshot;
  snapshot.state = to_state(fields);
  snapshot.iterations = fields.count("iterations");
  snapshot.learning_rate = fields.number("learning_rate");
  if (snapshot.learning_rate <= 0)
    throw Error(ErrorCode::kModel, "its learning rate is not above 0");
  at::Tensor history;
  for (auto& [name, tensor] : file.tensors) {
    const auto takes = [&name = name, &tensor = tensor](std::string_view prefix, NamedTensors& to) {
      if (!name.starts_with(prefix)) return false;
      to.emplace_back(name.substr(prefix.size()), tensor);
      return true;
    };
    if (takes(kModel, snapshot.model) || takes(kBest, snapshot.best) ||
        takes(kSlots, snapshot.slots)) {
      continue;
    }
    if (name == kHistory) history = tensor;
    if (name == kMetrics) snapshot.state.progress.metrics = tensor;
  }
  if (!history.defined()) throw Error(ErrorCode::kModel, "its history is missing");
  if (snapshot.state.progress.batch > 0 && !snapshot.state.progress.metrics.defined()) {
    throw Error(ErrorCode::kModel, "the metrics of its epoch are missing");
  }
  snapshot.state.history = to_history(history, snapshot.state.epoch);
  return checkpoint;
}

}  // namespace

void write_checkpoint(const std::string& path, const Checkpoint& checkpoint,
                      const std::vector<std::string>& links) {
  const Snapshot& snapshot = checkpoint.snapshot;
  TensorFile file;
  const auto add = [&file](std::string_view prefix, const NamedTensors& tensors) {
    for (const auto& [name, tensor] : tensors) {
      file.tensors.emplace_back(std::string(prefix) + name, tensor);
    }
  };
  add(kModel, snapshot.model);
  add(kBest, snapshot.best);
  add(kSlots, snapshot.slots);
  file.tensors.emplace_back(kHistory, to_tensor(snapshot.state.history));
  if (snapshot.state.progress.batch > 0) {
    file.tensors.emplace_back(kMetrics, snapshot.state.progress.metrics);
  }
  file.metadata = to_fields(checkpoint);
  write_tensor_file(path, file, links);
}

Checkpoint parse_checkpoint(std::string_view data, const std::string& name) {
  TensorFile file = parse_tensor_file(data, name, /*require_checksum=*/true);
  try {
    return assemble(std::move(file));
  } catch (const Error& error) {
    throw Error(ErrorCode::kModel, name + " is no checkpoint of this program: " + error.what());
  }
}

Checkpoint read_checkpoint(const std::string& path) {
  return parse_checkpoint(read_file(path), path);
}

std::string checkpoint_name(int64_t epoch, double loss, double valid_loss) {
  std::array<char, 96> name{};
  std::snprintf(name.data(), name.size(), "ep%03lld-loss%.7f-val_loss%.7f.ckpt",
                static_cast<long long>(epoch), loss, valid_loss);
  return name.data();
}

}  // namespace flexae

/// \file
/// Training speed of the core alone, on any device: images a second, share of the device's peak,
/// memory. Run with --help.

#include <ATen/ATen.h>
#include <ATen/DeviceAccelerator.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/profiler_kineto.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/base/allocator.h"
#include "core/base/cpu_info.h"
#include "core/base/error.h"
#include "core/base/json.h"
#include "core/base/profile_scope.h"
#include "core/cpu/kernels/kernels.h"
#include "core/device/device.h"
#include "core/files/safetensors.h"
#include "core/model/summary.h"
#include "core/spec/model_config_json.h"
#include "core/train/benchmark.h"

namespace {

using flexae::Error;
using flexae::ErrorCode;
using flexae::Json;

constexpr const char* kUsage = R"(usage: flexae_train_bench [NAME VALUE]...

Times training steps on images in memory and prints images a second, the share of the device's peak
and the memory taken. Settings, as flags (--batch-size 64) or in the JSON object of a file given with
--config FILE; the file counts first, flags over it:

  --image-shape H,W  --channels 1|3  --filters 32,64  --pooling avg,no|max  --kernel-size 5,3
  --strides 2  --dims 1000  --mlp true|false  --drop-rate 0.5  --activation elu
  --last-activation selu  --batch-size 32  --optimizer adadelta  --learning-rate 1
  --device auto|cpu|cuda|cuda:N  --precision auto|fp32|bf16  --threads N  --seed N
  --horizontal-flip true|false  --vertical-flip true|false
  and whatever else describes a network, such as --kernel-regularizer '{"l1":0,"l2":0.001}'

  --images FILE   train on the tensor `images` (uint8 N×H×W×C) of a safetensors file; synthetic
                  images of the network's shape otherwise
  --steps N       timed steps (20)        --warmup N   steps before them (5)
  --peak-size N   side of the matrices whose product measures the peak; 0 leaves it out
  --json          print one JSON object instead of a table
  --profile FILE  write a Chrome trace of --steps training steps, and print where their time went
  --serve         for comparisons in turns: says {"ready":true,...} once warm, then answers each line
                  {"steps":K} of standard input with {"seconds":S,"loss":L}
)";

/// image-shape, imageShape and image_shape are one name.
std::string name_key(const std::string& name) {
  std::string key;
  for (const char c : name) {
    if (c != '-' && c != '_') key += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return key;
}

/// A flag's text as a config file would have it: 5,3 is [5,3], elu is "elu".
Json flag_value(const std::string& text) {
  try {
    return Json::parse(text);
  } catch (const Error&) {
    if (text.find(',') == std::string::npos) return {text};
  }
  Json::Array items;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    items.push_back(flag_value(text.substr(begin, end - begin)));
    begin = end + 1;
  }
  return {std::move(items)};
}

bool is_list(const Json& json) {
  try {
    (void)json.array();
    return true;
  } catch (const Error&) {
    return false;
  }
}

/// The settings as the JSON that model_config_json reads, with what was given over the defaults.
struct Settings {
  Json::Object model = flexae::model_config_to_json({}).object();
  Json::Object training = flexae::training_settings_to_json({}).object();
  flexae::TrainerConfig trainer;  ///< What finish() makes of them.
  std::string images;
  int64_t steps = 20;
  int64_t warmup = 5;
  int64_t peak_size = -1;  ///< -1: by device
  bool learning_rate_given = false;
  bool json = false;
  bool serve = false;
  std::string profile;

  void set(const std::string& name, const Json& value) {
    try {
      if (!set_own(name_key(name), value) && !set_core(name_key(name), value)) {
        throw Error(ErrorCode::kConfig, "Unknown setting: --help lists all");
      }
    } catch (const Error& error) {
      throw Error(ErrorCode::kConfig, name + " " + value.dump() + ": " + error.what());
    }
  }

  void finish() {
    flexae::for_each_model_setting(trainer.model,
                                   [&](const flexae::Setting& setting, const auto& /*value*/) {
                                     if (setting.per_layer)
                                       fit_length(model.at(setting.key), model.at("filters"));
                                   });
    const std::string& optimizer = training.at("optimizer").string();
    if (!learning_rate_given && optimizer != "adadelta") {
      training["learningRate"] = optimizer == "sgd" ? 0.01 : 0.001;
    }
    static_cast<flexae::TrainingSettings&>(trainer) = flexae::training_settings_from_json(training);
    trainer.model = flexae::model_config_from_json(model);
    if (steps < 1 || warmup < 0) throw Error(ErrorCode::kConfig, "Expected --steps of at least 1");
  }

 private:
  /// This program's own.
  bool set_own(const std::string& key, const Json& value) {
    if (key == "images") {
      images = value.string();
    } else if (key == "steps") {
      steps = value.integer();
    } else if (key == "warmup") {
      warmup = value.integer();
    } else if (key == "peaksize") {
      peak_size = value.integer();
    } else if (key == "profile") {
      profile = value.string();
    } else {
      return false;
    }
    return true;
  }

  /// One of the core's, by its name or by its key in JSON.
  bool set_core(const std::string& key, const Json& value) {
    if (key == "imageshape") {
      if (!is_list(value) || value.array().size() != 2) {
        throw Error(ErrorCode::kConfig, "Expected H,W");
      }
      model["height"] = value.array()[0];
      model["width"] = value.array()[1];
      return true;
    }
    bool found = false;
    const auto set_in = [&](Json::Object& object) {
      return [&](const flexae::Setting& setting, const auto& /*value*/) {
        if (key != name_key(setting.key) && key != name_key(setting.name)) return;
        Json& member = object.at(setting.key);
        member = is_list(member) && !is_list(value) ? Json(Json::Array{value}) : value;
        found = true;
      };
    };
    flexae::for_each_model_setting(trainer.model, set_in(model));
    flexae::for_each_training_setting(trainer, set_in(training));
    learning_rate_given |= key == "learningrate";
    return found;
  }

  /// As in training: a shorter list repeats its last entry, a longer one is cut.
  static void fit_length(Json& list, const Json& like) {
    Json::Array values = list.array();
    if (!values.empty()) values.resize(like.array().size(), Json(values.back()));
    list = std::move(values);
  }
};

Settings read_settings(int argc, char** argv) {
  Settings settings;
  std::vector<std::pair<std::string, std::string>> flags;
  for (int i = 1; i < argc; ++i) {
    std::string name = argv[i];
    if (!name.starts_with("--")) {
      throw Error(ErrorCode::kConfig, "Expected a flag but received " + name + ": see --help");
    }
    name = name.substr(2);
    if (name == "json" || name == "serve") {
      (name == "json" ? settings.json : settings.serve) = true;
      continue;
    }
    std::string value;
    if (const size_t equals = name.find('='); equals != std::string::npos) {
      value = name.substr(equals + 1);
      name.resize(equals);
    } else if (i + 1 < argc) {
      value = argv[++i];
    } else {
      throw Error(ErrorCode::kConfig, "Expected a value for --" + name);
    }
    if (name != "config") {
      flags.emplace_back(name, value);
      continue;
    }
    std::ifstream file(value, std::ios::binary);
    if (!file) throw Error(ErrorCode::kIo, value + " cannot be read");
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    const Json settings_file = Json::parse(text);
    for (const auto& [key, entry] : settings_file.object()) settings.set(key, entry);
  }
  for (const auto& [name, value] : flags) settings.set(name, flag_value(value));
  settings.finish();
  return settings;
}

/// The images of a packed set, which also give the network its shape.
at::Tensor read_images(const std::string& path, flexae::ModelConfig& model) {
  for (auto& [name, tensor] : flexae::read_tensor_file(path, /*require_checksum=*/false).tensors) {
    if (name != "images") continue;
    if (tensor.scalar_type() != at::kByte || tensor.dim() != 4) break;
    model.height = tensor.size(1);
    model.width = tensor.size(2);
    model.channels = tensor.size(3);
    return tensor;
  }
  throw Error(ErrorCode::kData, path + " holds no tensor `images`, uint8 N×H×W×C");
}

void wait_for(at::Device device) {
  if (!device.is_cpu()) at::accelerator::synchronizeDevice(device.index());
}

/// Floating-point operations a second of a large matrix product: the best of a few.
double peak_flops(at::Device device, flexae::Precision precision, int64_t size) {
  const c10::NoGradGuard no_grad;
  const auto options = at::TensorOptions().device(device).dtype(
      precision == flexae::Precision::kBf16 ? at::kBFloat16 : at::kFloat);
  const at::Tensor a = at::rand({size, size}, options);
  const at::Tensor b = at::rand({size, size}, options);
  at::Tensor c = at::mm(a, b);
  const int repeats = device.is_cpu() ? 1 : 10;
  double best = 0;
  for (int i = 0; i < 5; ++i) {
    wait_for(device);
    const auto begin = std::chrono::steady_clock::now();
    for (int k = 0; k < repeats; ++k) at::mm_out(c, a, b);
    wait_for(device);
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - begin;
    best = std::max(best, 2.0 * std::pow(static_cast<double>(size), 3) * repeats / time.count());
  }
  return best;
}

double quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  const double place = q * static_cast<double>(values.size() - 1);
  const auto low = static_cast<size_t>(place);
  const size_t high = std::min(low + 1, values.size() - 1);
  return values[low] + (values[high] - values[low]) * (place - static_cast<double>(low));
}

std::string device_name(at::Device device) {
  for (const flexae::CudaDevice& known : flexae::cuda_devices()) {
    if (device.is_cuda() && known.index == device.index()) return known.name;
  }
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "CPU";
}

std::string formatted(const char* format, double value) {
  char text[64];
  (void)std::snprintf(text, sizeof text, format, value);
  return text;
}

double device_memory_peak(at::Device device) {
  if (device.is_cpu()) return 0;
  return static_cast<double>(
      at::accelerator::getDeviceStats(device.index()).reserved_bytes[0].peak);
}

/// Steps whenever a line of standard input asks for them, until it ends.
void serve(flexae::Benchmark& bench, const Settings& settings, const flexae::Summary& summary) {
  if (settings.warmup > 0) (void)bench.train(settings.warmup);
  std::cout << Json(Json::Object{{"ready", true},
                                 {"parameters", summary.total},
                                 {"macs", summary.macs},
                                 {"precision", flexae::precision_name(bench.precision())},
                                 {"warning", bench.take_warning()}})
                   .dump()
            << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    const Json request = Json::parse(line);
    const auto begin = std::chrono::steady_clock::now();
    (void)bench.train(request.object().at("steps").integer());
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - begin;
    std::cout << Json(Json::Object{{"seconds", time.count()},
                                   {"loss", bench.loss()},
                                   {"memoryBytes", device_memory_peak(bench.device())}})
                     .dump()
              << std::endl;
  }
}

/// The entries of a profile that took longest together.
void print_top(const char* title, const std::map<std::string, std::pair<double, int64_t>>& times,
               int64_t steps) {
  constexpr size_t kTop = 20;
  std::vector<std::pair<std::string, std::pair<double, int64_t>>> rows(times.begin(), times.end());
  std::sort(rows.begin(), rows.end(),
            [](const auto& a, const auto& b) { return a.second.first > b.second.first; });
  double total = 0;
  for (const auto& row : rows) total += row.second.first;
  std::cout << '\n' << title << formatted(": %.3f ms a step\n", total / 1e6 / double(steps));
  for (size_t i = 0; i < std::min(kTop, rows.size()); ++i) {
    const auto& [name, entry] = rows[i];
    std::cout << formatted("%8.3f ms ", entry.first / 1e6 / static_cast<double>(steps))
              << formatted("%5.1f %%", 100 * entry.first / total)
              << formatted(" %6.1f x  ", static_cast<double>(entry.second) / double(steps))
              << name.substr(0, 110) << '\n';
  }
}

/// Steps under Kineto, libtorch's profiler: a Chrome trace, and tables by layer and by kernel (on a
/// CPU by operation).
void profile(flexae::Benchmark& bench, const Settings& settings) {
  namespace prof = torch::autograd::profiler;
  using Activity = torch::profiler::impl::ActivityType;
  if (settings.warmup > 0) (void)bench.train(settings.warmup);
  const torch::profiler::impl::ProfilerConfig config(torch::profiler::impl::ProfilerState::KINETO);
  std::set<Activity> activities{Activity::CPU};
  if (!bench.device().is_cpu()) activities.insert(Activity::CUDA);
  prof::prepareProfiler(config, activities);
  prof::enableProfiler(config, activities);
  (void)bench.train(settings.steps);
  wait_for(bench.device());
  const std::unique_ptr<prof::ProfilerResult> result = prof::disableProfiler();
  result->save(settings.profile);
  std::map<std::string, std::pair<double, int64_t>> layers;
  std::map<std::string, std::pair<double, int64_t>> kernels;
  for (const prof::KinetoEvent& event : result->events()) {
    if (event.deviceType() != bench.device().type()) continue;
    const std::string name = event.name();
    auto& [time, count] = (flexae::ProfileScope::is_one(name) ? layers : kernels)[name];
    time += static_cast<double>(event.durationNs());
    ++count;
  }
  if (!layers.empty()) print_top("By layer", layers, settings.steps);
  print_top(bench.device().is_cpu() ? "By operation, with what it calls" : "By kernel", kernels,
            settings.steps);
  std::cout << "\nwrote " << settings.profile << '\n';
}

void run(Settings settings) {
  at::Tensor images;
  if (!settings.images.empty()) images = read_images(settings.images, settings.trainer.model);
  flexae::Benchmark bench(settings.trainer, images);
  const flexae::Summary summary = flexae::summarize(
      settings.trainer.model, settings.trainer.batch_size, settings.trainer.optimizer);
  if (settings.serve) return serve(bench, settings, summary);
  if (!settings.profile.empty()) return profile(bench, settings);
  if (settings.warmup > 0) (void)bench.train(settings.warmup);
  const std::vector<double> steps = bench.train(settings.steps);
  const double loss = bench.loss();
  const std::string warning = bench.take_warning();
  if (!warning.empty()) std::cerr << warning << '\n';
  (void)bench.encode(1);
  const std::vector<double> encodes = bench.encode(settings.steps);

  const int64_t host_memory = flexae::peak_memory();
  const at::Device device = bench.device();
  const double device_memory = device_memory_peak(device);

  const auto batch = static_cast<double>(bench.batch_size());
  const double median = quantile(steps, 0.5);
  const double rate = batch / median * 1e3;
  const double encode_rate = batch / quantile(encodes, 0.5) * 1e3;
  // Forward, and twice as much backward: the usual count, whatever way the step is computed.
  const double flops = 6.0 * static_cast<double>(summary.macs) * rate;
  int64_t size = settings.peak_size;
  if (size < 0) size = device.is_cpu() ? 2048 : 8192;
  const double peak = size > 0 ? peak_flops(device, bench.precision(), size) : 0;

  if (settings.json) {
    Json::Object o{
        {"imagesPerSecond", rate},
        {"msPerStep", median},
        {"msPerStepP10", quantile(steps, 0.1)},
        {"msPerStepP90", quantile(steps, 0.9)},
        {"encodeImagesPerSecond", encode_rate},
        {"steps", settings.steps},
        {"batchSize", bench.batch_size()},
        {"precision", flexae::precision_name(bench.precision())},
        {"device", device.str()},
        {"deviceName", device_name(device)},
        {"threads", static_cast<int64_t>(bench.threads())},
        {"kernels", flexae::kernels().name},
        {"parameters", summary.total},
        {"loss", loss},
        {"flopsPerSecond", flops},
        {"peakMemoryBytes", host_memory},
    };
    if (peak > 0) {
      o["peakFlopsPerSecond"] = peak;
      o["shareOfPeak"] = flops / peak;
    }
    if (!device.is_cpu()) o["devicePeakMemoryBytes"] = device_memory;
    std::cout << Json(std::move(o)).dump() << '\n';
    return;
  }

  const auto line = [](const char* name, const std::string& value) {
    std::cout << name << value << '\n';
  };
  line("device        ", device_name(device) + " (" + device.str() + ", " +
                             std::to_string(bench.threads()) + " threads, " +
                             flexae::kernels().name + " kernels)");
  line("precision     ", flexae::precision_name(bench.precision()));
  line("parameters    ", std::to_string(summary.total));
  line("training      ", formatted("%.1f images/s", rate));
  line("step          ", formatted("%.2f ms", median) +
                             formatted(" (10 %%: %.2f", quantile(steps, 0.1)) +
                             formatted(", 90 %%: %.2f), median of ", quantile(steps, 0.9)) +
                             std::to_string(steps.size()) + " steps of " +
                             std::to_string(bench.batch_size()) + " images");
  line("encoding      ", formatted("%.1f images/s", encode_rate));
  line("loss          ", formatted("%.5f", loss));
  if (peak > 0) {
    line("share of peak ", formatted("%.1f %%", 100 * flops / peak) +
                               formatted(" (%.1f of ", flops / 1e9) +
                               formatted("%.1f GFLOP/s, a product of matrices of ", peak / 1e9) +
                               std::to_string(size) + "²)");
  }
  constexpr double kGiB = 1 << 30;
  line("memory        ",
       formatted("%.2f GiB peak", static_cast<double>(host_memory) / kGiB) +
           (device.is_cpu() ? "" : formatted(", %.2f GiB on the device", device_memory / kGiB)));
}

}  // namespace

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    if (std::string(argv[i]) == "--help" || std::string(argv[i]) == "-h") {
      std::cout << kUsage;
      return 0;
    }
  }
  flexae::prefer_large_pages();
  try {
    run(read_settings(argc, argv));
    return 0;
  } catch (const Error& error) {
    std::cerr << "flexae_train_bench: " << error.what() << '\n';
    return error.code() == ErrorCode::kConfig ? 2 : 1;
  } catch (const std::exception& error) {
    const std::string message = error.what();
    std::cerr << "flexae_train_bench: " << message.substr(0, message.find('\n')) << '\n';
    return 1;
  }
}

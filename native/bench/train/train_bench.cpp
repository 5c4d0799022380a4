/// \file
/// Training speed of the core alone, on any device: images a second, share of the device's peak,
/// memory. Run with --help.

#include <ATen/ATen.h>
#include <ATen/DeviceAccelerator.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <exception>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "core/base/allocator.h"
#include "core/base/cpu_info.h"
#include "core/base/error.h"
#include "core/cpu/kernels/kernels.h"
#include "core/device/device.h"
#include "core/files/safetensors.h"
#include "core/model/summary.h"
#include "core/train/benchmark.h"
#include "train/profile.h"
#include "train/settings.h"
#include "train/text.h"

namespace flexae::bench {
namespace {

/// The images of a packed set, which also give the network its shape.
at::Tensor read_images(const std::string& path, ModelConfig& model) {
  for (auto& [name, tensor] : read_tensor_file(path, /*require_checksum=*/false).tensors) {
    if (name != "images") continue;
    if (tensor.scalar_type() != at::kByte || tensor.dim() != 4) break;
    model.height = tensor.size(1);
    model.width = tensor.size(2);
    model.channels = tensor.size(3);
    return tensor;
  }
  throw Error(ErrorCode::kData, path + " holds no tensor `images`, uint8 N×H×W×C");
}

/// Floating-point operations a second of a large matrix product: the best of a few.
double peak_flops(at::Device device, Precision precision, int64_t size) {
  const c10::NoGradGuard no_grad;
  const auto options = at::TensorOptions().device(device).dtype(
      precision == Precision::kBf16 ? at::kBFloat16 : at::kFloat);
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
  for (const CudaDevice& known : cuda_devices()) {
    if (device.is_cuda() && known.index == device.index()) return known.name;
  }
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "CPU";
}

double device_memory_peak(at::Device device) {
  if (device.is_cpu()) return 0;
  return static_cast<double>(
      at::accelerator::getDeviceStats(device.index()).reserved_bytes[0].peak);
}

/// Steps whenever a line of standard input asks for them, until it ends.
void serve(Benchmark& bench, const Settings& settings, const Summary& summary) {
  if (settings.warmup > 0) (void)bench.train(settings.warmup);
  std::cout << Json(Json::Object{{"ready", true},
                                 {"parameters", summary.total},
                                 {"macs", summary.macs},
                                 {"precision", precision_name(bench.precision())},
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

void run(Settings settings) {
  at::Tensor images;
  if (!settings.images.empty()) images = read_images(settings.images, settings.trainer.model);
  Benchmark bench(settings.trainer, images);
  const Summary summary =
      summarize(settings.trainer.model, settings.trainer.batch_size, settings.trainer.optimizer);
  if (settings.serve) return serve(bench, settings, summary);
  if (!settings.profile.empty()) return profile(bench, settings);
  if (settings.warmup > 0) (void)bench.train(settings.warmup);
  const std::vector<double> steps = bench.train(settings.steps);
  const double loss = bench.loss();
  const std::string warning = bench.take_warning();
  if (!warning.empty()) std::cerr << warning << '\n';
  (void)bench.encode(1);
  const std::vector<double> encodes = bench.encode(settings.steps);

  const int64_t host_memory = peak_memory();
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
        {"precision", precision_name(bench.precision())},
        {"device", device.str()},
        {"deviceName", device_name(device)},
        {"threads", static_cast<int64_t>(bench.threads())},
        {"kernels", kernels().name},
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
                             std::to_string(bench.threads()) + " threads, " + kernels().name +
                             " kernels)");
  line("precision     ", precision_name(bench.precision()));
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
}  // namespace flexae::bench

int main(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    if (std::string(argv[i]) == "--help" || std::string(argv[i]) == "-h") {
      std::cout << flexae::bench::kUsage;
      return 0;
    }
  }
  flexae::prefer_large_pages();
  try {
    flexae::bench::run(flexae::bench::read_settings(argc, argv));
    return 0;
  } catch (const flexae::Error& error) {
    std::cerr << "flexae_train_bench: " << error.what() << '\n';
    return error.code() == flexae::ErrorCode::kConfig ? 2 : 1;
  } catch (const std::exception& error) {
    const std::string message = error.what();
    std::cerr << "flexae_train_bench: " << message.substr(0, message.find('\n')) << '\n';
    return 1;
  }
}

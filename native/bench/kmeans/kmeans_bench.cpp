/// \file
/// Speed of k-means alone, on blobs or on points of a file. Run with --help.

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <exception>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <string>

#include "analysis/kmeans.h"
#include "core/base/json.h"
#include "core/device/device.h"

namespace flexae::bench {
namespace {

constexpr const char* kHelp =
    "Usage: flexae_kmeans_bench [--points N] [--width D] [--clusters K] [--iterations N]\n"
    "                           [--tolerance X] [--batch N] [--spread X] [--seed N] [--threads N]\n"
    "                           [--data FILE] [--centres FILE] [--write FILE] [--device NAME]\n"
    "Clusters N points of D numbers and prints seconds, iterations and inertia as JSON. Points "
    "lie\n"
    "about K places (--spread: how far) or come from a file of N×D raw fp32; --write makes such a\n"
    "file of them. It begins with k-means++, or with K×D raw fp32 of --centres. With --device,\n"
    "libtorch's operations compute it there: cuda, cuda:N, or cpu as a rehearsal.\n";

double seconds(const std::function<void()>& body) {
  const auto begin = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

at::Tensor read_floats(const std::string& path, int64_t rows, int64_t width) {
  at::Tensor tensor = at::empty({rows, width}, at::kFloat);
  std::ifstream file(path, std::ios::binary);
  if (!file.read(static_cast<char*>(tensor.mutable_data_ptr()),
                 static_cast<std::streamsize>(tensor.nbytes()))) {
    throw std::runtime_error(path + " is shorter than the points asked for");
  }
  return tensor;
}

at::Tensor blobs(int64_t rows, int64_t width, int64_t places, double spread, uint64_t seed) {
  const at::Generator generator = at::detail::createCPUGenerator(seed);
  const auto normal = [&](int64_t n) { return at::randn({n, width}, generator, at::kFloat); };
  at::Tensor points = normal(rows).mul_(spread);
  const at::Tensor own = at::arange(rows).remainder(places);
  return points.add_(normal(places).index_select(0, own));
}

void run(std::map<std::string, std::string>& options) {
  const auto text = [&](const char* name, const char* otherwise) {
    const auto found = options.find(name);
    return found != options.end() ? found->second : std::string(otherwise);
  };
  const auto integer = [&](const char* name, const char* otherwise) {
    return static_cast<int64_t>(std::stoll(text(name, otherwise)));
  };
  const int64_t rows = integer("points", "70000");
  const int64_t width = integer("width", "10");
  KmeansOptions kmeans_options;
  kmeans_options.clusters = integer("clusters", "10");
  kmeans_options.max_iterations = integer("iterations", "300");
  kmeans_options.tolerance = std::stod(text("tolerance", "1e-4"));
  kmeans_options.batch_size = integer("batch", "0");
  kmeans_options.seed = static_cast<uint64_t>(integer("seed", "0"));
  if (options.contains("device")) kmeans_options.device = resolve_device(text("device", ""));
  if (options.contains("threads")) at::set_num_threads(static_cast<int>(integer("threads", "1")));
  const at::Tensor points = options.contains("data")
                                ? read_floats(text("data", ""), rows, width)
                                : blobs(rows, width, kmeans_options.clusters,
                                        std::stod(text("spread", "0.5")), kmeans_options.seed);
  if (options.contains("write")) {
    std::ofstream file(text("write", ""), std::ios::binary);
    file.write(static_cast<const char*>(points.const_data_ptr()),
               static_cast<std::streamsize>(points.nbytes()));
  }
  if (options.contains("centres")) {
    kmeans_options.initial_centres =
        read_floats(text("centres", ""), kmeans_options.clusters, width);
  }
  // Threads begin, and whatever is found out about the processor.
  KmeansOptions warm_up;
  warm_up.clusters = 2;
  warm_up.device = kmeans_options.device;
  (void)kmeans(points.narrow(0, 0, std::min<int64_t>(rows, 4096)), warm_up);
  std::optional<KmeansResult> result;
  double first = 0;
  const auto begin = std::chrono::steady_clock::now();
  const double whole = seconds([&] {
    result = kmeans(points, kmeans_options, [&](const KmeansProgress& progress) {
      const std::chrono::duration<double> now = std::chrono::steady_clock::now() - begin;
      if (progress.iteration == 0) first = now.count();
      return true;
    });
  });
  std::cout << Json(Json::Object{{"points", rows},
                                 {"width", width},
                                 {"clusters", kmeans_options.clusters},
                                 {"device", text("device", "")},
                                 {"threads", static_cast<int64_t>(at::get_num_threads())},
                                 {"seconds", whole},
                                 {"secondsOfSeeding", first},
                                 {"iterations", result->iterations},
                                 {"inertia", result->inertia}})
                   .dump()
            << '\n';
}

}  // namespace
}  // namespace flexae::bench

int main(int argc, char** argv) {
  std::map<std::string, std::string> options;
  for (int i = 1; i < argc; i += 2) {
    const std::string name = argv[i];
    if (name == "--help" || !name.starts_with("--") || i + 1 == argc) {
      std::cout << flexae::bench::kHelp;
      return name == "--help" ? 0 : 2;
    }
    options[name.substr(2)] = argv[i + 1];
  }
  try {
    flexae::bench::run(options);
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
  return 0;
}

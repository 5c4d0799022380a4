#include "core/device/graph.h"

#include <ATen/DeviceAccelerator.h>
#include <c10/core/Allocator.h>
#include <dlfcn.h>

#include <array>
#include <cstddef>
#include <exception>
#include <string>

#include "core/base/error.h"

// Since libtorch 2.13.
#if __has_include(<ATen/accelerator/Graph.h>)
#include <ATen/accelerator/Graph.h>
#define FLEXAE_ACCELERATOR_GRAPH 1
#endif

namespace flexae {
namespace {

/// A graph that is still to be recorded.
class Recording : public DeviceGraph {
 public:
  virtual void begin() = 0;
  virtual void end() = 0;
};

#ifdef FLEXAE_ACCELERATOR_GRAPH
class AcceleratorGraph : public Recording {
 public:
  void begin() override {
    // Other threads go on allocating pinned memory meanwhile.
    graph_.capture_begin({0, 0}, at::GraphCaptureMode::ThreadLocal);
  }
  void end() override { graph_.capture_end(); }
  void replay() override { graph_.replay(); }

 private:
  at::accelerator::Graph graph_;
};
#endif

/// at::cuda::CUDAGraph, for a libtorch that does not offer it as an at::accelerator::Graph. Its
/// header needs CUDA's; these exported functions have been the same from libtorch 2.11 to 2.14.
class CudaGraph : public Recording {
 public:
  CudaGraph() {
    find(construct_, "_ZN2at4cuda9CUDAGraphC1Eb");
    find(destroy_, "_ZN2at4cuda9CUDAGraphD1Ev");
    find(begin_, "_ZN2at4cuda9CUDAGraph13capture_beginESt4pairIyyE21cudaStreamCaptureMode");
    find(end_, "_ZN2at4cuda9CUDAGraph11capture_endEv");
    find(replay_, "_ZN2at4cuda9CUDAGraph6replayEv");
    construct_(object_.data(), /*keep_graph=*/false);
  }
  ~CudaGraph() override { destroy_(object_.data()); }

  void begin() override {
    constexpr int kThreadLocal = 1;  // cudaStreamCaptureModeThreadLocal
    begin_(object_.data(), {0, 0}, kThreadLocal);
  }
  void end() override { end_(object_.data()); }
  void replay() override { replay_(object_.data()); }

 private:
  template <typename Function>
  static void find(Function& function, const char* name) {
    void* address = ::dlsym(RTLD_DEFAULT, name);
    if (address == nullptr) {
      throw Error(ErrorCode::kInternal, std::string("this libtorch has no ") + name);
    }
    function = reinterpret_cast<Function>(address);
  }

  void (*construct_)(void*, bool) = nullptr;
  void (*destroy_)(void*) = nullptr;
  void (*begin_)(void*, c10::MempoolId_t, int) = nullptr;
  void (*end_)(void*) = nullptr;
  void (*replay_)(void*) = nullptr;
  /// It takes 104 bytes in libtorch 2.11 and 448 in 2.14.
  alignas(64) std::array<std::byte, 4096> object_{};
};

std::unique_ptr<Recording> make_graph(at::Device device) {
#ifdef FLEXAE_ACCELERATOR_GRAPH
  if (at::has_graph_impl(device.type())) return std::make_unique<AcceleratorGraph>();
#endif
  if (device.is_cuda()) return std::make_unique<CudaGraph>();
  throw Error(ErrorCode::kInternal, "no graphs on " + device.str());
}

}  // namespace

std::unique_ptr<DeviceGraph> record_graph(at::Device device, const std::function<void()>& body) {
  std::unique_ptr<Recording> graph = make_graph(device);
  // The graph has memory of its own; what has been left over would only lie there.
  at::accelerator::emptyCache();
  graph->begin();
  try {
    body();
  } catch (...) {
    const std::exception_ptr reason = std::current_exception();
    try {
      graph->end();
    } catch (const std::exception&) {
      // Of no interest: recording has ended, and why it failed is known.
    }
    std::rethrow_exception(reason);
  }
  graph->end();
  return graph;
}

}  // namespace flexae

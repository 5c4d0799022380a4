#pragma once

#include <c10/core/Device.h>

#include <functional>
#include <memory>

namespace flexae {

/// Work for a device, recorded once and sent again and again as a whole, on the same memory.
class DeviceGraph {
 public:
  virtual ~DeviceGraph() = default;
  DeviceGraph(const DeviceGraph&) = delete;
  DeviceGraph& operator=(const DeviceGraph&) = delete;

  /// Sends the work to the current stream.
  virtual void replay() = 0;

 protected:
  DeviceGraph() = default;
};

/// Records what `body` sends to the current stream, which must not be the default one; nothing of
/// it runs yet. What the body allocates belongs to the graph. Throws a std::exception where it
/// cannot be recorded; the stream then takes work as before.
std::unique_ptr<DeviceGraph> record_graph(at::Device device, const std::function<void()>& body);

}  // namespace flexae

#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "core/comm/communicator.h"
#include "core/layers/layers.h"

namespace flexae {

/// Adds up gradients over the processes of a training while the backward pass goes on. They are
/// gathered behind one another in one piece of memory, in the order in which they become known; as
/// soon as a bucket of it is full, its sum begins. A gradient that is taken a few rows at a time is
/// taken here, so that a large one is on its way before all of it is known.
class GradientReducer {
 public:
  /// `values`: of all parameters. `communicator` must outlive the object.
  GradientReducer(Communicator& communicator, int64_t values, at::Device device);

  /// A step begins.
  void begin();
  /// These parameters have their gradients. They become parts of the sums, and are not to be read
  /// before finish().
  void add(std::vector<Parameter>& parameters);
  /// Until all sums are there.
  void finish();

 private:
  void gather_rows(const Gradient& gradient, const at::Tensor& parameter, const at::Tensor& to);
  void advance(int64_t values);
  void send(int64_t end);

  Communicator& communicator_;
  at::Tensor all_;
  int64_t filled_ = 0;
  int64_t sent_ = 0;
  std::deque<std::unique_ptr<Reduction>> under_way_;
};

}  // namespace flexae

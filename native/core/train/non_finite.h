#pragma once

#include <cstdint>

namespace flexae {

/// A batch whose loss or one of whose gradients was infinite or no number.
struct BadNumber {
  int64_t batch;
  bool gradient;  ///< The loss itself was finite.
};

}  // namespace flexae

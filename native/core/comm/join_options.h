#pragma once

#include <string>

namespace flexae {

/// Which process this is, and where it finds the others. Names as PyTorch has them.
struct JoinOptions {
  int rank = 0;
  int world_size = 1;
  std::string master_address;
  int master_port = 0;
  /// Whether rank 0 opens the store there; else somebody has, such as torchrun.
  bool hosts_store = true;
  std::string prefix;        ///< Of keys in the store, another for each start.
  double join_seconds = 60;  ///< How long all are waited for.
};

}  // namespace flexae

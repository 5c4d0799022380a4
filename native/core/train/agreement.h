#pragma once

#include <cstdint>

#include "core/comm/communicator.h"
#include "core/comm/share.h"

namespace flexae {

/// What the processes of a training must know of each other before a batch.
struct Agreement {
  Share share;           ///< This one's images.
  bool is_cancelled;     ///< Somebody was asked to stop: all do.
  bool is_time_to_save;  ///< Rank 0 says so.
};

/// Tells the others, and asks them. `images`: what this process has of the batch; unreadable ones
/// are left out, so that nobody else knows. Without others it is as told.
Agreement agree(Communicator& communicator, int64_t images, bool is_cancelled,
                bool is_time_to_save);

}  // namespace flexae

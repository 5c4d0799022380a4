#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace flexae {

/// A sum under way. Its tensor must stay as it is until wait() has returned.
class Reduction {
 public:
  Reduction() = default;
  Reduction(const Reduction&) = delete;
  Reduction& operator=(const Reduction&) = delete;
  virtual ~Reduction() = default;

  /// Until the sum is in the tensor. Throws Error(kProcess) if another process is lost.
  virtual void wait() = 0;
};

/// What the processes of a training have cost each other so far.
struct Traffic {
  int64_t bytes = 0;       ///< Summed, before they are multiplied by the way they take.
  int64_t sums = 0;        ///< How many.
  double seconds = 0;      ///< From the start of each sum to its end, added up.
  double waited = 0;       ///< Of those, spent waiting.
  int64_t bulk_bytes = 0;  ///< Of bytes, the gradients'.
  double bulk_seconds = 0;
  double bulk_waited = 0;
};

/// The processes of one training. All call the same functions in the same order, from one thread
/// each, with tensors of the same type and size; what they get is the same to the bit everywhere.
/// Everything throws Error(kProcess), naming the process, if another one fails or is lost.
class Communicator {
 public:
  Communicator() = default;
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;
  virtual ~Communicator() = default;

  /// This process, in [0, size()). Rank 0 writes and tells.
  [[nodiscard]] virtual int rank() const = 0;
  [[nodiscard]] virtual int size() const = 0;
  [[nodiscard]] bool is_alone() const { return size() == 1; }

  /// Sums of few values, which somebody waits for, do not stand in line behind large ones.
  enum class Lane { kQuick, kBulk };
  /// Begins to add up a contiguous tensor over all processes, in place.
  virtual std::unique_ptr<Reduction> start_sum(const at::Tensor& tensor, Lane lane) = 0;
  /// Rank 0's values in everybody's contiguous tensor.
  virtual void broadcast(const at::Tensor& tensor) = 0;
  [[nodiscard]] virtual Traffic traffic() const { return {}; }

  /// The quick sum, waited for.
  void sum(const at::Tensor& tensor) { start_sum(tensor, Lane::kQuick)->wait(); }
  /// Rank 0's text.
  std::string broadcast_text(const std::string& text);
  /// Everybody's texts, by rank.
  std::vector<std::string> gather(const std::string& text);

  /// A process that shares with nobody.
  static Communicator& alone();
};

}  // namespace flexae

#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/train/feed/batch_source.h"
#include "data/image_store.h"

namespace flexae {

/// Decoding threads used when none are asked for: one a core this process may use, 16 at most.
[[nodiscard]] int default_workers();

/// How batches are loaded.
struct SourceOptions {
  /// Threads that load images, besides the consumer's while that has to wait; 0 chooses
  /// default_workers(). They run at a lower priority, and just one does when all images are kept.
  int workers = 0;
  /// Whether batches should lie in pinned memory. Ignored where there is no CUDA device.
  bool pinned = false;
  /// Bound on the memory of the batches being prepared, in bytes. At least one batch is.
  int64_t max_bytes = int64_t{512} << 20;
  /// Called from inside next(), on the consumer's thread, once for each image that cannot be used.
  std::function<void(const std::string& name, const std::string& reason)> on_bad = {};
};

/// Batches of the images of a store, loaded ahead by worker threads straight into the batches.
///
/// At most workers + 2 batches, within max_bytes, are under way, however many images there are.
/// Batches come in order and hold the same bytes whatever the number of workers. An image found
/// unusable is left out of its batch then and, silently, in every later pass. Trouble that is not
/// an image's own ends the pass: next() throws it.
class FileBatchSource : public BatchSource {
 public:
  explicit FileBatchSource(std::unique_ptr<ImageStore> store, SourceOptions options = {});
  FileBatchSource(std::vector<std::string> files, const DecodeSpec& spec,
                  SourceOptions options = {});
  /// Abandons a pass still running; waits only for the images being decoded at the moment.
  ~FileBatchSource() override;

  [[nodiscard]] int64_t size() const override { return store_->size(); }
  /// Throws Error(kInternal) for an index out of range or a batch size below 1, and Error(kMemory)
  /// when there is no memory for a batch or no thread to be had.
  void start(std::vector<int64_t> order, int64_t batch_size) override;
  bool next(Batch& batch) override;

 private:
  enum class Row : uint8_t { kPending, kGood, kSkipped, kBad };

  /// A batch being filled.
  struct Slot {
    at::Tensor images;
    uint8_t* data = nullptr;
    std::vector<Row> rows;
    std::vector<std::pair<size_t, std::string>> bad;  // row, reason
    size_t done = 0;
  };

  /// Consecutive rows of one batch, for one worker to fill.
  struct Claim {
    Slot* slot;
    size_t row;
    size_t count;
    size_t position;  // in order_, of the first row
  };

  void halt();
  void start_workers();
  void open_slot(size_t batch_index);
  void work();
  void load_claim(std::unique_lock<std::mutex>& lock);
  void fill(const Claim& claim, std::vector<std::pair<size_t, std::string>>& bad);
  [[nodiscard]] bool claimable() const;
  [[nodiscard]] Claim take_claim();
  [[nodiscard]] std::unique_ptr<Slot> make_slot(size_t batch_index);
  [[nodiscard]] at::Tensor make_buffer();
  void compact(Slot& slot, size_t first, Batch& batch) const;

  const std::unique_ptr<ImageStore> store_;
  const SourceOptions options_;
  const size_t workers_wanted_;
  const size_t image_bytes_;
  const bool pinned_;

  // Set by start() under mutex_ while no worker is busy, only read during a pass.
  std::vector<int64_t> order_;
  size_t batch_size_ = 1;
  size_t batches_ = 0;
  size_t depth_ = 1;
  size_t chunk_ = 1;
  size_t workers_active_ = 1;

  // The consumer's own.
  std::vector<at::Tensor> buffers_;

  mutable std::mutex mutex_;
  std::condition_variable work_;    // there may be something to claim
  std::condition_variable change_;  // a slot is full, a worker failed or fell idle
  // All below are guarded by mutex_, but for the rows of a claim, which are its worker's.
  std::deque<std::unique_ptr<Slot>> window_;  // batches first_batch_, first_batch_ + 1, …
  size_t first_batch_ = 0;
  size_t next_position_ = 0;
  size_t busy_ = 0;  // loading: workers, or the consumer
  bool stopping_ = false;
  std::exception_ptr failure_;
  std::vector<uint8_t> known_bad_;  // by index

  std::atomic<bool> abandoned_ = false;
  std::vector<std::thread> workers_;
};

}  // namespace flexae

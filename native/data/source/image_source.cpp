#include "data/source/image_source.h"

#include <ATen/Context.h>
#include <ATen/ops/empty.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <optional>
#include <system_error>

#include "core/base/cpu_info.h"
#include "core/base/error.h"

namespace flexae {
namespace {

// The computation goes first: while it runs, images wait, and when it waits, they have the cores.
void lower_priority() {
  constexpr int kNice = 10;
  // Of this thread alone, on Linux. Refused, it runs as it is.
  static_cast<void>(::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), kNice));
}

}  // namespace

int default_workers() {
  return std::clamp(available_cores(), 1, 16);
}

FileBatchSource::FileBatchSource(std::unique_ptr<ImageStore> store, SourceOptions options)
    : store_(std::move(store)),
      options_(std::move(options)),
      workers_wanted_(
          static_cast<size_t>(options_.workers > 0 ? options_.workers : default_workers())),
      image_bytes_(static_cast<size_t>(store_->spec().bytes())),
      pinned_(options_.pinned && at::hasCUDA()),
      known_bad_(static_cast<size_t>(store_->size()), 0) {}

FileBatchSource::FileBatchSource(std::vector<std::string> files, const DecodeSpec& spec,
                                 SourceOptions options)
    : FileBatchSource(std::make_unique<FileStore>(std::move(files), spec), std::move(options)) {}

FileBatchSource::~FileBatchSource() {
  halt();
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  work_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

// Ends the pass under way: nothing more is claimed, and no worker writes to a slot any more.
void FileBatchSource::halt() {
  std::unique_lock lock(mutex_);
  abandoned_ = true;
  next_position_ = order_.size();
  change_.wait(lock, [this] { return busy_ == 0; });
  abandoned_ = false;
  window_.clear();
  order_.clear();
  batches_ = first_batch_ = next_position_ = 0;
  failure_ = nullptr;
}

void FileBatchSource::start(std::vector<int64_t> order, int64_t batch_size) {
  halt();
  if (batch_size < 1) throw Error(ErrorCode::kInternal, "A batch must hold at least one image.");
  for (const int64_t index : order) {
    if (index < 0 || index >= size()) {
      throw Error(ErrorCode::kInternal, "Image " + std::to_string(index) + " is not in the set.");
    }
  }

  const size_t old_batch_size = batch_size_;
  const size_t batches = [&] {
    // No worker is busy, but one may be awake to look whether there is something to claim.
    const std::lock_guard lock(mutex_);
    order_ = std::move(order);
    // A batch never needs more rows than there are images.
    batch_size_ = std::clamp<size_t>(order_.size(), 1, static_cast<size_t>(batch_size));
    batches_ = (order_.size() + batch_size_ - 1) / batch_size_;
    const size_t batch_bytes = std::max<size_t>(batch_size_ * image_bytes_, 1);
    depth_ = std::clamp<size_t>(static_cast<size_t>(options_.max_bytes) / batch_bytes, 1,
                                workers_wanted_ + 2);
    // Copies of kept images are done sooner than a second thread wakes up.
    const bool kept = store_->kept();
    workers_active_ = kept ? 1 : workers_wanted_;
    // A batch is shared between the workers; a few small images at a time spare the lock.
    chunk_ = kept ? batch_size_ : std::clamp<size_t>(batch_size_ / (2 * workers_wanted_), 1, 8);
    return batches_;
  }();
  if (batch_size_ != old_batch_size) buffers_.clear();
  for (size_t i = 0; i < std::min(depth_, batches); ++i) open_slot(i);
  start_workers();
}

void FileBatchSource::start_workers() {
  while (workers_.size() < workers_wanted_) {
    try {
      workers_.emplace_back([this] { work(); });
    } catch (const std::system_error&) {
      if (!workers_.empty()) return;  // fewer will do
      throw Error(ErrorCode::kMemory, "The system allows no more threads to load images on.");
    }
  }
}

// Makes room for the batch that follows the window's last.
void FileBatchSource::open_slot(size_t batch_index) {
  std::unique_ptr<Slot> slot;
  try {
    slot = make_slot(batch_index);
  } catch (...) {
    const std::lock_guard lock(mutex_);
    failure_ = std::current_exception();
    throw;
  }
  {
    const std::lock_guard lock(mutex_);
    window_.push_back(std::move(slot));
  }
  work_.notify_all();
}

bool FileBatchSource::next(Batch& batch) {
  // Given back first, so that its memory can serve for the next batch.
  batch.images.reset();
  batch.indices.clear();

  std::unique_ptr<Slot> slot;
  size_t first = 0;
  std::vector<std::pair<size_t, std::string>> bad;
  {
    std::unique_lock lock(mutex_);
    if (first_batch_ >= batches_) return false;
    while (failure_ == nullptr && window_.front()->done < window_.front()->rows.size()) {
      // Helping beats waiting for threads of a lower priority.
      if (next_position_ < std::min(order_.size(), (first_batch_ + 1) * batch_size_)) {
        load_claim(lock);
      } else {
        change_.wait(lock);
      }
    }
    if (failure_) std::rethrow_exception(failure_);
    slot = std::move(window_.front());
    window_.pop_front();
    first = first_batch_ * batch_size_;
    ++first_batch_;
    for (auto& entry : slot->bad) {
      uint8_t& known = known_bad_[static_cast<size_t>(order_[first + entry.first])];
      if (known == 0) bad.push_back(std::move(entry));
      known = 1;
    }
  }
  const size_t coming = first_batch_ + depth_ - 1;
  if (coming < batches_) open_slot(coming);

  compact(*slot, first, batch);
  if (options_.on_bad) {
    std::sort(bad.begin(), bad.end());
    for (const auto& [row, reason] : bad) {
      options_.on_bad(store_->name(order_[first + row]), reason);
    }
  }
  return true;
}

// Moves the good rows together and hands them over.
void FileBatchSource::compact(Slot& slot, size_t first, Batch& batch) const {
  size_t kept = 0;
  for (size_t row = 0; row < slot.rows.size(); ++row) {
    if (slot.rows[row] != Row::kGood) continue;
    if (kept != row) {
      std::memcpy(slot.data + kept * image_bytes_, slot.data + row * image_bytes_, image_bytes_);
    }
    ++kept;
    batch.indices.push_back(order_[first + row]);
  }
  batch.images = slot.images.narrow(0, 0, static_cast<int64_t>(kept));
}

std::unique_ptr<FileBatchSource::Slot> FileBatchSource::make_slot(size_t batch_index) {
  auto slot = std::make_unique<Slot>();
  slot->images = make_buffer();
  slot->data = slot->images.mutable_data_ptr<uint8_t>();
  slot->rows.assign(std::min(batch_size_, order_.size() - batch_index * batch_size_),
                    Row::kPending);
  return slot;
}

at::Tensor FileBatchSource::make_buffer() {
  // Pageable memory that nobody else holds any more is used again: mapping it anew costs more than
  // many an image. Pinned memory is not, since a copy from it may still be under way after its
  // tensor has gone; its allocator knows, and keeps the memory anyway.
  if (!pinned_) {
    for (const at::Tensor& buffer : buffers_) {
      if (buffer.storage().use_count() == 1 && buffer.use_count() == 1) return buffer;
    }
  }
  const DecodeSpec& spec = store_->spec();
  at::Tensor buffer;
  try {
    buffer = at::empty({static_cast<int64_t>(batch_size_), spec.height, spec.width, spec.channels},
                       at::TensorOptions().dtype(at::kByte).pinned_memory(pinned_));
  } catch (const std::exception&) {
    throw Error(ErrorCode::kMemory,
                "Not enough memory for a batch of " + std::to_string(batch_size_) + " images of " +
                    std::to_string(spec.height) + "×" + std::to_string(spec.width) + "×" +
                    std::to_string(spec.channels) + ". Lower batch_size or imageShape.");
  }
  if (!pinned_) {
    // Beyond those in the window and one or two with the consumer, buffers are not coming back.
    if (buffers_.size() > depth_ + 2) buffers_.erase(buffers_.begin());
    buffers_.push_back(buffer);
  }
  return buffer;
}

bool FileBatchSource::claimable() const {
  return next_position_ < std::min(order_.size(), (first_batch_ + window_.size()) * batch_size_);
}

FileBatchSource::Claim FileBatchSource::take_claim() {
  const size_t batch = next_position_ / batch_size_;
  Slot* slot = window_[batch - first_batch_].get();
  const size_t row = next_position_ % batch_size_;
  const size_t count = std::min(chunk_, slot->rows.size() - row);
  const Claim claim{slot, row, count, next_position_};
  for (size_t i = 0; i < count; ++i) {
    if (known_bad_[static_cast<size_t>(order_[next_position_ + i])] != 0) {
      slot->rows[row + i] = Row::kSkipped;
    }
  }
  next_position_ += count;
  return claim;
}

void FileBatchSource::fill(const Claim& claim, std::vector<std::pair<size_t, std::string>>& bad) {
  for (size_t i = 0; i < claim.count && !abandoned_; ++i) {
    const size_t row = claim.row + i;
    if (claim.slot->rows[row] == Row::kSkipped) continue;
    auto reason = store_->load(order_[claim.position + i], claim.slot->data + row * image_bytes_);
    claim.slot->rows[row] = reason ? Row::kBad : Row::kGood;
    if (reason) bad.emplace_back(row, std::move(*reason));
  }
}

void FileBatchSource::work() {
  lower_priority();
  std::unique_lock lock(mutex_);
  while (true) {
    work_.wait(lock, [this] { return stopping_ || (claimable() && busy_ < workers_active_); });
    if (stopping_) return;
    load_claim(lock);
  }
}

// Loads the next images, with `lock` given up meanwhile.
void FileBatchSource::load_claim(std::unique_lock<std::mutex>& lock) {
  const Claim claim = take_claim();
  ++busy_;
  lock.unlock();

  std::vector<std::pair<size_t, std::string>> bad;
  std::exception_ptr failure;
  try {
    fill(claim, bad);
  } catch (...) {
    failure = std::current_exception();
  }

  lock.lock();
  // One who held back for this one may go on.
  if (busy_-- == workers_active_) work_.notify_one();
  if (failure && !failure_) failure_ = failure;
  if (failure_) next_position_ = order_.size();
  std::move(bad.begin(), bad.end(), std::back_inserter(claim.slot->bad));
  claim.slot->done += claim.count;
  if (busy_ == 0 || failure_ || claim.slot->done == claim.slot->rows.size()) change_.notify_all();
}

}  // namespace flexae

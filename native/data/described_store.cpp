#include "data/described_store.h"

#include <utility>

#include "core/base/thread_time.h"

namespace flexae {

DescribedStore::DescribedStore(PathList files, const DecodeSpec& spec)
    : FileStore(std::move(files), spec), facts_(static_cast<size_t>(FileStore::size())) {}

std::optional<std::string> DescribedStore::load(int64_t index, uint8_t* out) {
  constexpr int64_t kEvery = 8;
  const bool is_timed = loaded_.fetch_add(1) % kEvery == 0;
  const int64_t began = is_timed ? thread_nanoseconds() : 0;
  auto reason = decode_file(name(index), spec(), out, facts_[static_cast<size_t>(index)]);
  if (is_timed) {
    nanoseconds_ += thread_nanoseconds() - began;
    ++timed_;
  }
  return reason;
}

double DescribedStore::seconds() const {
  const int64_t timed = timed_;
  if (timed == 0) return 0;
  const double mean = static_cast<double>(nanoseconds_) / static_cast<double>(timed);
  return 1e-9 * mean * static_cast<double>(loaded_);
}

}  // namespace flexae

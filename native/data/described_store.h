#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/image_store.h"

namespace flexae {

/// Decodes image files anew at each load, and keeps what each told of itself.
class DescribedStore : public FileStore {
 public:
  DescribedStore(PathList files, const DecodeSpec& spec);

  [[nodiscard]] std::optional<std::string> load(int64_t index, uint8_t* out) override;

  /// Of an image that was loaded.
  [[nodiscard]] const FileFacts& facts(int64_t index) const {
    return facts_[static_cast<size_t>(index)];
  }
  /// About what one core has taken to load all images so far, in seconds: of every eighth the time
  /// is measured, since asking the system for it costs as much as a small image's header.
  [[nodiscard]] double seconds() const;

 private:
  std::vector<FileFacts> facts_;
  std::atomic<int64_t> loaded_ = 0;
  std::atomic<int64_t> timed_ = 0;
  std::atomic<int64_t> nanoseconds_ = 0;
};

}  // namespace flexae

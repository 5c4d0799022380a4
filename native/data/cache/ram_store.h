#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "data/image_store.h"

namespace flexae {

/// Keeps every image in memory from its first load on.
///
/// Address space for the whole set is reserved at once; pages are taken as images come, so nothing
/// is ever moved and no load waits for another.
class RamStore : public ImageStore {
 public:
  /// Throws Error(kMemory) when the system will not reserve the space; `source` is then untouched.
  explicit RamStore(std::unique_ptr<ImageStore>&& source);

  [[nodiscard]] int64_t size() const override { return source_->size(); }
  [[nodiscard]] const DecodeSpec& spec() const override { return source_->spec(); }
  [[nodiscard]] std::string name(int64_t index) const override { return source_->name(index); }
  [[nodiscard]] bool kept() const override { return left_.load(std::memory_order_relaxed) <= 0; }
  [[nodiscard]] std::optional<std::string> load(int64_t index, uint8_t* out) override;

 private:
  enum State : uint8_t { kEmpty, kFilling, kKept, kBad };

  struct Unmap {
    size_t bytes;
    void operator()(uint8_t* memory) const;
  };
  using Memory = std::unique_ptr<uint8_t, Unmap>;
  static Memory reserve(size_t bytes);

  const size_t image_bytes_;
  const Memory memory_;
  const std::unique_ptr<std::atomic<uint8_t>[]> states_;
  /// Images not tried yet.
  std::atomic<int64_t> left_;
  const std::unique_ptr<ImageStore> source_;
};

}  // namespace flexae

#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace flexae {

/// Images that stay on a device as bytes once they have been there, so that later passes gather
/// them on the device. What one thread sends to the current stream; see DeviceFeed.
class ResidentSet {
 public:
  /// For a source of `images` images. Keeps nothing if they take more than `most_bytes`.
  ResidentSet(int64_t images, at::Device device, int64_t most_bytes);

  /// Takes in what a source gave for the images `asked`. `images`: uint8 N×H×W×C on the device,
  /// `indices`: of its rows; whatever else was asked for cannot be read.
  void add(const std::vector<int64_t>& asked, const at::Tensor& images,
           const std::vector<int64_t>& indices);

  /// Whether a pass in this order needs nothing from the source.
  [[nodiscard]] bool covers(const std::vector<int64_t>& order) const;

  /// Starts a pass in an order that is covered; each index at most once.
  void start(const std::vector<int64_t>& order, int64_t batch_size);
  /// The next batch as the source would give it: without the images that cannot be read, but with
  /// its number, from 1, though the ones before were empty. False when the pass is over.
  bool next(at::Tensor& images, std::vector<int64_t>& indices, int64_t& number);

 private:
  enum class Known : uint8_t { kNot, kHeld, kUnreadable };

  void drop();

  at::Device device_;
  int64_t most_bytes_;
  std::vector<Known> known_;  ///< Empty when nothing is kept.
  at::Tensor images_;         ///< All, by index; undefined until the first batch.

  std::vector<int64_t> order_;   ///< Of the pass, the readable ones.
  std::vector<int64_t> counts_;  ///< How many of them each batch has.
  at::Tensor device_order_;
  size_t batch_ = 0;
  int64_t position_ = 0;
};

}  // namespace flexae

#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Event.h>

#include <cstdint>
#include <optional>

namespace flexae {

/// Running sums over pixels, kept on the device so that adding a batch never waits for it.
class Metrics {
 public:
  explicit Metrics(at::Device device);

  /// Adds a batch. Computes on the device without the host looking at anything, but does not
  /// count(): what the host knows it adds itself.
  /// \param sums what Loss::sums() gives.
  /// \param images in the batch.
  /// \param penalties of regularizers, 0-dimensional; may be undefined. Weighted by `images`, as
  ///   Keras weights a batch's loss in an epoch's mean.
  /// \return the batch's part of the loss's sum: 0-dimensional fp64 on the device, finite if and
  ///   only if the batch's loss is.
  at::Tensor accumulate(const at::Tensor& sums, int64_t images, const at::Tensor& penalties);
  /// The same in two parts, for what several processes add up between them: what a batch adds, four
  /// fp64 values; and adding it.
  [[nodiscard]] at::Tensor part(const at::Tensor& sums, int64_t images,
                                const at::Tensor& penalties) const;
  at::Tensor add(const at::Tensor& part);
  /// `values`: all the elements of the batch's logits.
  void count(int64_t images, int64_t values);

  /// Means over all images that were added.
  struct Values {
    double loss;      ///< Mean loss plus mean penalties.
    double accuracy;  ///< Keras's binary accuracy: share of pixels whose rounded output equals the
                      ///< target.
    double mse;
    double psnr;  ///< dB for a peak of 1: −10·log₁₀(mse).
  };
  /// Waits for the device. All NaN while nothing was added.
  [[nodiscard]] Values values() const;

  /// values() of a moment ago, without waiting: what the device had computed when this was last
  /// called; nothing if that has not come over yet. On a CPU, values().
  std::optional<Values> latest();

  void reset();

  /// All there is, to go on from later: 6 fp64 values on the host, exact. Waits for the device.
  [[nodiscard]] at::Tensor state() const;
  /// Takes a state(). Throws Error(kModel) if it cannot be one.
  void restore(const at::Tensor& state);

 private:
  static constexpr int64_t kSums = 4;

  /// A copy of the sums on its way to the host.
  struct Glimpse {
    at::Tensor sums;
    int64_t pixels;
    int64_t images;
    c10::Event copied;
  };

  at::Tensor sums_;  ///< fp64: Σ loss, pixels right, Σ squared error, Σ N·penalties
  int64_t pixels_ = 0;
  int64_t images_ = 0;
  std::optional<Glimpse> glimpse_;
};

}  // namespace flexae

#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <optional>

namespace flexae {

/// Principal components: the directions in which points vary most, at right angles to each other.
struct Pca {
  at::Tensor mean;                      ///< fp64, D: what points are measured from.
  at::Tensor components;                ///< fp64, K×D: unit vectors, the greatest variance first;
                                        ///< of each the value of greatest magnitude is positive.
  at::Tensor explained_variance;        ///< fp64, K: along each component, by N − 1.
  at::Tensor explained_variance_ratio;  ///< fp64, K: the same, as a share of all variance.

  /// Coordinates along the components. \param points  fp32, N×D. \param device  where libtorch's
  /// operations compute them; unless given, on the CPU. \return fp32, N×K. \throws Error (kData).
  [[nodiscard]] at::Tensor transform(const at::Tensor& points,
                                     std::optional<at::Device> device = {}) const;
};

/// The first `components` principal components of `points` (fp32, N×D, N ≥ 2),
/// 1 ≤ components ≤ min(N, D), as scikit-learn has them. Sums are computed on
/// `device`, if one is given. \throws Error (kData, kConfig).
Pca fit_pca(const at::Tensor& points, int64_t components, std::optional<at::Device> device = {});

}  // namespace flexae

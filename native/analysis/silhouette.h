#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <functional>
#include <optional>

namespace flexae {

/// How well points lie in their clusters (Rousseeuw, 1987): (b − a) / max(a, b), with a the mean
/// distance to the others of the cluster and b that to the points of the nearest other cluster.
struct Silhouette {
  double mean = 0;
  at::Tensor points;  ///< n of int64, ascending: which embeddings were looked at
  at::Tensor values;  ///< n of fp64, of those: from −1 to 1, and 0 alone in a cluster
};

/// The silhouettes of N×D embeddings of fp32 with N labels of any integer type, equal to
/// scikit-learn's silhouette_samples(). Distances are computed in fp64, N² of them; with `samples`
/// between 0 and N, that many embeddings are drawn and alone compared with each other. The result
/// does not depend on the number of threads. Distances are computed on `device`, if one is given.
/// `callback` is asked now and then on the calling
/// thread, with the share that is done. Throws Error(kData) for embeddings as kmeans() does and for
/// labels of another number, Error(kConfig) where there are fewer than 2 clusters or as many as
/// points. \return nothing where `callback` returned false.
std::optional<Silhouette> silhouette(const at::Tensor& embeddings, const at::Tensor& labels,
                                     int64_t samples = 0, uint64_t seed = 0,
                                     const std::function<bool(double share)>& callback = {},
                                     std::optional<at::Device> device = {});

}  // namespace flexae

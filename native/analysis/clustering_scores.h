#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace flexae {

/// How far clusters are the classes. None depends on what numbers clusters have.
struct ClusteringScores {
  double accuracy = 0;  ///< of the best matching of clusters and classes, one to one
  double nmi = 0;       ///< normalized mutual information, by the mean of both entropies
  double ari = 0;       ///< adjusted Rand index: 1 for equal, about 0 for unrelated partitions
  double purity = 0;    ///< the share of points in the commonest class of their cluster
};

/// Scores N labels of clusters by N classes, of any integer types; NMI and ARI are scikit-learn's.
/// `counts`, if defined, are N of fp64, whole numbers of at least 1: entry i stands for that many
/// points. Throws Error(kData) if there are none, if their numbers differ, or if there are more
/// than 4096 different ones.
ClusteringScores clustering_scores(const at::Tensor& labels, const at::Tensor& classes,
                                   const at::Tensor& counts = {});

/// The column for each row of a square matrix, no column twice, with the least sum of costs (the
/// Hungarian method, O(n³)). `costs` holds n rows of n finite numbers.
std::vector<int64_t> match_rows(const std::vector<double>& costs, int64_t n);

}  // namespace flexae

#include "analysis/fuzzy_graph.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "core/base/math.h"
#include "core/base/parallel.h"

namespace flexae {
namespace {

// As in umap-learn, whose numbers these are.
constexpr int kSearchSteps = 64;
constexpr float kSumTolerance = 1e-5F;
constexpr float kLeastSigma = 1e-3F;  // relative to the mean distance

/// Rows that a thread takes in a go.
constexpr int64_t kGraphRows = 512;

void for_each_row(int64_t rows, const std::function<void(int64_t row)>& body) {
  parallel_for(ceil_div(rows, kGraphRows), [&](int64_t item, int) {
    const int64_t end = std::min((item + 1) * kGraphRows, rows);
    for (int64_t row = item * kGraphRows; row < end; ++row) body(row);
  });
}

float row_mean(const float* distances, int64_t count) {
  double sum = 0;
  for (int64_t j = 0; j < count; ++j) sum += static_cast<double>(distances[j]);
  return static_cast<float>(sum / static_cast<double>(count));
}

/// The distance of the neighbour that `local_connectivity` names.
float nearest_distance(const float* distances, int64_t count, double local_connectivity) {
  const float* first = std::find_if(distances, distances + count, [](float d) { return d > 0; });
  const auto apart = distances + count - first;
  if (apart == 0) return 0;
  if (static_cast<double>(apart) < local_connectivity) {
    return *std::max_element(first, distances + count);
  }
  const auto index = static_cast<int64_t>(std::floor(local_connectivity));
  const auto rest = static_cast<float>(local_connectivity - static_cast<double>(index));
  if (index == 0) return rest * first[0];
  const float at = first[index - 1];
  return rest > kSumTolerance && index < apart ? at + rest * (first[index] - at) : at;
}

/// Halves the interval in which sigma lies.
float search_sigma(const float* distances, int64_t count, float rho) {
  const auto target = static_cast<float>(std::log2(static_cast<double>(count)));
  constexpr float kNone = std::numeric_limits<float>::max();
  float low = 0;
  float high = kNone;
  float sigma = 1;
  for (int step = 0; step < kSearchSteps; ++step) {
    float sum = 0;
    for (int64_t j = 1; j < count; ++j) {
      const float beyond = distances[j] - rho;
      sum += beyond > 0 ? std::exp(-(beyond / sigma)) : 1.0F;
    }
    if (std::abs(sum - target) < kSumTolerance) break;
    if (sum > target) {
      high = sigma;
      sigma = (low + high) / 2;
    } else {
      low = sigma;
      sigma = high == kNone ? sigma * 2 : (low + high) / 2;
    }
  }
  return sigma;
}

float strength(float distance, float rho, float sigma) {
  return distance - rho <= 0 || sigma == 0 ? 1.0F : std::exp(-((distance - rho) / sigma));
}

/// The strengths of each point's neighbours, in the neighbours' order.
at::Tensor strengths_of(const at::Tensor& distances, const SmoothKnn& smooth) {
  at::Tensor strengths = at::empty_like(distances);
  const auto* from = distances.const_data_ptr<float>();
  auto* to = strengths.mutable_data_ptr<float>();
  const int64_t k = distances.size(1);
  for_each_row(distances.size(0), [&](int64_t i) {
    const float rho = smooth.rho[static_cast<size_t>(i)];
    const float sigma = smooth.sigma[static_cast<size_t>(i)];
    for (int64_t j = i * k; j < (i + 1) * k; ++j) to[j] = strength(from[j], rho, sigma);
  });
  return strengths;
}

/// Rows of k neighbours each, sorted. What is too weak for fp32 is left out.
FuzzyGraph directed_graph(const at::Tensor& indices, const at::Tensor& strengths) {
  const int64_t points = indices.size(0);
  const int64_t k = indices.size(1);
  const auto* index = indices.const_data_ptr<int32_t>();
  const auto* values = strengths.const_data_ptr<float>();
  FuzzyGraph graph;
  graph.begins.reserve(static_cast<size_t>(points) + 1);
  graph.neighbours.reserve(static_cast<size_t>(points * k));
  graph.strengths.reserve(static_cast<size_t>(points * k));
  graph.begins.push_back(0);
  std::vector<std::pair<int32_t, float>> row;
  for (int64_t i = 0; i < points; ++i) {
    row.clear();
    for (int64_t j = i * k; j < (i + 1) * k; ++j) {
      if (values[j] > 0) row.emplace_back(index[j], values[j]);
    }
    std::sort(row.begin(), row.end());
    for (const auto& [neighbour, value] : row) {
      graph.neighbours.push_back(neighbour);
      graph.strengths.push_back(value);
    }
    graph.begins.push_back(static_cast<int64_t>(graph.neighbours.size()));
  }
  return graph;
}

/// The same with rows and columns exchanged; its rows are sorted, too.
FuzzyGraph transposed(const FuzzyGraph& graph) {
  FuzzyGraph other;
  other.begins.assign(graph.begins.size(), 0);
  other.neighbours.resize(graph.neighbours.size());
  other.strengths.resize(graph.strengths.size());
  for (const int32_t neighbour : graph.neighbours) {
    ++other.begins[static_cast<size_t>(neighbour) + 1];
  }
  for (size_t i = 1; i < other.begins.size(); ++i) other.begins[i] += other.begins[i - 1];
  std::vector<int64_t> next = other.begins;
  for (int64_t i = 0; i < graph.points(); ++i) {
    const auto row = static_cast<size_t>(i);
    for (int64_t e = graph.begins[row]; e < graph.begins[row + 1]; ++e) {
      const auto edge = static_cast<size_t>(e);
      const auto to = static_cast<size_t>(next[static_cast<size_t>(graph.neighbours[edge])]++);
      other.neighbours[to] = static_cast<int32_t>(i);
      other.strengths[to] = graph.strengths[edge];
    }
  }
  return other;
}

/// Goes through a row of both graphs: body(neighbour, strength here, strength there).
template <typename Body>
void merge_row(const FuzzyGraph& here, const FuzzyGraph& there, int64_t row, const Body& body) {
  const auto r = static_cast<size_t>(row);
  auto a = static_cast<size_t>(here.begins[r]);
  auto b = static_cast<size_t>(there.begins[r]);
  const auto a_end = static_cast<size_t>(here.begins[r + 1]);
  const auto b_end = static_cast<size_t>(there.begins[r + 1]);
  while (a < a_end || b < b_end) {
    const bool from_a = a < a_end && (b == b_end || here.neighbours[a] <= there.neighbours[b]);
    const bool from_b = b < b_end && (a == a_end || there.neighbours[b] <= here.neighbours[a]);
    const int32_t neighbour = from_a ? here.neighbours[a] : there.neighbours[b];
    body(neighbour, from_a ? here.strengths[a] : 0.0F, from_b ? there.strengths[b] : 0.0F);
    if (from_a) ++a;
    if (from_b) ++b;
  }
}

}  // namespace

SmoothKnn smooth_knn(const at::Tensor& distances, double local_connectivity) {
  const at::Tensor rows = distances.contiguous();
  const int64_t points = rows.size(0);
  const int64_t k = rows.size(1);
  const auto* values = rows.const_data_ptr<float>();
  const float mean = row_mean(values, points * k);
  SmoothKnn smooth{std::vector<float>(static_cast<size_t>(points)),
                   std::vector<float>(static_cast<size_t>(points))};
  for_each_row(points, [&](int64_t i) {
    const float* row = values + i * k;
    const float rho = nearest_distance(row, k, local_connectivity);
    const float least = kLeastSigma * (rho > 0 ? row_mean(row, k) : mean);
    smooth.rho[static_cast<size_t>(i)] = rho;
    smooth.sigma[static_cast<size_t>(i)] = std::max(search_sigma(row, k, rho), least);
  });
  return smooth;
}

FuzzyGraph fuzzy_graph(const Neighbours& neighbours, double set_op_mix_ratio) {
  // The point itself counts as its own first neighbour.
  const at::Tensor with_self = at::constant_pad_nd(neighbours.distances, {1, 0}, 0);
  const SmoothKnn smooth = smooth_knn(with_self, /*local_connectivity=*/1);
  const FuzzyGraph here =
      directed_graph(neighbours.indices, strengths_of(neighbours.distances, smooth));
  const FuzzyGraph there = transposed(here);
  FuzzyGraph graph;
  graph.begins.assign(here.begins.size(), 0);
  for_each_row(here.points(), [&](int64_t i) {
    int64_t count = 0;
    merge_row(here, there, i, [&](int32_t, float, float) { ++count; });
    graph.begins[static_cast<size_t>(i) + 1] = count;
  });
  for (size_t i = 1; i < graph.begins.size(); ++i) graph.begins[i] += graph.begins[i - 1];
  graph.neighbours.resize(static_cast<size_t>(graph.begins.back()));
  graph.strengths.resize(graph.neighbours.size());
  const auto mix = static_cast<float>(set_op_mix_ratio);
  for_each_row(here.points(), [&](int64_t i) {
    auto to = static_cast<size_t>(graph.begins[static_cast<size_t>(i)]);
    merge_row(here, there, i, [&](int32_t neighbour, float p, float q) {
      const float both = p * q;
      graph.neighbours[to] = neighbour;
      // The smaller and the greater in this order, so that both directions come out the same.
      const float sum = std::min(p, q) + std::max(p, q);
      graph.strengths[to++] = mix * (sum - both) + (1 - mix) * both;
    });
  });
  return graph;
}

FuzzyGraph fuzzy_graph_of_new(const Neighbours& neighbours) {
  const SmoothKnn smooth = smooth_knn(neighbours.distances, /*local_connectivity=*/0);
  return directed_graph(neighbours.indices, strengths_of(neighbours.distances, smooth));
}

void drop_weak(FuzzyGraph& graph, int64_t epochs) {
  if (graph.strengths.empty()) return;
  const float least = *std::max_element(graph.strengths.begin(), graph.strengths.end()) /
                      static_cast<float>(epochs);
  size_t kept = 0;
  for (size_t row = 0; row + 1 < graph.begins.size(); ++row) {
    const auto begin = static_cast<size_t>(graph.begins[row]);
    const auto end = static_cast<size_t>(graph.begins[row + 1]);
    graph.begins[row] = static_cast<int64_t>(kept);
    for (size_t edge = begin; edge < end; ++edge) {
      // What is zero, as with a mix ratio of zero, is never drawn.
      if (graph.strengths[edge] < least || graph.strengths[edge] <= 0) continue;
      graph.neighbours[kept] = graph.neighbours[edge];
      graph.strengths[kept++] = graph.strengths[edge];
    }
  }
  graph.begins.back() = static_cast<int64_t>(kept);
  graph.neighbours.resize(kept);
  graph.strengths.resize(kept);
}

bool is_connected(const FuzzyGraph& graph) {
  const int64_t points = graph.points();
  std::vector<bool> reached(static_cast<size_t>(points));
  std::vector<int32_t> waiting{0};
  reached[0] = true;
  int64_t count = 1;
  while (!waiting.empty()) {
    const auto row = static_cast<size_t>(waiting.back());
    waiting.pop_back();
    for (int64_t e = graph.begins[row]; e < graph.begins[row + 1]; ++e) {
      const int32_t neighbour = graph.neighbours[static_cast<size_t>(e)];
      if (reached[static_cast<size_t>(neighbour)]) continue;
      reached[static_cast<size_t>(neighbour)] = true;
      ++count;
      waiting.push_back(neighbour);
    }
  }
  return count == points;
}

}  // namespace flexae

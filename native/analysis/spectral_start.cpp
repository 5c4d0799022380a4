#include "analysis/spectral_start.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <tuple>

#include "analysis/one_thread.h"
#include "core/base/math.h"
#include "core/base/parallel.h"
#include "core/base/random.h"

namespace flexae {
namespace {

/// Up to here a dense decomposition is as quick.
constexpr int64_t kDense = 400;
/// Vectors beyond the wanted, which make these converge sooner.
constexpr int64_t kExtra = 5;
constexpr int64_t kDegree = 30;     // of a filter
constexpr int kMostRounds = 10;     // filters
constexpr double kResidual = 1e-4;  // |S·v − λ·v| that is good enough
/// Where the first filter begins to amplify: most eigenvalues of a graph of neighbours are below.
constexpr double kFirstCut = 0.8;
/// Rows that a thread takes in a go.
constexpr int64_t kSpectralRows = 512;

/// m vectors of N numbers side by side.
struct Block {
  Block(int64_t n, int64_t m) : width(m), values(static_cast<size_t>(n * m)) {}
  float* row(int64_t i) { return values.data() + i * width; }
  [[nodiscard]] const float* row(int64_t i) const { return values.data() + i * width; }

  int64_t width;
  std::vector<float> values;
};

/// S, with its first eigenvector.
class NormalizedGraph {
 public:
  explicit NormalizedGraph(const FuzzyGraph& graph)
      : graph_(graph), strengths_(graph.strengths), first_(static_cast<size_t>(graph.points())) {
    const int64_t n = graph.points();
    double total = 0;
    for (size_t i = 0; i < first_.size(); ++i) {
      double sum = 0;
      for (int64_t e = graph.begins[i]; e < graph.begins[i + 1]; ++e) {
        sum += static_cast<double>(graph.strengths[static_cast<size_t>(e)]);
      }
      total += sum;
      first_[i] = std::sqrt(sum);
    }
    for_each_part(
        [&](int64_t begin, int64_t end, int64_t) {
          for (int64_t i = begin; i < end; ++i) {
            const auto row = static_cast<size_t>(i);
            for (int64_t e = graph_.begins[row]; e < graph_.begins[row + 1]; ++e) {
              const auto edge = static_cast<size_t>(e);
              const auto other = static_cast<size_t>(graph_.neighbours[edge]);
              strengths_[edge] = static_cast<float>(static_cast<double>(strengths_[edge]) /
                                                    (first_[row] * first_[other]));
            }
          }
        },
        n);
    for (double& value : first_) value /= std::sqrt(total);
  }

  [[nodiscard]] int64_t points() const { return graph_.points(); }

  /// body(begin, end, part) for stretches of rows, the same for any number of threads.
  template <typename Body>
  static void for_each_part(const Body& body, int64_t points) {
    parallel_for(ceil_div(points, kSpectralRows), [&](int64_t part, int) {
      body(part * kSpectralRows, std::min((part + 1) * kSpectralRows, points), part);
    });
  }

  /// to = factor·(S·x − centre·x) − before
  void multiply(const Block& x, float factor, float centre, const Block* before, Block& to) const {
    for_each_part(
        [&](int64_t begin, int64_t end, int64_t) {
          const int64_t width = x.width;
          std::vector<float> sums(static_cast<size_t>(width));
          for (int64_t i = begin; i < end; ++i) {
            const auto row = static_cast<size_t>(i);
            const float* own = x.row(i);
            for (int64_t m = 0; m < width; ++m) sums[static_cast<size_t>(m)] = -centre * own[m];
            for (int64_t e = graph_.begins[row]; e < graph_.begins[row + 1]; ++e) {
              const auto edge = static_cast<size_t>(e);
              const float strength = strengths_[edge];
              const float* other = x.row(graph_.neighbours[edge]);
              float* sum = sums.data();
              for (int64_t m = 0; m < width; ++m) sum[m] += strength * other[m];
            }
            float* result = to.row(i);
            const float* minus = before != nullptr ? before->row(i) : nullptr;
            for (int64_t m = 0; m < width; ++m) {
              const float sum = factor * sums[static_cast<size_t>(m)];
              result[m] = minus != nullptr ? sum - minus[m] : sum;
            }
          }
        },
        points());
  }

  /// xᵀ·y in fp64, added up part by part in their order.
  [[nodiscard]] at::Tensor products(const Block& x, const Block& y) const {
    const int64_t parts = ceil_div(points(), kSpectralRows);
    const int64_t size = x.width * y.width;
    std::vector<double> sums(static_cast<size_t>(parts * size));
    for_each_part(
        [&](int64_t begin, int64_t end, int64_t part) {
          double* sum = sums.data() + part * size;
          for (int64_t i = begin; i < end; ++i) {
            const float* a = x.row(i);
            const float* b = y.row(i);
            for (int64_t p = 0; p < x.width; ++p) {
              const auto factor = static_cast<double>(a[p]);
              double* to = sum + p * y.width;
              for (int64_t q = 0; q < y.width; ++q) to[q] += factor * static_cast<double>(b[q]);
            }
          }
        },
        points());
    at::Tensor total = at::zeros({x.width, y.width}, at::kDouble);
    auto* to = total.mutable_data_ptr<double>();
    for (int64_t part = 0; part < parts; ++part) {
      for (int64_t k = 0; k < size; ++k) to[k] += sums[static_cast<size_t>(part * size + k)];
    }
    return total;
  }

  /// Takes the first eigenvector's share out of x.
  void deflate(Block& x) const {
    const int64_t parts = ceil_div(points(), kSpectralRows);
    const int64_t width = x.width;
    std::vector<double> sums(static_cast<size_t>(parts * width));
    for_each_part(
        [&](int64_t begin, int64_t end, int64_t part) {
          double* sum = sums.data() + part * width;
          for (int64_t i = begin; i < end; ++i) {
            const float* row = x.row(i);
            const double first = first_[static_cast<size_t>(i)];
            for (int64_t m = 0; m < width; ++m) sum[m] += first * static_cast<double>(row[m]);
          }
        },
        points());
    std::vector<double> shares(static_cast<size_t>(width));
    for (int64_t part = 0; part < parts; ++part) {
      for (size_t m = 0; m < shares.size(); ++m) {
        shares[m] += sums[static_cast<size_t>(part * width) + m];
      }
    }
    for_each_part(
        [&](int64_t begin, int64_t end, int64_t) {
          for (int64_t i = begin; i < end; ++i) {
            float* row = x.row(i);
            const double first = first_[static_cast<size_t>(i)];
            for (size_t m = 0; m < shares.size(); ++m) {
              row[m] = static_cast<float>(static_cast<double>(row[m]) - first * shares[m]);
            }
          }
        },
        points());
  }

  /// x = x·rotation
  void rotate(Block& x, const at::Tensor& rotation) const {
    const at::Tensor dense = rotation.contiguous();
    const auto* r = dense.const_data_ptr<double>();
    for_each_part(
        [&](int64_t begin, int64_t end, int64_t) {
          const int64_t width = x.width;
          std::vector<double> sums(static_cast<size_t>(width));
          for (int64_t i = begin; i < end; ++i) {
            float* row = x.row(i);
            std::fill(sums.begin(), sums.end(), 0.0);
            for (int64_t p = 0; p < width; ++p) {
              const auto factor = static_cast<double>(row[p]);
              const double* from = r + p * width;
              for (int64_t q = 0; q < width; ++q) sums[static_cast<size_t>(q)] += factor * from[q];
            }
            for (int64_t q = 0; q < width; ++q) {
              row[q] = static_cast<float>(sums[static_cast<size_t>(q)]);
            }
          }
        },
        points());
  }

  [[nodiscard]] at::Tensor dense() const {
    at::Tensor matrix = at::zeros({points(), points()}, at::kDouble);
    auto* values = matrix.mutable_data_ptr<double>();
    for (int64_t i = 0; i < points(); ++i) {
      const auto row = static_cast<size_t>(i);
      for (int64_t e = graph_.begins[row]; e < graph_.begins[row + 1]; ++e) {
        const auto edge = static_cast<size_t>(e);
        values[i * points() + graph_.neighbours[edge]] = static_cast<double>(strengths_[edge]);
      }
    }
    return matrix;
  }

 private:
  const FuzzyGraph& graph_;
  std::vector<float> strengths_;
  std::vector<double> first_;
};

/// x = T(S)·x, T being Chebyshev's polynomial on [−1, cut]: it amplifies what lies above. The three
/// blocks serve in turn; \return the one that holds the result.
Block* filter(const NormalizedGraph& graph, double cut, Block* x, Block* spare, Block* other) {
  const double centre = (cut - 1) / 2;
  const double half = (cut + 1) / 2;
  graph.multiply(*x, static_cast<float>(1 / half), static_cast<float>(centre), nullptr, *spare);
  for (int64_t degree = 2; degree <= kDegree; ++degree) {
    graph.multiply(*spare, static_cast<float>(2 / half), static_cast<float>(centre), x, *other);
    std::swap(x, spare);
    std::swap(spare, other);
  }
  return spare;
}

/// The matrix that makes the columns of x unit eigenvectors of S as far as their span allows, with
/// the eigenvalues, descending (Rayleigh and Ritz).
std::tuple<at::Tensor, at::Tensor> ritz(const NormalizedGraph& graph, const Block& x,
                                        const Block& product) {
  const at::Tensor gram = graph.products(x, x);
  const at::Tensor projected = graph.products(x, product);
  at::Tensor values;
  at::Tensor rotation;
  on_one_thread([&] {
    // Columns of very different size say little about how much of the span is left.
    const at::Tensor size = gram.diagonal().sqrt();
    const auto scaled = [&](const at::Tensor& m) { return m / size / size.unsqueeze(1); };
    const auto [lengths, directions] = at::linalg_eigh(scaled(gram));
    const at::Tensor root = lengths.clamp_min(1e-12 * lengths.max().item<double>()).rsqrt();
    const at::Tensor white = directions * root;
    const at::Tensor inner =
        at::mm(at::mm(white.t(), scaled((projected + projected.t()) / 2)), white);
    const auto [ritz_values, ritz_vectors] = at::linalg_eigh(inner);
    values = ritz_values.flip(0);
    rotation = at::mm(white, ritz_vectors.flip(1)) / size.unsqueeze(1);
  });
  return {values, rotation};
}

/// The greatest |S·v − λ·v| of the first `dims` columns.
double greatest_residual(const NormalizedGraph& graph, const Block& x, const Block& product,
                         const at::Tensor& values, int64_t dims) {
  const at::Tensor cross = graph.products(x, product).diagonal();
  const at::Tensor squares = graph.products(product, product).diagonal();
  const at::Tensor residual = squares - 2 * values * cross + values * values;
  return std::sqrt(std::max(0.0, residual.narrow(0, 0, dims).max().item<double>()));
}

SpectralStart by_dense(const NormalizedGraph& graph, int64_t dims) {
  at::Tensor values;
  at::Tensor vectors;
  on_one_thread([&] { std::tie(values, vectors) = at::linalg_eigh(graph.dense()); });
  values = values.flip(0).narrow(0, 1, dims).contiguous();
  const auto* v = values.const_data_ptr<double>();
  return {vectors.flip(1).narrow(1, 1, dims).to(at::kFloat).contiguous(), {v, v + dims}};
}

}  // namespace

SpectralStart spectral_start(const FuzzyGraph& points, int64_t dims, const Progress& progress) {
  const NormalizedGraph graph(points);
  const int64_t n = graph.points();
  if (n <= kDense) return by_dense(graph, dims);
  const int64_t width = std::min(round_up(dims + kExtra, 4), n - 1);
  Block blocks[3] = {Block(n, width), Block(n, width), Block(n, width)};
  Block* x = &blocks[0];
  // Always the same start: the eigenvectors do not depend on it, but for their last digits.
  for (size_t i = 0; i < x->values.size(); ++i) {
    const uint64_t bits = random_bits(/*seed=*/0, RandomPurpose::kInitializer, i);
    x->values[i] = static_cast<float>(static_cast<double>(bits >> 40) * 0x1p-23 - 1);
  }
  graph.deflate(*x);
  double cut = kFirstCut;
  at::Tensor values;
  for (int round = 0; round < kMostRounds; ++round) {
    report_progress(progress, static_cast<double>(round) / kMostRounds);
    Block* spare = x == &blocks[0] ? &blocks[1] : &blocks[0];
    Block* other = x == &blocks[2] ? &blocks[1] : &blocks[2];
    x = filter(graph, cut, x, spare, other);
    graph.deflate(*x);
    Block* product = x == &blocks[0] ? &blocks[1] : &blocks[0];
    graph.multiply(*x, 1, 0, nullptr, *product);
    const auto [ritz_values, rotation] = ritz(graph, *x, *product);
    values = ritz_values;
    graph.rotate(*x, rotation);
    graph.rotate(*product, rotation);
    if (greatest_residual(graph, *x, *product, values, dims) < kResidual) break;
    // What is below the least of the block is damped from now on.
    cut = std::clamp(values[width - 1].item<double>(), 0.0, 0.999999);
  }
  const at::Tensor all = at::from_blob(x->values.data(), {n, width}, at::kFloat);
  values = values.contiguous();
  const auto* v = values.const_data_ptr<double>();
  return {all.narrow(1, 0, dims).clone(at::MemoryFormat::Contiguous), {v, v + dims}};
}

}  // namespace flexae

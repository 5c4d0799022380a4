#include "analysis/clustering_scores.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "analysis/labels.h"
#include "core/base/error.h"

namespace flexae {
namespace {

/// More would take long to match, and mean nothing.
constexpr size_t kMostLabels = 4096;

/// How many points have each label and each class, labels × classes.
struct Contingency {
  std::vector<int64_t> counts;
  DenseLabels labels;
  DenseLabels classes;
  double total;

  [[nodiscard]] size_t rows() const { return labels.counts.size(); }
  [[nodiscard]] size_t columns() const { return classes.counts.size(); }
  [[nodiscard]] double at(size_t label, size_t of_class) const {
    return static_cast<double>(counts[label * columns() + of_class]);
  }
};

/// How many points each entry stands for.
std::vector<int64_t> read_counts(const at::Tensor& counts, int64_t entries) {
  if (!counts.defined()) return std::vector<int64_t>(static_cast<size_t>(entries), 1);
  if (counts.scalar_type() != at::kDouble || counts.numel() != entries) {
    throw Error(ErrorCode::kData, "expected as many counts as labels, of fp64");
  }
  const at::Tensor whole = counts.contiguous();
  std::vector<int64_t> read;
  for (int64_t i = 0; i < entries; ++i) {
    const double count = whole.const_data_ptr<double>()[i];
    if (!(count >= 1) || count != std::floor(count)) {
      throw Error(ErrorCode::kData,
                  "expected whole numbers of at least 1 for the counts of labels");
    }
    read.push_back(static_cast<int64_t>(count));
  }
  return read;
}

Contingency count_both(const at::Tensor& labels, const at::Tensor& classes,
                       const at::Tensor& counts) {
  if (!labels.defined() || labels.numel() == 0) {
    throw Error(ErrorCode::kData, "there are no labels to be scored: cluster some images first");
  }
  Contingency both;
  both.labels = read_labels(labels, "labels of clusters", labels.numel());
  both.classes = read_labels(classes, "classes", labels.numel());
  const std::vector<int64_t> points = read_counts(counts, labels.numel());
  both.total = static_cast<double>(std::accumulate(points.begin(), points.end(), int64_t{0}));
  if (std::max(both.rows(), both.columns()) > kMostLabels) {
    throw Error(ErrorCode::kData,
                "there are more than 4096 different labels or classes: score "
                "fewer clusters");
  }
  both.counts.resize(both.rows() * both.columns());
  std::fill(both.labels.counts.begin(), both.labels.counts.end(), 0);
  std::fill(both.classes.counts.begin(), both.classes.counts.end(), 0);
  for (size_t i = 0; i < points.size(); ++i) {
    const auto label = static_cast<size_t>(both.labels.labels[i]);
    const auto of_class = static_cast<size_t>(both.classes.labels[i]);
    both.counts[label * both.columns() + of_class] += points[i];
    both.labels.counts[label] += points[i];
    both.classes.counts[of_class] += points[i];
  }
  return both;
}

double accuracy_of(const Contingency& both) {
  const size_t n = std::max(both.rows(), both.columns());
  std::vector<double> costs(n * n);
  for (size_t r = 0; r < both.rows(); ++r) {
    for (size_t c = 0; c < both.columns(); ++c) costs[r * n + c] = -both.at(r, c);
  }
  const std::vector<int64_t> columns = match_rows(costs, static_cast<int64_t>(n));
  double matched = 0;
  for (size_t r = 0; r < n; ++r) matched -= costs[r * n + static_cast<size_t>(columns[r])];
  return matched / both.total;
}

double entropy_of(const std::vector<int64_t>& counts, double total) {
  double entropy = 0;
  for (const int64_t count : counts) {
    const double share = static_cast<double>(count) / total;
    entropy -= share * std::log(share);
  }
  return entropy;
}

double nmi_of(const Contingency& both) {
  // Neither says anything, and so they agree.
  if (both.rows() == 1 && both.columns() == 1) return 1;
  if (both.rows() == 1 || both.columns() == 1) return 0;
  double information = 0;
  for (size_t r = 0; r < both.rows(); ++r) {
    for (size_t c = 0; c < both.columns(); ++c) {
      const double count = both.at(r, c);
      if (count == 0) continue;
      const double independent = static_cast<double>(both.labels.counts[r]) *
                                 static_cast<double>(both.classes.counts[c]) / both.total;
      const double part = count / both.total * std::log(count / independent);
      // As scikit-learn: what is rounding alone is nothing.
      if (std::abs(part) >= std::numeric_limits<double>::epsilon()) information += part;
    }
  }
  information = std::max(information, 0.0);
  if (information == 0) return 0;
  return 2 * information /
         (entropy_of(both.labels.counts, both.total) + entropy_of(both.classes.counts, both.total));
}

double sum_of_squares(const std::vector<int64_t>& counts) {
  return std::accumulate(counts.begin(), counts.end(), 0.0, [](double sum, int64_t count) {
    return sum + static_cast<double>(count) * static_cast<double>(count);
  });
}

double ari_of(const Contingency& both) {
  // Ordered pairs of points: together in both partitions, in one alone, in neither.
  const double squares = sum_of_squares(both.counts);
  const double in_both = squares - both.total;
  const double in_labels = sum_of_squares(both.labels.counts) - squares;
  const double in_classes = sum_of_squares(both.classes.counts) - squares;
  const double in_none = both.total * both.total - in_labels - in_classes - squares;
  if (in_labels == 0 && in_classes == 0) return 1;
  return 2 * (in_both * in_none - in_labels * in_classes) /
         ((in_both + in_classes) * (in_classes + in_none) +
          (in_both + in_labels) * (in_labels + in_none));
}

double purity_of(const Contingency& both) {
  double pure = 0;
  for (size_t r = 0; r < both.rows(); ++r) {
    const auto row = both.counts.begin() + static_cast<int64_t>(r * both.columns());
    pure += static_cast<double>(*std::max_element(row, row + static_cast<int64_t>(both.columns())));
  }
  return pure / both.total;
}

}  // namespace

ClusteringScores clustering_scores(const at::Tensor& labels, const at::Tensor& classes,
                                   const at::Tensor& counts) {
  const Contingency both = count_both(labels, classes, counts);
  return {.accuracy = accuracy_of(both),
          .nmi = nmi_of(both),
          .ari = ari_of(both),
          .purity = purity_of(both)};
}

std::vector<int64_t> match_rows(const std::vector<double>& costs, int64_t n) {
  // Rows are added one by one. Each augments the matching along the cheapest path by reduced costs,
  // cost − row price − column price, which never become negative. Column and row n do not exist:
  // they are where a path begins.
  const auto size = static_cast<size_t>(n);
  std::vector<double> row_prices(size + 1);
  std::vector<double> column_prices(size + 1);
  std::vector<size_t> row_of(size + 1, size);
  std::vector<size_t> before(size + 1, size);
  for (size_t row = 0; row < size; ++row) {
    row_of[size] = row;
    size_t column = size;
    std::vector<double> least(size + 1, std::numeric_limits<double>::infinity());
    std::vector<char> used(size + 1, 0);
    do {
      used[column] = 1;
      const size_t at = row_of[column];
      double step = std::numeric_limits<double>::infinity();
      size_t next = size;
      for (size_t c = 0; c < size; ++c) {
        if (used[c] != 0) continue;
        const double reduced = costs[at * size + c] - row_prices[at] - column_prices[c];
        if (reduced < least[c]) {
          least[c] = reduced;
          before[c] = column;
        }
        if (least[c] < step) {
          step = least[c];
          next = c;
        }
      }
      for (size_t c = 0; c <= size; ++c) {
        if (used[c] != 0) {
          row_prices[row_of[c]] += step;
          column_prices[c] -= step;
        } else {
          least[c] -= step;
        }
      }
      column = next;
    } while (row_of[column] != size);
    // Back along the path.
    while (column != size) {
      row_of[column] = row_of[before[column]];
      column = before[column];
    }
  }
  std::vector<int64_t> columns(size);
  for (size_t c = 0; c < size; ++c) columns[row_of[c]] = static_cast<int64_t>(c);
  return columns;
}

}  // namespace flexae

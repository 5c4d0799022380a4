#include "analysis/centre_sums.h"

#include <algorithm>

#include "core/base/parallel.h"

namespace flexae {
namespace {

/// Points of one centre that a thread adds up before another may take over.
constexpr int64_t kEntriesAThread = 2048;

/// Entries of one centre that are added up together.
struct EntryRun {
  size_t centre;
  int64_t begin;
  int64_t end;
};

}  // namespace

CentreSums::CentreSums(int64_t centres, int64_t width)
    : width_(width),
      counts_(static_cast<size_t>(centres)),
      sums_(static_cast<size_t>(centres * width)) {}

void CentreSums::apply(const PointSet& points, const std::vector<CentreChange>& changes) {
  // By centre, each point in its order; ~point where it leaves.
  const size_t centres = counts_.size();
  std::vector<int64_t> begins(centres + 1);
  for (const CentreChange& change : changes) {
    if (change.from >= 0) ++begins[static_cast<size_t>(change.from) + 1];
    ++begins[static_cast<size_t>(change.to) + 1];
  }
  for (size_t c = 0; c < centres; ++c) begins[c + 1] += begins[c];
  std::vector<int64_t> entries(static_cast<size_t>(begins.back()));
  std::vector<int64_t> next(begins.begin(), begins.end() - 1);
  for (const CentreChange& change : changes) {
    if (change.from >= 0) {
      const auto from = static_cast<size_t>(change.from);
      entries[static_cast<size_t>(next[from]++)] = ~change.point;
      --counts_[from];
    }
    const auto to = static_cast<size_t>(change.to);
    entries[static_cast<size_t>(next[to]++)] = change.point;
    ++counts_[to];
  }
  std::vector<EntryRun> runs;
  for (size_t c = 0; c < centres; ++c) {
    for (int64_t begin = begins[c]; begin < begins[c + 1]; begin += kEntriesAThread) {
      runs.push_back({c, begin, std::min(begin + kEntriesAThread, begins[c + 1])});
    }
  }
  const auto width = static_cast<size_t>(width_);
  std::vector<double> parts(runs.size() * width);
  parallel_for(static_cast<int64_t>(runs.size()), [&](int64_t r, int) {
    const EntryRun& run = runs[static_cast<size_t>(r)];
    double* part = parts.data() + static_cast<size_t>(r) * width;
    for (int64_t e = run.begin; e < run.end; ++e) {
      const int64_t entry = entries[static_cast<size_t>(e)];
      if (entry >= 0) {
        const float* row = points.row(entry);
        for (size_t d = 0; d < width; ++d) part[d] += row[d];
      } else {
        const float* row = points.row(~entry);
        for (size_t d = 0; d < width; ++d) part[d] -= row[d];
      }
    }
  });
  for (size_t r = 0; r < runs.size(); ++r) {
    double* sum = sums_.data() + runs[r].centre * width;
    for (size_t d = 0; d < width; ++d) sum[d] += parts[r * width + d];
  }
  // What rounding has left of sums that are taken away again.
  for (size_t c = 0; c < centres; ++c) {
    if (counts_[c] == 0) std::fill_n(sums_.data() + c * width, width, 0.0);
  }
}

}  // namespace flexae

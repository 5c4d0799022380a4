#pragma once

#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

namespace flexae {

/// What is known of one setting. settings.h has them all.
struct Setting {
  const char* key;                 ///< Its name in JSON.
  const char* name;                ///< As users write it.
  std::vector<double> among = {};  ///< The only values there are, if any are given.
  /// Of a number or of each entry of a list.
  double least = -std::numeric_limits<double>::infinity();
  double most = std::numeric_limits<double>::infinity();
  bool above_least = false;  ///< `least` itself is too little,
  bool below_most = false;   ///< `most` itself too much.
  bool per_layer = false;    ///< A list of an entry for each convolution.
  bool later = false;        ///< Earlier models do not have it: theirs is the default.
  size_t most_entries = std::numeric_limits<size_t>::max();
  const char* expected = "";  ///< Completes "Expected … for name", where there are bounds.

  [[nodiscard]] bool allows(double value) const {
    for (const double one : among) {
      if (value == one) return true;
    }
    if (!among.empty() || !std::isfinite(value)) return false;
    return (above_least ? value > least : value >= least) &&
           (below_most ? value < most : value <= most);
  }
};

}  // namespace flexae

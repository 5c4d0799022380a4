#include "core/cpu/kernels/kernels.h"

#include <array>
#include <cstdlib>
#include <string>
#include <vector>

#include "core/base/error.h"

namespace flexae {
namespace {

struct NamedSet {
  const char* name;
  const Kernels* (*set)();
};

/// From the least to the best.
constexpr std::array<NamedSet, 4> kSets{{{"baseline", baseline_kernels},
                                         {"avx2", avx2_kernels},
                                         {"avx512", avx512_kernels},
                                         {"avx512bf16", avx512bf16_kernels}}};

/// "a, b, c or d", with `last` in the place of "or".
std::string listed(const std::vector<std::string>& names, const char* last) {
  std::string text = names.front();
  for (size_t i = 1; i < names.size(); ++i) {
    text += (i + 1 < names.size() ? ", " : std::string(" ") + last + " ") + names[i];
  }
  return text;
}

/// The value of FLEXAE_KERNELS, as it was when first asked; "" without it.
const std::string& asked_kernels() {
  static const std::string asked = [] {
    const char* value = std::getenv("FLEXAE_KERNELS");
    return std::string(value != nullptr ? value : "");
  }();
  return asked;
}

}  // namespace

const Kernels& choose_kernels(const char* name) {
  const std::string asked = name;
  const Kernels* best = nullptr;
  bool is_known = false;
  std::vector<std::string> known;
  std::vector<std::string> here;
  for (const NamedSet& entry : kSets) {
    known.emplace_back(entry.name);
    is_known = is_known || asked == entry.name;
    const Kernels* set = entry.set();
    if (set == nullptr) continue;
    if (asked == entry.name) return *set;
    here.emplace_back(entry.name);
    best = set;
  }
  // The baseline is everywhere.
  if (asked.empty() && best != nullptr) return *best;
  const std::string why =
      is_known ? "FLEXAE_KERNELS is " + asked + ", for which this processor lacks instructions"
               : "Expected FLEXAE_KERNELS to be " + listed(known, "or") + " but received '" +
                     asked + "'";
  throw Error(ErrorCode::kConfig, why + ".\nThis processor has " + listed(here, "and") +
                                      "; without FLEXAE_KERNELS the best of them is taken.");
}

const Kernels& kernels() {
  static const Kernels& chosen = choose_kernels(asked_kernels().c_str());
  return chosen;
}

bool kernels_are_named() {
  return !asked_kernels().empty();
}

}  // namespace flexae

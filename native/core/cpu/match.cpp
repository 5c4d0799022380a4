#include "core/cpu/match.h"

#include "core/layers/kinds.h"

namespace flexae {

StageMatch match_conv_stage(const std::vector<LayerSpec>& specs, size_t first) {
  StageMatch match;
  size_t i = first;
  const auto is = [&](size_t at, const LayerKind& kind) {
    return at < specs.size() && specs[at].is(kind);
  };
  // An upsampling that crops does not fold into the kernel.
  if (is(i, kinds::kUpsample) && is(i + 1, kinds::kConvTranspose) &&
      specs[i].out.h == 2 * specs[i].in.h && specs[i].out.w == 2 * specs[i].in.w) {
    match.upsample = &specs[i++];
  }
  if (!is(i, kinds::kConv) && !is(i, kinds::kConvTranspose)) return {};
  if (!is(i + 1, kinds::kBatchNorm)) return {};
  match.conv = &specs[i++];
  match.norm = &specs[i++];
  if (is(i, kinds::kPool)) match.pool = &specs[i++];
  match.length = i - first;
  return match;
}

}  // namespace flexae

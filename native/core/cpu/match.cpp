#include "core/cpu/match.h"

namespace flexae {

StageMatch match_conv_stage(const std::vector<LayerSpec>& specs, size_t first) {
  StageMatch match;
  size_t i = first;
  const auto is = [&](size_t at, LayerKind kind) {
    return at < specs.size() && specs[at].kind == kind;
  };
  // An upsampling that crops does not fold into the kernel.
  if (is(i, LayerKind::kUpsample) && is(i + 1, LayerKind::kConvTranspose) &&
      specs[i].out.h == 2 * specs[i].in.h && specs[i].out.w == 2 * specs[i].in.w) {
    match.upsample = &specs[i++];
  }
  if (!is(i, LayerKind::kConv) && !is(i, LayerKind::kConvTranspose)) return {};
  if (!is(i + 1, LayerKind::kBatchNorm)) return {};
  match.conv = &specs[i++];
  match.norm = &specs[i++];
  if (is(i, LayerKind::kPool)) match.pool = &specs[i++];
  match.length = i - first;
  return match;
}

}  // namespace flexae

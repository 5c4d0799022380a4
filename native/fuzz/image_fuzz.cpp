/// Any bytes as an image: a picture of the size asked for, or a reason, and then nothing written.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "data/decode.h"

namespace {

constexpr uint8_t kUntouched = 0xa5;

void decode(const uint8_t* data, size_t size, const flexae::DecodeSpec& spec) {
  // Just as long as it should be: what is written beyond is found by the sanitizer.
  std::vector<uint8_t> out(static_cast<size_t>(spec.bytes()), kUntouched);
  const auto reason = flexae::decode_bytes({data, size}, spec, out.data());
  if (!reason) return;
  const bool untouched =
      std::all_of(out.begin(), out.end(), [](uint8_t byte) { return byte == kUntouched; });
  if (reason->empty() || !untouched) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using flexae::Interpolation;
  // So few that whoever takes memory for more is noticed by the limit on single allocations.
  constexpr int64_t kMaxPixels = 1 << 16;
  decode(data, size, {13, 9, 1, Interpolation::kArea, kMaxPixels});
  decode(data, size, {7, 21, 3, Interpolation::kNearest, kMaxPixels});
  return 0;
}

/// Any bytes as a checkpoint: as they are, and with the checksum made right, so that what is behind
/// it is met as well.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "core/base/error.h"
#include "core/files/crc32c.h"
#include "core/files/safetensors.h"
#include "core/train/checkpoint/checkpoint.h"

namespace {

/// Puts the CRC-32C of everything into the entry `checksum`, if there is one.
void seal(std::string& file) {
  constexpr std::string_view kEntry = "\"checksum\":\"";
  constexpr size_t kDigits = 8;
  const size_t found = file.find(kEntry);
  if (found == std::string::npos || file.size() - found < kEntry.size() + kDigits) return;
  const size_t at = found + kEntry.size();
  file.replace(at, kDigits, kDigits, '0');
  char digits[kDigits + 1];
  std::snprintf(digits, sizeof digits, "%08x", flexae::crc32c(file));
  file.replace(at, kDigits, digits);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string file(reinterpret_cast<const char*>(data), size);
  try {
    size_t bytes = 0;
    for (const auto& [name, tensor] : flexae::parse_tensor_file(file, "fuzz", false).tensors) {
      bytes += tensor.nbytes();
    }
    if (bytes > size) std::abort();
  } catch (const flexae::Error&) {
  }
  seal(file);
  try {
    const flexae::Checkpoint checkpoint = flexae::parse_checkpoint(file, "fuzz");
    const auto& state = checkpoint.snapshot.state;
    if (static_cast<int64_t>(state.history.size()) != state.epoch) std::abort();
  } catch (const flexae::Error&) {
  }
  return 0;
}

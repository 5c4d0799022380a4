/// Any bytes as an exported model: an archive whose records are read as data.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "core/base/error.h"
#include "core/files/crc32c.h"
#include "core/model/model_file.h"

namespace {

/// Makes the checksum at the end of a file right, if it has one.
bool seal(std::string& file) {
  constexpr std::string_view kMark = "flexible-autoencoder crc32c ";
  constexpr size_t kDigits = 8;
  // Zip's last record is in front of it.
  if (file.size() < 22 + kMark.size() + kDigits) return false;
  const size_t at = file.size() - kDigits;
  if (std::string_view(file).substr(at - kMark.size(), kMark.size()) != kMark) return false;
  file.replace(at, kDigits, kDigits, '0');
  char digits[kDigits + 1];
  std::snprintf(digits, sizeof digits, "%08x", flexae::crc32c(file));
  file.replace(at, kDigits, digits);
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string file(reinterpret_cast<const char*>(data), size);
  const bool sealed = seal(file);
  const flexae::MemoryBytes bytes_of_file(file);
  if (sealed && !flexae::is_sealed(bytes_of_file, "fuzz")) std::abort();
  try {
    size_t bytes = 0;
    for (const auto& [name, weight] : flexae::parse_model_file(bytes_of_file, "fuzz").weights) {
      bytes += weight.nbytes();
    }
    // The same record may not be had twice, so all fit into the file.
    if (bytes > size) std::abort();
  } catch (const flexae::Error&) {
  }
  return 0;
}

#include "core/cuda/cubin_cache.h"

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <span>

#include "core/base/error.h"
#include "core/files/atomic_file.h"
#include "core/files/crc32c.h"

namespace flexae::cuda {
namespace {

std::filesystem::path cache_folder() {
  const auto set = [](const char* name) -> std::string {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
  };
  if (const std::string own = set("FLEXAE_CACHE"); !own.empty()) return own;
  const std::string name = "flexible-autoencoder";
  if (const std::string xdg = set("XDG_CACHE_HOME"); !xdg.empty()) {
    return std::filesystem::path(xdg) / name;
  }
  if (const std::string home = set("HOME"); !home.empty()) {
    return std::filesystem::path(home) / ".cache" / name;
  }
  return {};
}

/// FNV-1a (Fowler, Noll, Vo): a name for the file. The key itself is in it.
uint64_t name_of(std::string_view key) {
  uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : key) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3ULL;
  return hash;
}

std::filesystem::path file_of(std::string_view key) {
  std::array<char, 32> name{};
  (void)std::snprintf(name.data(), name.size(), "%016llx.cubin",
                      static_cast<unsigned long long>(name_of(key)));
  const std::filesystem::path folder = cache_folder();
  return folder.empty() ? folder : folder / "kernels" / name.data();
}

/// A file is a checksum (CRC-32C) of the rest, the key's length, the key, and the cubin.
constexpr size_t kHeader = sizeof(uint32_t) + sizeof(uint64_t);

}  // namespace

std::optional<std::string> read_cubin(std::string_view key) {
  const std::filesystem::path file = file_of(key);
  std::error_code ignored;
  if (file.empty() || !std::filesystem::exists(file, ignored)) return std::nullopt;
  std::string content;
  try {
    content = read_file(file.string());
  } catch (const Error&) {
    return std::nullopt;
  }
  if (content.size() < kHeader + key.size()) return std::nullopt;
  uint32_t checksum = 0;
  uint64_t length = 0;
  std::memcpy(&checksum, content.data(), sizeof checksum);
  std::memcpy(&length, content.data() + sizeof checksum, sizeof length);
  const std::string_view rest = std::string_view(content).substr(sizeof checksum);
  if (crc32c(rest) != checksum || length != key.size() ||
      std::string_view(content).substr(kHeader, key.size()) != key) {
    return std::nullopt;
  }
  return content.substr(kHeader + key.size());
}

void keep_cubin(std::string_view key, std::string_view cubin) {
  const std::filesystem::path file = file_of(key);
  if (file.empty()) return;
  std::string rest(sizeof(uint64_t), '\0');
  const uint64_t length = key.size();
  std::memcpy(rest.data(), &length, sizeof length);
  rest.append(key).append(cubin);
  const uint32_t checksum = crc32c(rest);
  std::error_code ignored;
  std::filesystem::create_directories(file.parent_path(), ignored);
  try {
    write_file_atomic(file.string(), {std::as_bytes(std::span(&checksum, 1)),
                                      std::as_bytes(std::span(rest.data(), rest.size()))});
  } catch (const Error&) {
    // The next program compiles again.
  }
}

}  // namespace flexae::cuda

#pragma once

#include <cstdio>
#include <string>

namespace flexae::bench {

/// As printf writes it.
inline std::string formatted(const char* format, double value) {
  char text[64];
  (void)std::snprintf(text, sizeof text, format, value);
  return text;
}

}  // namespace flexae::bench

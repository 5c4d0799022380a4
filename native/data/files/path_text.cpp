#include "data/files/path_text.h"

#include <cstddef>
#include <cstdint>
#include <optional>

namespace flexae {
namespace {

constexpr char16_t kEscape = 0xdc00;  // plus the byte

/// A code point and the bytes it takes.
struct Character {
  char32_t code;
  size_t length;
};

/// The character that begins at `at`, if one does: no overlong form, no surrogate.
std::optional<Character> character_at(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[at + i]); };
  const uint8_t lead = byte(0);
  if (lead < 0x80) return Character{lead, 1};
  size_t length = 0;
  char32_t code = 0;
  char32_t least = 0;
  if (lead >= 0xc0 && lead < 0xe0) {
    length = 2;
    code = lead & 0x1fU;
    least = 0x80;
  } else if (lead >= 0xe0 && lead < 0xf0) {
    length = 3;
    code = lead & 0x0fU;
    least = 0x800;
  } else if (lead >= 0xf0 && lead < 0xf8) {
    length = 4;
    code = lead & 0x07U;
    least = 0x10000;
  } else {
    return std::nullopt;
  }
  if (text.size() - at < length) return std::nullopt;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return std::nullopt;
    code = code << 6 | (byte(i) & 0x3fU);
  }
  if (code < least || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return std::nullopt;
  return Character{code, length};
}

bool is_control(char32_t code) {
  return code < 0x20 || (code >= 0x7f && code < 0xa0);
}

void append_escaped(std::string& text, uint8_t byte) {
  static constexpr char kHex[] = "0123456789abcdef";
  text += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
}

void append_utf8(std::string& text, char32_t code) {
  const auto tail = [&](int shift) { text += static_cast<char>(0x80 | (code >> shift & 0x3f)); };
  if (code < 0x80) {
    text += static_cast<char>(code);
  } else if (code < 0x800) {
    text += static_cast<char>(0xc0 | code >> 6);
    tail(0);
  } else if (code < 0x10000) {
    text += static_cast<char>(0xe0 | code >> 12);
    tail(6);
    tail(0);
  } else {
    text += static_cast<char>(0xf0 | code >> 18);
    tail(12);
    tail(6);
    tail(0);
  }
}

}  // namespace

std::string shown_path(std::string_view path) {
  std::string text;
  text.reserve(path.size());
  for (size_t at = 0; at < path.size();) {
    const auto character = character_at(path, at);
    const size_t length = character ? character->length : 1;
    if (path[at] == '\n') {
      text += "\\n";
    } else if (!character || is_control(character->code)) {
      for (size_t i = 0; i < length; ++i) append_escaped(text, static_cast<uint8_t>(path[at + i]));
    } else {
      text += path.substr(at, length);
    }
    at += length;
  }
  return text;
}

std::u16string path_to_utf16(std::string_view path) {
  std::u16string text;
  text.reserve(path.size());
  for (size_t at = 0; at < path.size();) {
    const auto character = character_at(path, at);
    if (!character) {
      text += static_cast<char16_t>(kEscape + static_cast<uint8_t>(path[at++]));
      continue;
    }
    const char32_t code = character->code;
    if (code < 0x10000) {
      text += static_cast<char16_t>(code);
    } else {
      text += static_cast<char16_t>(0xd7c0 + (code >> 10));
      text += static_cast<char16_t>(0xdc00 + (code & 0x3ff));
    }
    at += character->length;
  }
  return text;
}

std::string path_from_utf16(std::u16string_view text) {
  std::string path;
  path.reserve(text.size());
  for (size_t at = 0; at < text.size(); ++at) {
    const char16_t unit = text[at];
    const bool pair = unit >= 0xd800 && unit < 0xdc00 && at + 1 < text.size() &&
                      text[at + 1] >= 0xdc00 && text[at + 1] < 0xe000;
    if (pair) {
      append_utf8(path, 0x10000 + ((unit - char32_t{0xd800}) << 10) + (text[++at] - 0xdc00));
    } else if (unit >= 0xdc80 && unit <= 0xdcff) {
      path += static_cast<char>(unit - kEscape);
    } else if (unit >= 0xd800 && unit < 0xe000) {
      append_utf8(path, 0xfffd);
    } else {
      append_utf8(path, unit);
    }
  }
  return path;
}

}  // namespace flexae

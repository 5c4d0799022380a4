#pragma once

#include <string>
#include <string_view>

namespace flexae {

// The system takes any bytes but NUL for a path; people and JavaScript take Unicode.

/// A path for messages: on one line and in UTF-8, whatever bytes it holds. A line feed becomes
/// `\n`; other control characters, and bytes that are no UTF-8, become `\xNN`.
[[nodiscard]] std::string shown_path(std::string_view path);

/// A path as UTF-16 from which the same bytes come back. Each byte that is no UTF-8 becomes a lone
/// surrogate, U+DC80…U+DCFF, as in Python (PEP 383).
[[nodiscard]] std::u16string path_to_utf16(std::string_view path);

/// The inverse. Other lone surrogates become U+FFFD.
[[nodiscard]] std::string path_from_utf16(std::u16string_view text);

}  // namespace flexae

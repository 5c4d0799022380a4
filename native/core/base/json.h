#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace flexae {

/// A JSON value (RFC 8259). The core reads small documents from files that strangers may have
/// made: the parser bounds depth and throws Error(kModel) for everything that is not JSON.
class Json {
 public:
  using Array = std::vector<Json>;
  using Object = std::map<std::string, Json>;

  Json() = default;
  Json(bool value) : value_(value) {}    // NOLINT(google-explicit-constructor)
  Json(double value) : value_(value) {}  // NOLINT(google-explicit-constructor)
  Json(int64_t value)
      : value_(static_cast<double>(value)) {}              // NOLINT(google-explicit-constructor)
  Json(std::string value) : value_(std::move(value)) {}    // NOLINT(google-explicit-constructor)
  Json(const char* value) : value_(std::string(value)) {}  // NOLINT(google-explicit-constructor)
  Json(Array value) : value_(std::move(value)) {}          // NOLINT(google-explicit-constructor)
  Json(Object value) : value_(std::move(value)) {}         // NOLINT(google-explicit-constructor)

  static Json parse(std::string_view text);
  [[nodiscard]] std::string dump() const;

  [[nodiscard]] bool is_object() const { return std::holds_alternative<Object>(value_); }

  /// Each throws Error(kModel) if the value is of another type.
  [[nodiscard]] bool boolean() const;
  [[nodiscard]] double number() const;
  /// A number that is an integer within ±2⁵³.
  [[nodiscard]] int64_t integer() const;
  [[nodiscard]] const std::string& string() const;
  [[nodiscard]] const Array& array() const;
  [[nodiscard]] const Object& object() const;

  /// A member of an object; throws Error(kModel) naming the key if it is missing.
  [[nodiscard]] const Json& at(const std::string& key) const;
  [[nodiscard]] bool has(const std::string& key) const;

 private:
  std::variant<std::nullptr_t, bool, double, std::string, Array, Object> value_ = nullptr;
};

}  // namespace flexae

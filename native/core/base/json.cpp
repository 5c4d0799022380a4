#include "core/base/json.h"

#include <charconv>
#include <cmath>
#include <cstdio>

#include "core/base/error.h"

namespace flexae {
namespace {

[[noreturn]] void fail(const std::string& what) {
  throw Error(ErrorCode::kModel, "not valid JSON: " + what);
}

void append_utf8(std::string& out, uint32_t code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xc0 | (code >> 6));
    out += static_cast<char>(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    out += static_cast<char>(0xe0 | (code >> 12));
    out += static_cast<char>(0x80 | ((code >> 6) & 0x3f));
    out += static_cast<char>(0x80 | (code & 0x3f));
  } else {
    out += static_cast<char>(0xf0 | (code >> 18));
    out += static_cast<char>(0x80 | ((code >> 12) & 0x3f));
    out += static_cast<char>(0x80 | ((code >> 6) & 0x3f));
    out += static_cast<char>(0x80 | (code & 0x3f));
  }
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Json document() {
    Json value = parse_value(0);
    skip_space();
    if (position_ != text_.size()) fail("something follows the document");
    return value;
  }

 private:
  static constexpr int kMaxDepth = 64;

  void skip_space() {
    while (position_ < text_.size() &&
           std::string_view(" \t\r\n").find(text_[position_]) != std::string_view::npos) {
      ++position_;
    }
  }

  [[nodiscard]] char peek() const { return position_ < text_.size() ? text_[position_] : '\0'; }

  bool take(char c) {
    if (peek() != c || position_ >= text_.size()) return false;
    ++position_;
    return true;
  }

  void expect(char c) {
    skip_space();
    if (!take(c)) fail(std::string("expected '") + c + "'");
  }

  bool word(std::string_view literal) {
    if (text_.substr(position_, literal.size()) != literal) return false;
    position_ += literal.size();
    return true;
  }

  Json parse_value(int depth) {
    if (depth > kMaxDepth) fail("nested too deep");
    skip_space();
    if (peek() == '{') return parse_object(depth);
    if (peek() == '[') return parse_array(depth);
    if (peek() == '"') return parse_string();
    if (word("true")) return true;
    if (word("false")) return false;
    if (word("null")) return {};
    return parse_number();
  }

  Json parse_object(int depth) {
    expect('{');
    Json::Object object;
    skip_space();
    if (take('}')) return object;
    do {
      skip_space();
      if (peek() != '"') fail("expected a name");
      std::string key = parse_string();
      expect(':');
      if (!object.emplace(std::move(key), parse_value(depth + 1)).second) fail("a name twice");
      skip_space();
    } while (take(','));
    expect('}');
    return object;
  }

  Json parse_array(int depth) {
    expect('[');
    Json::Array array;
    skip_space();
    if (take(']')) return array;
    do {
      array.push_back(parse_value(depth + 1));
      skip_space();
    } while (take(','));
    expect(']');
    return array;
  }

  Json parse_number() {
    double value = 0;
    const char* begin = text_.data() + position_;
    const char* end = text_.data() + text_.size();
    if (begin != end && (*begin == '-' || (*begin >= '0' && *begin <= '9'))) {
      const auto [stop, error] = std::from_chars(begin, end, value);
      if (error == std::errc() && std::isfinite(value)) {
        position_ += static_cast<size_t>(stop - begin);
        return value;
      }
    }
    fail("expected a value");
  }

  uint32_t parse_hex4() {
    uint32_t code = 0;
    if (position_ + 4 > text_.size()) fail("a cut-off \\u");
    const char* begin = text_.data() + position_;
    const auto [stop, error] = std::from_chars(begin, begin + 4, code, 16);
    if (error != std::errc() || stop != begin + 4) fail("a bad \\u");
    position_ += 4;
    return code;
  }

  std::string parse_string() {
    expect('"');
    std::string out;
    while (true) {
      if (position_ >= text_.size()) fail("a string without end");
      const char c = text_[position_++];
      if (c == '"') return out;
      if (static_cast<unsigned char>(c) < 0x20) fail("a control character in a string");
      if (c != '\\') {
        out += c;
        continue;
      }
      const char escape = peek();
      ++position_;
      switch (escape) {
        case '"':
        case '\\':
        case '/':
          out += escape;
          break;
        case 'b':
          out += '\b';
          break;
        case 'f':
          out += '\f';
          break;
        case 'n':
          out += '\n';
          break;
        case 'r':
          out += '\r';
          break;
        case 't':
          out += '\t';
          break;
        case 'u': {
          uint32_t code = parse_hex4();
          if (code >= 0xd800 && code < 0xdc00) {
            if (!word("\\u")) fail("half a surrogate pair");
            const uint32_t low = parse_hex4();
            if (low < 0xdc00 || low > 0xdfff) fail("half a surrogate pair");
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
          }
          append_utf8(out, code);
          break;
        }
        default:
          fail("an unknown escape");
      }
    }
  }

  std::string_view text_;
  size_t position_ = 0;
};

void dump_string(const std::string& text, std::string& out) {
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char buffer[8];
      std::snprintf(buffer, sizeof buffer, "\\u%04x", static_cast<unsigned>(c));
      out += buffer;
    } else {
      out += c;
    }
  }
  out += '"';
}

template <typename T, typename V>
const T& get(const V& value, const char* what) {
  const T* typed = std::get_if<T>(&value);
  if (typed == nullptr) throw Error(ErrorCode::kModel, std::string("expected ") + what);
  return *typed;
}

}  // namespace

Json Json::parse(std::string_view text) {
  return Parser(text).document();
}

std::string Json::dump() const {
  std::string out;
  if (std::holds_alternative<std::nullptr_t>(value_)) {
    out = "null";
  } else if (const auto* flag = std::get_if<bool>(&value_)) {
    out = *flag ? "true" : "false";
  } else if (const auto* number = std::get_if<double>(&value_)) {
    char buffer[32];
    const auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, *number);
    out.assign(buffer, end);
  } else if (const auto* text = std::get_if<std::string>(&value_)) {
    dump_string(*text, out);
  } else if (const auto* array = std::get_if<Array>(&value_)) {
    out = "[";
    for (const Json& item : *array) {
      if (out.size() > 1) out += ',';
      out += item.dump();
    }
    out += ']';
  } else {
    out = "{";
    for (const auto& [key, item] : std::get<Object>(value_)) {
      if (out.size() > 1) out += ',';
      dump_string(key, out);
      out += ':';
      out += item.dump();
    }
    out += '}';
  }
  return out;
}

bool Json::boolean() const {
  return get<bool>(value_, "true or false");
}
double Json::number() const {
  return get<double>(value_, "a number");
}
const std::string& Json::string() const {
  return get<std::string>(value_, "a string");
}
const Json::Array& Json::array() const {
  return get<Array>(value_, "a list");
}
const Json::Object& Json::object() const {
  return get<Object>(value_, "an object");
}

int64_t Json::integer() const {
  constexpr double kExact = 9007199254740992.0;
  const double value = number();
  if (value != std::floor(value) || std::abs(value) > kExact) {
    throw Error(ErrorCode::kModel, "expected an integer");
  }
  return static_cast<int64_t>(value);
}

const Json& Json::at(const std::string& key) const {
  const auto found = object().find(key);
  if (found == object().end()) throw Error(ErrorCode::kModel, "'" + key + "' is missing");
  return found->second;
}

bool Json::has(const std::string& key) const {
  return is_object() && object().contains(key);
}

}  // namespace flexae

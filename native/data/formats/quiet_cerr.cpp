#include "data/formats/quiet_cerr.h"

#include <iostream>
#include <streambuf>

namespace flexae {
namespace {

thread_local int quiet = 0;

/// Stands before the buffer of std::cerr.
class Filter : public std::streambuf {
 public:
  Filter() : target_(std::cerr.rdbuf(this)) {}
  ~Filter() override {
    // Whoever put another buffer there meanwhile has that one left.
    if (std::cerr.rdbuf() == this) std::cerr.rdbuf(target_);
  }
  Filter(const Filter&) = delete;
  Filter& operator=(const Filter&) = delete;

 protected:
  int_type overflow(int_type character) override {
    if (traits_type::eq_int_type(character, traits_type::eof())) return 0;
    return quiet > 0 ? character : target_->sputc(traits_type::to_char_type(character));
  }
  std::streamsize xsputn(const char* text, std::streamsize size) override {
    return quiet > 0 ? size : target_->sputn(text, size);
  }
  int sync() override { return quiet > 0 ? 0 : target_->pubsync(); }

 private:
  std::streambuf* target_;
};

}  // namespace

QuietCerr::QuietCerr() {
  static const Filter kFilter;
  ++quiet;
}

QuietCerr::~QuietCerr() {
  --quiet;
}

}  // namespace flexae

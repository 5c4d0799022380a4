#include "data/formats/bmp.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <utility>

#include <opencv2/core.hpp>

#include "data/formats/byte_reader.h"

namespace flexae {
namespace {

constexpr size_t kFileHeader = 14;

enum Compression : uint64_t { kNone = 0, kRuns8 = 1, kRuns4 = 2, kMasks = 3, kAlphaMasks = 6 };

using Color = std::array<uint8_t, 3>;  // blue, green, red

/// One sample of a pixel of 16 or 32 bits.
struct Sample {
  uint32_t mask = 0;
  int shift = 0;
  /// Whether its bits become the upper ones of a byte; else it is scaled by its maximum.
  bool upper = false;

  [[nodiscard]] uint8_t of(uint32_t pixel) const {
    const uint32_t value = (pixel & mask) >> shift;
    const uint32_t most = mask >> shift;
    if (most == 255) return static_cast<uint8_t>(value);
    if (upper) return static_cast<uint8_t>(value << (8 - std::bit_width(most)));
    if (most == 0) return 0;
    return static_cast<uint8_t>((uint64_t{value} * 255 + most / 2) / most);
  }
};

/// What a header says, checked against the length of the file where rows have a fixed length.
struct Layout {
  int64_t width = 0;
  int64_t height = 0;
  bool top_down = false;
  uint64_t depth = 0;
  uint64_t compression = kNone;
  size_t pixels = 0;  // where they begin
  size_t palette = 0;
  size_t palette_colors = 0;
  size_t palette_entry = 4;
  std::array<Sample, 3> samples{};  // blue, green, red

  [[nodiscard]] bool runs() const { return compression == kRuns4 || compression == kRuns8; }
  /// Bytes of a row that is no runs.
  [[nodiscard]] uint64_t row_bytes() const {
    return (static_cast<uint64_t>(width) * depth + 31) / 32 * 4;
  }
};

// Masks as they follow the 40 bytes of the common header, whether that ends there or not.
bool read_masks(const ByteReader& reader, Layout& layout) {
  const bool deep = layout.depth == 32;
  std::array<uint64_t, 3> masks = deep ? std::array<uint64_t, 3>{0xff, 0xff00, 0xff0000}
                                       : std::array<uint64_t, 3>{0x1f, 0x3e0, 0x7c00};
  if (layout.compression != kNone) {
    std::array<uint64_t, 3> given{};
    for (size_t i = 0; i < 3; ++i) {
      const auto mask = reader.get(kFileHeader + 40 + 4 * (2 - i), 4);
      if (!mask || *mask >> layout.depth != 0) return false;
      given[i] = *mask;
    }
    // Some writers name the kind but no masks.
    if (given != std::array<uint64_t, 3>{}) masks = given;
  }
  const bool usual =
      !deep && masks[0] == 0x1f &&
      ((masks[1] == 0x3e0 && masks[2] == 0x7c00) || (masks[1] == 0x7e0 && masks[2] == 0xf800));
  for (size_t i = 0; i < 3; ++i) {
    const auto mask = static_cast<uint32_t>(masks[i]);
    const int shift = mask == 0 ? 0 : std::countr_zero(mask);
    const uint32_t most = mask >> shift;
    if ((most & (most + 1)) != 0) return false;  // with gaps
    layout.samples[i] = {mask, shift, usual};
  }
  return true;
}

bool kind_is_known(const Layout& layout) {
  switch (layout.compression) {
    case kNone:
      return layout.depth == 1 || layout.depth == 2 || layout.depth == 4 || layout.depth == 8 ||
             layout.depth == 16 || layout.depth == 24 || layout.depth == 32;
    case kRuns8:
      return layout.depth == 8;
    case kRuns4:
      return layout.depth == 4;
    case kMasks:
    case kAlphaMasks:
      return layout.depth == 16 || layout.depth == 32;
    default:
      return false;
  }
}

// Returns why there is no layout, or nullptr.
const char* read_layout(Bytes bytes, Layout& layout) {
  const ByteReader reader(bytes, false);
  const auto pixels = reader.get(10, 4);
  const auto header_size = reader.get(kFileHeader, 4);
  if (!pixels || !header_size) return "truncated";
  const bool core = *header_size == 12;
  if (!core && *header_size < 16) return "corrupt BMP (header)";
  if (*header_size > bytes.size() - kFileHeader) return "truncated";
  // A header may end early: what it leaves out is 0.
  const auto field = [&](size_t at, unsigned size) {
    return at + size <= *header_size ? reader.get(kFileHeader + at, size).value_or(0) : 0;
  };
  layout.width = core ? static_cast<int64_t>(field(4, 2)) : static_cast<int32_t>(field(4, 4));
  layout.height = core ? static_cast<int64_t>(field(6, 2)) : static_cast<int32_t>(field(8, 4));
  layout.depth = core ? field(10, 2) : field(14, 2);
  layout.compression = core ? uint64_t{kNone} : field(16, 4);
  // A negative height means rows from top to bottom.
  layout.top_down = layout.height < 0;
  if (layout.top_down) layout.height = -layout.height;
  if (layout.width < 1 || layout.height < 1 || layout.depth > 32) return "corrupt BMP (header)";
  if (*pixels > bytes.size()) return "truncated";
  layout.pixels = *pixels;
  if (layout.pixels < kFileHeader + *header_size) return "corrupt BMP (header)";
  if (!layout.runs() && kind_is_known(layout) &&
      layout.row_bytes() * static_cast<uint64_t>(layout.height) > bytes.size() - layout.pixels) {
    return "truncated";
  }

  layout.palette = kFileHeader + *header_size;
  layout.palette_entry = core ? 3 : 4;
  if (layout.depth <= 8) {
    const uint64_t most = uint64_t{1} << layout.depth;
    const uint64_t used = core ? 0 : field(32, 4);
    layout.palette_colors = used == 0 ? most : std::min(used, most);
  } else if ((layout.depth == 16 || layout.depth == 32) && kind_is_known(layout) &&
             !read_masks(reader, layout)) {
    return "corrupt BMP (masks)";
  }
  return nullptr;
}

using Palette = std::array<Color, 256>;

// Colours that the file does not have are black.
Palette read_palette(Bytes bytes, const Layout& layout) {
  Palette palette{};
  const size_t there = (bytes.size() - layout.palette) / layout.palette_entry;
  for (size_t i = 0; i < std::min(layout.palette_colors, there); ++i) {
    std::memcpy(palette[i].data(), bytes.data() + layout.palette + i * layout.palette_entry, 3);
  }
  return palette;
}

/// Where a picture's pixels go, counted from the first row that the file has.
class Canvas {
 public:
  Canvas(const Layout& layout, cv::Mat& pixels) : layout_(layout), pixels_(pixels) {}

  [[nodiscard]] uint8_t* row(int64_t y) const {
    return pixels_.ptr<uint8_t>(static_cast<int>(layout_.top_down ? y : layout_.height - 1 - y));
  }

 private:
  const Layout& layout_;
  cv::Mat& pixels_;
};

void read_palette_rows(Bytes bytes, const Layout& layout, const Canvas& canvas) {
  const Palette palette = read_palette(bytes, layout);
  const auto depth = static_cast<unsigned>(layout.depth);
  const unsigned mask = (1U << depth) - 1;
  for (int64_t y = 0; y < layout.height; ++y) {
    const uint8_t* from =
        bytes.data() + layout.pixels + layout.row_bytes() * static_cast<size_t>(y);
    uint8_t* to = canvas.row(y);
    if (depth == 8) {
      for (int64_t x = 0; x < layout.width; ++x, ++from, to += 3) {
        std::memcpy(to, palette[*from].data(), 3);
      }
      continue;
    }
    unsigned left = 8;  // bits of the byte at `from`
    for (int64_t x = 0; x < layout.width; ++x, to += 3) {
      left -= depth;
      std::memcpy(to, palette[*from >> left & mask].data(), 3);
      if (left == 0) {
        left = 8;
        ++from;
      }
    }
  }
}

// Samples of 32 bits that are whole bytes, as most are.
bool has_byte_samples(const Layout& layout) {
  return layout.depth == 32 &&
         std::all_of(layout.samples.begin(), layout.samples.end(), [](const Sample& sample) {
           return sample.mask >> sample.shift == 255 && sample.shift % 8 == 0;
         });
}

void read_color_rows(Bytes bytes, const Layout& layout, const Canvas& canvas) {
  const size_t pixel_bytes = layout.depth / 8;
  const bool byte_samples = has_byte_samples(layout);
  const auto& [blue, green, red] = layout.samples;
  for (int64_t y = 0; y < layout.height; ++y) {
    const uint8_t* from =
        bytes.data() + layout.pixels + layout.row_bytes() * static_cast<size_t>(y);
    uint8_t* to = canvas.row(y);
    if (layout.depth == 24) {
      std::memcpy(to, from, static_cast<size_t>(layout.width) * 3);
      continue;
    }
    if (byte_samples) {
      const std::array<int, 3> places{blue.shift / 8, green.shift / 8, red.shift / 8};
      for (int64_t x = 0; x < layout.width; ++x, from += 4, to += 3) {
        to[0] = from[places[0]];
        to[1] = from[places[1]];
        to[2] = from[places[2]];
      }
      continue;
    }
    for (int64_t x = 0; x < layout.width; ++x, from += pixel_bytes, to += 3) {
      uint32_t pixel = from[0] | static_cast<uint32_t>(from[1]) << 8;
      if (pixel_bytes == 4) {
        pixel |= static_cast<uint32_t>(from[2]) << 16 | static_cast<uint32_t>(from[3]) << 24;
      }
      to[0] = blue.of(pixel);
      to[1] = green.of(pixel);
      to[2] = red.of(pixel);
    }
  }
}

/// Runs of pixels of one colour (two in turn with 4 bits), stretches of others, and jumps.
class Runs {
 public:
  Runs(Bytes bytes, const Layout& layout, const Canvas& canvas)
      : stream_(bytes.subspan(layout.pixels)),
        layout_(layout),
        canvas_(canvas),
        palette_(read_palette(bytes, layout)) {}

  /// Returns why they are no picture, or nullptr.
  const char* read() {
    for (int64_t y = 0; y < layout_.height; ++y) fill(y);
    // The last row needs no end.
    while (y_ < layout_.height - 1 || (y_ < layout_.height && x_ < layout_.width)) {
      if (left() < 2) return "truncated";
      const unsigned first = stream_[at_];
      const unsigned second = stream_[at_ + 1];
      at_ += 2;
      if (first > 0) {
        if (!run(first, second)) return kBeyond;
      } else if (second > 2) {
        const size_t size = (second * layout_.depth + 15) / 16 * 2;
        if (left() < size) return "truncated";
        if (!stretch(second)) return kBeyond;
        at_ += size;
      } else if (second == 0) {
        x_ = 0;
        ++y_;
      } else if (second == 1) {
        return nullptr;
      } else {
        if (left() < 2) return "truncated";
        x_ += stream_[at_];
        y_ += stream_[at_ + 1];
        at_ += 2;
        if (x_ > layout_.width) return kBeyond;
      }
    }
    return nullptr;
  }

 private:
  static constexpr const char* kBeyond = "corrupt BMP (runs beyond the picture)";

  [[nodiscard]] size_t left() const { return stream_.size() - at_; }

  void fill(int64_t y) {
    uint8_t* to = canvas_.row(y);
    for (int64_t x = 0; x < layout_.width; ++x, to += 3) std::memcpy(to, palette_[0].data(), 3);
  }

  // Room for `count` pixels, in the next row if this one is full; nullptr if there is none.
  uint8_t* room(unsigned count) {
    if (x_ == layout_.width) {
      x_ = 0;
      ++y_;
    }
    if (y_ >= layout_.height || count > layout_.width - x_) return nullptr;
    uint8_t* to = canvas_.row(y_) + x_ * 3;
    x_ += count;
    return to;
  }

  bool run(unsigned count, unsigned value) {
    uint8_t* to = room(count);
    if (to == nullptr) return false;
    const bool narrow = layout_.depth == 4;
    const std::array<unsigned, 2> colors{narrow ? value >> 4 : value, narrow ? value & 15 : value};
    for (unsigned i = 0; i < count; ++i, to += 3) {
      std::memcpy(to, palette_[colors[i % 2]].data(), 3);
    }
    return true;
  }

  bool stretch(unsigned count) {
    uint8_t* to = room(count);
    if (to == nullptr) return false;
    for (unsigned i = 0; i < count; ++i, to += 3) {
      const unsigned color = layout_.depth == 8 ? stream_[at_ + i]
                             : i % 2 == 0       ? stream_[at_ + i / 2] >> 4
                                                : stream_[at_ + i / 2] & 15;
      std::memcpy(to, palette_[color].data(), 3);
    }
    return true;
  }

  const Bytes stream_;
  const Layout& layout_;
  const Canvas& canvas_;
  const Palette palette_;
  size_t at_ = 0;
  int64_t x_ = 0;
  int64_t y_ = 0;
};

}  // namespace

HeaderResult read_bmp_header(std::span<const uint8_t> bytes) {
  Layout layout;
  if (const char* why = read_layout(bytes, layout)) return refuse(why);
  ImageHeader header;
  header.format = ImageFormat::kBmp;
  header.width = layout.width;
  header.height = layout.height;
  return accept(std::move(header));
}

std::optional<std::string> decode_bmp(std::span<const uint8_t> bytes, cv::Mat& pixels) {
  Layout layout;
  if (const char* why = read_layout(bytes, layout)) return why;
  if (!kind_is_known(layout)) {
    return unusable(ImageFormat::kBmp, std::to_string(layout.depth) + " bits, compression " +
                                           std::to_string(layout.compression));
  }
  pixels.create(static_cast<int>(layout.height), static_cast<int>(layout.width), CV_8UC3);
  const Canvas canvas(layout, pixels);
  if (layout.runs()) {
    if (const char* why = Runs(bytes, layout, canvas).read()) return why;
  } else if (layout.depth <= 8) {
    read_palette_rows(bytes, layout, canvas);
  } else {
    read_color_rows(bytes, layout, canvas);
  }
  return std::nullopt;
}

}  // namespace flexae

#include "data/formats/tiff.h"

#include <algorithm>
#include <array>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <new>
#include <string_view>
#include <utility>
#include <vector>

#include <opencv2/core.hpp>

#include <tiffio.h>

#include "data/formats/byte_reader.h"
#include "data/formats/orientation.h"
#include "data/formats/tiff_directory.h"

namespace flexae {
namespace {

// The whole tiles, 1 wide at least, that a side takes up, in pixels.
template <typename Number>
Number padded(Number side, Number tile) {
  return (side + tile - 1) / tile * tile;
}

// Whether every strip or tile lies inside the file.
bool is_whole(const TiffDirectory& directory, size_t file_size) {
  bool found = false;
  for (const auto& [offsets_tag, counts_tag] :
       {std::pair{TIFFTAG_STRIPOFFSETS, TIFFTAG_STRIPBYTECOUNTS},
        std::pair{TIFFTAG_TILEOFFSETS, TIFFTAG_TILEBYTECOUNTS}}) {
    const auto offsets = directory.find(offsets_tag);
    if (!offsets) continue;
    found = true;
    // Some writers leave the counts of strips out.
    const auto counts = directory.find(counts_tag);
    for (uint64_t i = 0; i < offsets->count; ++i) {
      const auto offset = directory.value(*offsets, i);
      const auto count = counts ? directory.value(*counts, i) : std::optional<uint64_t>(1);
      if (!offset || !count || *offset > file_size || *count > file_size - *offset) return false;
    }
  }
  return found;
}

/// A file in memory as libtiff reads it, and the first of its complaints.
struct Source {
  Bytes bytes;
  uint64_t at = 0;
  std::array<char, 256> complaint{};

  static Source& of(thandle_t handle) { return *static_cast<Source*>(handle); }

  void complain(const char* format, va_list arguments) {
    if (complaint[0] != 0) return;
    static_cast<void>(std::vsnprintf(complaint.data(), complaint.size(), format, arguments));
  }
};

tmsize_t read(thandle_t handle, void* to, tmsize_t size) {
  Source& source = Source::of(handle);
  const uint64_t left = source.bytes.size() - source.at;
  const auto part = std::min(left, static_cast<uint64_t>(std::max<tmsize_t>(size, 0)));
  if (part > 0) std::memcpy(to, source.bytes.data() + source.at, part);
  source.at += part;
  return static_cast<tmsize_t>(part);
}

tmsize_t write_nothing(thandle_t /*handle*/, void* /*from*/, tmsize_t /*size*/) {
  return 0;
}

// libtiff takes any other position than the one it asked for as an error.
toff_t seek(thandle_t handle, toff_t offset, int whence) {
  Source& source = Source::of(handle);
  const uint64_t from = whence == SEEK_CUR   ? source.at
                        : whence == SEEK_END ? source.bytes.size()
                                             : 0;
  source.at = std::min<uint64_t>(from + offset, source.bytes.size());
  return source.at;
}

int close_nothing(thandle_t /*handle*/) {
  return 0;
}

toff_t size_of(thandle_t handle) {
  return Source::of(handle).bytes.size();
}

// Opened for reading, libtiff changes nothing in what is mapped.
int map(thandle_t handle, void** base, toff_t* size) {
  const Bytes bytes = Source::of(handle).bytes;
  *base = const_cast<uint8_t*>(bytes.data());
  *size = bytes.size();
  return 1;
}

void unmap_nothing(thandle_t /*handle*/, void* /*base*/, toff_t /*size*/) {}

#if TIFFLIB_VERSION >= 20221213

int on_error(TIFF* /*tiff*/, void* source, const char* /*module*/, const char* format,
             va_list arguments) {
  static_cast<Source*>(source)->complain(format, arguments);
  return 1;  // no other handler is asked
}

int on_warning(TIFF* /*tiff*/, void* /*source*/, const char* /*module*/, const char* /*format*/,
               va_list /*arguments*/) {
  return 1;
}

TIFF* open(Source& source, int64_t pixels) {
  TIFFOpenOptions* options = TIFFOpenOptionsAlloc();
  if (options == nullptr) throw std::bad_alloc();
  TIFFOpenOptionsSetErrorHandlerExtR(options, on_error, &source);
  TIFFOpenOptionsSetWarningHandlerExtR(options, on_warning, &source);
  // Four samples of 16 bits a pixel, twice over, and what a directory may take.
  TIFFOpenOptionsSetMaxSingleMemAlloc(options, (tmsize_t{16} << 20) + pixels * 16);
  TIFF* tiff = TIFFClientOpenExt("TIFF", "r", &source, read, write_nothing, seek, close_nothing,
                                 size_of, map, unmap_nothing, options);
  TIFFOpenOptionsFree(options);
  return tiff;
}

#else

// Before 4.5 libtiff knows but one handler for the whole process, and does not say which file a
// complaint is about. OpenCV silences it for everybody, too.
TIFF* open(Source& source, int64_t /*pixels*/) {
  static const bool kQuiet = [] {
    TIFFSetErrorHandler(nullptr);
    TIFFSetWarningHandler(nullptr);
    return true;
  }();
  static_cast<void>(kQuiet);
  return TIFFClientOpen("TIFF", "r", &source, read, write_nothing, seek, close_nothing, size_of,
                        map, unmap_nothing);
}

#endif

/// An open file that is closed with its owner.
class TiffFile {
 public:
  TiffFile(Bytes bytes, const ImageHeader& header)
      : source_{bytes}, tiff_(open(source_, header.width * header.height)) {}
  ~TiffFile() {
    if (tiff_ != nullptr) TIFFClose(tiff_);
  }
  TiffFile(const TiffFile&) = delete;
  TiffFile& operator=(const TiffFile&) = delete;

  [[nodiscard]] TIFF* get() const { return tiff_; }
  [[nodiscard]] std::string_view complaint() const { return source_.complaint.data(); }

  /// A field's value, or its default.
  template <typename Value>
  [[nodiscard]] Value field(uint32_t tag, Value otherwise) const {
    Value value = otherwise;
    return TIFFGetFieldDefaulted(tiff_, tag, &value) != 0 ? value : otherwise;
  }

 private:
  Source source_;
  TIFF* tiff_;
};

/// libtiff's conversion to RGBA, ended with its owner.
class Rgba {
 public:
  explicit Rgba(TIFF* tiff) : begun_(TIFFRGBAImageBegin(&image, tiff, 1, why.data()) != 0) {}
  ~Rgba() {
    if (begun_) TIFFRGBAImageEnd(&image);
  }
  Rgba(const Rgba&) = delete;
  Rgba& operator=(const Rgba&) = delete;

  [[nodiscard]] bool begun() const { return begun_; }

  TIFFRGBAImage image{};
  std::array<char, 1024> why{};

 private:
  bool begun_;
};

// Why a file of this kind is refused; libtiff may see another size in it than read_tiff_header().
const char* refuse_kind(const TiffFile& file, const ImageHeader& header) {
  const auto larger = [&file](uint32_t tag, int64_t than) {
    return int64_t{file.field<uint32_t>(tag, 0)} > than;
  };
  if (larger(TIFFTAG_IMAGEWIDTH, header.width) || larger(TIFFTAG_TILEWIDTH, header.width) ||
      larger(TIFFTAG_IMAGELENGTH, header.height) || larger(TIFFTAG_TILELENGTH, header.height)) {
    return "contradictory sizes";
  }
  // More would multiply the memory by what a file claims.
  if (file.field<uint16_t>(TIFFTAG_SAMPLESPERPIXEL, 1) > 4) return "more than four samples a pixel";
  const auto format = file.field<uint16_t>(TIFFTAG_SAMPLEFORMAT, SAMPLEFORMAT_UINT);
  if (format == SAMPLEFORMAT_IEEEFP) return "floating-point samples";
  if (format != SAMPLEFORMAT_UINT && format != SAMPLEFORMAT_INT && format != SAMPLEFORMAT_VOID) {
    return "complex samples";
  }
  return nullptr;
}

// libtiff multiplies the colours by an alpha that is called unassociated, not by an associated one.
void keep_colors(const TiffFile& file) {
  uint16_t count = 0;
  uint16_t* kinds = nullptr;
  TIFFGetFieldDefaulted(file.get(), TIFFTAG_EXTRASAMPLES, &count, &kinds);
  if (count == 0 || kinds[0] != EXTRASAMPLE_UNASSALPHA) return;
  std::vector<uint16_t> changed(kinds, kinds + count);
  changed[0] = EXTRASAMPLE_ASSOCALPHA;
  TIFFSetField(file.get(), TIFFTAG_EXTRASAMPLES, count, changed.data());
}

// Reads the picture as stored, by strips or by rows of tiles. False where one of them is spoilt.
bool read_rows(const TiffFile& file, TIFFRGBAImage& image, cv::Mat& pixels) {
  const uint32_t width = image.width;
  const uint32_t height = image.height;
  uint32_t rows = file.field<uint32_t>(TIFFTAG_ROWSPERSTRIP, height);
  if (TIFFIsTiled(file.get()) != 0) {
    rows = file.field<uint32_t>(TIFFTAG_TILELENGTH, height);
    // Whole tiles: of those that the picture's edge cuts, libtiff skips too few bytes of a row
    // where a pixel has two (gray levels of 16 bits, or of 8 with alpha).
    image.width = padded(width, file.field<uint32_t>(TIFFTAG_TILEWIDTH, width));
  }
  rows = std::clamp(rows, 1U, height);
  image.orientation = ORIENTATION_TOPLEFT;
  image.req_orientation = ORIENTATION_TOPLEFT;
  pixels.create(static_cast<int>(height), static_cast<int>(width), CV_8UC3);
  std::vector<uint32_t> band(size_t{image.width} * rows);
  for (uint32_t top = 0; top < height; top += rows) {
    const uint32_t count = std::min(rows, height - top);
    image.row_offset = static_cast<int>(top);
    if (TIFFRGBAImageGet(&image, band.data(), image.width, count) == 0) return false;
    for (uint32_t y = 0; y < count; ++y) {
      const uint32_t* from = band.data() + size_t{y} * image.width;
      uint8_t* to = pixels.ptr<uint8_t>(static_cast<int>(top + y));
      for (uint32_t x = 0; x < width; ++x, ++from, to += 3) {
        to[0] = static_cast<uint8_t>(TIFFGetB(*from));
        to[1] = static_cast<uint8_t>(TIFFGetG(*from));
        to[2] = static_cast<uint8_t>(TIFFGetR(*from));
      }
    }
  }
  return true;
}

// What libtiff said, unless it ran out of memory that it should have had.
std::string unusable(std::string_view why) {
  constexpr std::string_view kSorry = "Sorry, ";
  if (why.starts_with(kSorry)) why.remove_prefix(kSorry.size());
  const auto says = [why](std::string_view text) { return why.find(text) != why.npos; };
  if (says("Out of memory") || says("No space for")) throw std::bad_alloc();
  return unusable(ImageFormat::kTiff, why);
}

}  // namespace

HeaderResult read_tiff_header(std::span<const uint8_t> bytes) {
  const auto directory = TiffDirectory::open(bytes);
  if (!directory) return refuse("truncated");
  ImageHeader header;
  header.format = ImageFormat::kTiff;
  // Capped so that nothing overflows, the product of two such sides and 12 bytes a pixel included;
  // such sizes are refused by any limit on pixels.
  constexpr uint64_t kHuge = uint64_t{1} << 29;
  const auto number = [&](uint64_t tag, uint64_t otherwise) {
    return static_cast<int64_t>(std::min(directory->first(tag, otherwise), kHuge));
  };
  header.width = number(TIFFTAG_IMAGEWIDTH, 0);
  header.height = number(TIFFTAG_IMAGELENGTH, 0);
  for (const uint64_t tag : {TIFFTAG_TILEWIDTH, TIFFTAG_TILELENGTH}) {
    if (directory->has(tag) && directory->first(tag, 0) - 1 >= kHuge / 2) {
      return refuse("corrupt TIFF (tile size)");
    }
  }
  if (header.width < 1 || header.height < 1) return refuse("truncated");
  // A tile is decoded whole, however small the image in it.
  header.width = std::max(header.width, number(TIFFTAG_TILEWIDTH, 0));
  header.height = std::max(header.height, number(TIFFTAG_TILELENGTH, 0));
  if (!is_whole(*directory, bytes.size())) return refuse("truncated");
  header.components = static_cast<int>(std::min<int64_t>(number(TIFFTAG_SAMPLESPERPIXEL, 1), 4));
  // A strip or a row of tiles, as stored and as RGBA.
  const int64_t tile = number(TIFFTAG_TILEWIDTH, 1);
  const int64_t rows = number(tile > 1 ? TIFFTAG_TILELENGTH : TIFFTAG_ROWSPERSTRIP, kHuge);
  const int64_t sample_bytes = number(TIFFTAG_BITSPERSAMPLE, 1) > 8 ? 2 : 1;
  header.working_bytes = padded(header.width, tile) * std::min(rows, header.height) *
                         (4 + header.components * sample_bytes);
  return accept(std::move(header));
}

std::optional<std::string> decode_tiff(std::span<const uint8_t> bytes, const ImageHeader& header,
                                       cv::Mat& pixels) {
  const TiffFile file(bytes, header);
  if (file.get() == nullptr) return unusable(file.complaint());
  if (const char* why = refuse_kind(file, header)) return unusable(why);
  keep_colors(file);
  Rgba rgba(file.get());
  if (!rgba.begun()) return unusable(rgba.why.data());
  if (!read_rows(file, rgba.image, pixels)) return unusable(file.complaint());
  pixels = turned(pixels, file.field<uint16_t>(TIFFTAG_ORIENTATION, ORIENTATION_TOPLEFT));
  return std::nullopt;
}

}  // namespace flexae

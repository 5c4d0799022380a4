#include "data/formats/jpeg.h"

#include <array>
#include <csetjmp>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <new>
#include <string_view>

#include <opencv2/core.hpp>

// libjpeg's headers need size_t and FILE before them, and this order.
#include <jpeglib.h>

#include <jerror.h>

#include "data/formats/byte_reader.h"
#include "data/formats/orientation.h"

namespace flexae {
namespace {

/// Where libjpeg's complaints go.
struct Complaints {
  jpeg_error_mgr manager{};  // first: libjpeg's pointer to it is one to the whole
  std::jmp_buf way_out{};
  std::array<char, JMSG_LENGTH_MAX> text{};
  int code = 0;

  static Complaints& of(j_common_ptr info) { return *reinterpret_cast<Complaints*>(info->err); }
};

void note(j_common_ptr info) {
  Complaints& complaints = Complaints::of(info);
  complaints.code = complaints.manager.msg_code;
  complaints.manager.format_message(info, complaints.text.data());
}

[[noreturn]] void on_error(j_common_ptr info) {
  note(info);
  // The only frames left by this are libjpeg's.
  std::longjmp(Complaints::of(info).way_out, 1);  // NOLINT(cert-err52-cpp)
}

/// Whether pixels are made up where the file is spoilt. Other warnings tell of what does not
/// matter.
bool spoils_pixels(int code) {
  switch (code) {
    case JWRN_ARITH_BAD_CODE:
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_JPEG_EOF:
    case JWRN_MUST_RESYNC:
      return true;
    default:
      return false;
  }
}

void on_message(j_common_ptr info, int level) {
  if (level < 0 && spoils_pixels(info->err->msg_code)) on_error(info);
}

void print_nothing(j_common_ptr /*info*/) {}

/// As OpenCV does it: the inks are stored inverted, as every program writes them.
void cmyk_to_bgr(const uint8_t* from, uint8_t* to, int pixels) {
  for (int i = 0; i < pixels; ++i, from += 4, to += 3) {
    const int black = from[3];
    for (int ink = 0; ink < 3; ++ink) {
      to[2 - ink] = static_cast<uint8_t>(black - ((255 - from[ink]) * black >> 8));
    }
  }
}

/// A reader that is destroyed with its owner.
struct JpegReader {
  jpeg_decompress_struct info{};
  Complaints complaints;

  JpegReader() {
    info.err = jpeg_std_error(&complaints.manager);
    complaints.manager.error_exit = on_error;
    complaints.manager.emit_message = on_message;
    complaints.manager.output_message = print_nothing;
  }
  ~JpegReader() { jpeg_destroy_decompress(&info); }
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;
};

/// Everything that libjpeg may leave by a jump; nothing in here has a destructor to run.
bool decode(JpegReader& reader, std::span<const uint8_t> bytes, bool gray, int reduction,
            cv::Mat& pixels, cv::Mat& inks) {
  jpeg_decompress_struct& info = reader.info;
  if (setjmp(reader.complaints.way_out) != 0) return false;  // NOLINT(cert-err52-cpp)
  jpeg_create_decompress(&info);
  jpeg_mem_src(&info, bytes.data(), bytes.size());
  jpeg_read_header(&info, TRUE);
  info.scale_num = 1;
  info.scale_denom = static_cast<unsigned>(reduction);
  const bool cmyk = info.num_components == 4;
  info.out_color_space = cmyk                               ? JCS_CMYK
                         : gray || info.num_components == 1 ? JCS_GRAYSCALE
                                                            : JCS_EXT_BGR;
  jpeg_start_decompress(&info);
  const auto width = static_cast<int>(info.output_width);
  pixels.create(static_cast<int>(info.output_height), width,
                info.output_components == 1 ? CV_8UC1 : CV_8UC3);
  if (cmyk) inks.create(1, width, CV_8UC4);
  while (info.output_scanline < info.output_height) {
    uint8_t* row = pixels.ptr<uint8_t>(static_cast<int>(info.output_scanline));
    uint8_t* target = cmyk ? inks.data : row;
    jpeg_read_scanlines(&info, &target, 1);
    if (cmyk) cmyk_to_bgr(inks.data, row, width);
  }
  jpeg_finish_decompress(&info);
  return true;
}

}  // namespace

HeaderResult read_jpeg_header(std::span<const uint8_t> bytes) {
  ImageHeader header;
  header.format = ImageFormat::kJpeg;
  const ByteReader reader(bytes, true);
  const uint8_t* const begin = bytes.data();
  const uint8_t* const end = begin + bytes.size();
  const uint8_t* at = begin + 2;
  int scans = 0;
  while (true) {
    // The next marker: 0xFF and a byte that is neither stuffing, nor fill, nor a restart. Between
    // segments this skips nothing; after a scan's header it skips the coded data.
    at = static_cast<const uint8_t*>(std::memchr(at, 0xff, static_cast<size_t>(end - at)));
    if (at == nullptr || end - at < 2) return refuse("truncated");
    const int marker = at[1];
    if (marker == 0xff) {
      ++at;
      continue;
    }
    at += 2;
    if (marker == 0xd9) {
      if (header.width == 0 || scans == 0) return refuse("corrupt JPEG (no pixels)");
      return accept(std::move(header));
    }
    if (marker == 0 || marker == 1 || (marker >= 0xd0 && marker <= 0xd8)) continue;
    const auto offset = static_cast<size_t>(at - begin);
    const auto length = reader.get(offset, 2);
    if (!length || *length > bytes.size() - offset) return refuse("truncated");
    if (*length < 2) return refuse("corrupt JPEG (segment length)");
    const Bytes segment = bytes.subspan(offset + 2, *length - 2);
    const bool frame =
        marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
    if (frame && header.width == 0) {
      if (segment.size() < 6) return refuse("corrupt JPEG (frame header)");
      header.height = segment[1] << 8 | segment[2];
      header.width = segment[3] << 8 | segment[4];
      header.components = segment[5];
      const bool progressive = marker == 0xc2 || marker == 0xca;
      header.gray = header.components == 1;
      if (header.components != 1 && header.components != 3 && header.components != 4) {
        return refuse("JPEG of " + std::to_string(header.components) +
                      " components is not supported");
      }
      if (header.width == 0 || header.height == 0) return refuse("corrupt (its size is zero)");
      // All coefficients are kept until the last scan.
      if (progressive) header.working_bytes = header.width * header.height * header.components * 2;
    } else if (marker == 0xe1 && starts_with(segment, std::string_view("Exif\0\0", 6))) {
      header.orientation = exif_orientation(segment);
    } else if (marker == 0xda) {
      // Each takes as long as a whole picture, however few bytes it has.
      constexpr int kMostScans = 500;
      if (++scans > kMostScans) return refuse("corrupt JPEG (too many scans)");
    }
    at += *length;
  }
}

std::optional<std::string> decode_jpeg(std::span<const uint8_t> bytes, bool gray, int reduction,
                                       cv::Mat& pixels) {
  JpegReader reader;
  cv::Mat inks;
  if (decode(reader, bytes, gray, reduction, pixels, inks)) return std::nullopt;
  const Complaints& complaints = reader.complaints;
  if (complaints.code == JERR_OUT_OF_MEMORY) throw std::bad_alloc();
  std::string_view words = complaints.text.data();
  for (const std::string_view said : {"Corrupt JPEG data: ", "Not a JPEG file: "}) {
    if (words.starts_with(said)) words.remove_prefix(said.size());
  }
  return unusable(ImageFormat::kJpeg, words);
}

}  // namespace flexae

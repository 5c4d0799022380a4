#include "data/decode.h"

#include <algorithm>
#include <array>
#include <climits>
#include <new>
#include <vector>

#include <opencv2/core.hpp>
#include <opencv2/core/utils/logger.hpp>
#include <opencv2/imgproc.hpp>

#include "core/base/error.h"
#include "data/files/hash.h"
#include "data/formats/bmp.h"
#include "data/formats/image_header.h"
#include "data/formats/jpeg.h"
#include "data/formats/orientation.h"
#include "data/formats/png.h"
#include "data/formats/pnm.h"
#include "data/formats/tiff.h"
#include "data/formats/webp.h"
#include "data/image_file.h"
#include "data/memory_gate.h"
#include "data/resize.h"

namespace flexae {
namespace {

using Reason = std::optional<std::string>;

constexpr const char* kTooLarge = "file too large";

// No picture has longer sides; numbers of bytes in a row stay far from what an int holds.
constexpr int64_t kMaxSide = int64_t{1} << 20;

std::string size_text(const ImageHeader& header) {
  return std::to_string(header.width) + "×" + std::to_string(header.height);
}

void set_up_opencv() {
  static const bool kDone = [] {
    // Images are decoded side by side, so threads inside one image would only get in the way.
    cv::setNumThreads(1);
    cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
    return true;
  }();
  static_cast<void>(kDone);
}

/// Memory a thread keeps from one image to the next, so that pages are not mapped anew each time.
class Scratch {
 public:
  static Scratch& of_this_thread() {
    thread_local Scratch scratch;
    return scratch;
  }

  ByteBuffer file;
  cv::Mat pixels;
  cv::Mat gray;

  /// Gives back what an unusually large image took.
  void trim() {
    constexpr size_t kKeep = size_t{32} << 20;
    if (file.capacity() > kKeep) file.release();
    for (cv::Mat* mat : {&pixels, &gray}) {
      if (mat->total() * mat->elemSize() > kKeep) mat->release();
    }
  }
};

// Whether a side may be decoded at 1/reduction: not below the target, and, since the decoder rounds
// the reduced side up, without stretching the picture by more than a hundredth.
bool may_reduce(int64_t side, int64_t target, int reduction) {
  const int64_t padding = (reduction - side % reduction) % reduction;
  return side / reduction >= target && padding * 100 <= side;
}

// The largest of 1, 2, 4, 8 by which a JPEG may be reduced while it is decoded.
int jpeg_reduction(const ImageHeader& header, const DecodeSpec& spec) {
  if (spec.interpolation != Interpolation::kArea) return 1;
  const bool swaps = header.orientation >= 5;
  for (const int reduction : {8, 4, 2}) {
    if (may_reduce(swaps ? header.width : header.height, spec.height, reduction) &&
        may_reduce(swaps ? header.height : header.width, spec.width, reduction)) {
      return reduction;
    }
  }
  return 1;
}

// Whether the file stores gray levels, or the JPEG decoder can hand over its Y.
bool decodes_to_gray(const ImageHeader& header, const DecodeSpec& spec) {
  return header.gray ||
         (header.format == ImageFormat::kJpeg && spec.channels == 1 && header.components == 3);
}

// OpenCV's own conversion rounds in other places; this one gives Pillow's bytes.
void bgr_to_gray(const cv::Mat& color, cv::Mat& gray) {
  gray.create(color.size(), CV_8UC1);
  for (int y = 0; y < color.rows; ++y) {
    const uint8_t* from = color.ptr<uint8_t>(y);
    uint8_t* to = gray.ptr<uint8_t>(y);
    for (int x = 0; x < color.cols; ++x, from += 3) {
      to[x] = static_cast<uint8_t>(
          (from[2] * 19595U + from[1] * 38470U + from[0] * 7471U + 0x8000U) >> 16);
    }
  }
}

// Why the size that a header claims is refused.
Reason refuse_size(const ImageHeader& header, int64_t max_pixels) {
  const int64_t pixels = header.width * header.height;
  if (pixels > max_pixels) {
    return "too many pixels (" + size_text(header) + " = " + std::to_string(pixels) +
           "; --max-pixels is " + std::to_string(max_pixels) + ")";
  }
  if (header.width > kMaxSide || header.height > kMaxSide) {
    return "a side is too long (" + size_text(header) + "; the limit is " +
           std::to_string(kMaxSide) + ")";
  }
  return std::nullopt;
}

// Decodes to 8 bits: gray levels, or BGR where the file and `spec` have colours. Not yet turned,
// but for a TIFF. `decoded` is memory of `scratch`.
Reason decode_pixels(std::span<const uint8_t> bytes, const ImageHeader& header,
                     const DecodeSpec& spec, int reduction, Scratch& scratch, cv::Mat& decoded) {
  cv::Mat& pixels = scratch.pixels;
  Reason reason;
  switch (header.format) {
    case ImageFormat::kJpeg:
      reason = decode_jpeg(bytes, decodes_to_gray(header, spec), reduction, pixels);
      break;
    case ImageFormat::kPng:
      reason = decode_png(bytes, header, pixels);
      break;
    case ImageFormat::kBmp:
      reason = decode_bmp(bytes, pixels);
      break;
    case ImageFormat::kTiff:
      reason = decode_tiff(bytes, header, pixels);
      break;
    case ImageFormat::kWebp:
      reason = decode_webp(bytes, pixels);
      break;
    case ImageFormat::kPnm:
      decode_pnm(bytes, header, pixels);
      break;
  }
  if (reason) return reason;
  decoded = pixels;
  if (decoded.channels() == 3 && spec.channels == 1) {
    bgr_to_gray(decoded, scratch.gray);
    decoded = scratch.gray;
  }
  return std::nullopt;
}

// About what decoding takes, beyond the file and what is kept from image to image anyway.
int64_t decoding_bytes(const ImageHeader& header, const DecodeSpec& spec, int reduction) {
  const int64_t pixels = header.width * header.height;
  const int64_t result = pixels / (int64_t{1} * reduction * reduction) *
                         (decodes_to_gray(header, spec) ? 1
                          : spec.channels == 1          ? 4
                                                        : 3);
  return result + header.working_bytes;
}

// A few huge images at once would take all memory there is.
MemoryGate& gate() {
  static MemoryGate gate(int64_t{1} << 30);
  return gate;
}

// Decodes bytes and hands the pixels and their header to `use`. With
// `whole`, at their full size; else perhaps reduced, but not below that of `spec`.
template <typename Use>
Reason decode_for(std::span<const uint8_t> bytes, const DecodeSpec& spec, bool whole, Use use) {
  set_up_opencv();
  const HeaderResult result = read_image_header(bytes);
  if (!result.header) return result.reason;
  const ImageHeader& header = *result.header;
  if (Reason reason = refuse_size(header, spec.max_pixels)) return reason;

  const int reduction = whole ? 1 : jpeg_reduction(header, spec);
  const MemoryGate::Share share(gate(), decoding_bytes(header, spec, reduction));
  Scratch& scratch = Scratch::of_this_thread();
  Reason reason;
  try {
    cv::Mat decoded;
    reason = decode_pixels(bytes, header, spec, reduction, scratch, decoded);
    if (!reason) use(decoded, header);
  } catch (const cv::Exception& error) {
    reason = error.code == cv::Error::StsNoMem
                 ? "not enough memory to decode it (" + size_text(header) + ")"
                 : unusable(header.format);
  } catch (const std::bad_alloc&) {
    reason = "not enough memory to decode it (" + size_text(header) + ")";
  }
  scratch.trim();
  return reason;
}

// A colour picture of nothing but gray levels as such, so that it is found to be the same.
cv::Mat without_needless_color(const cv::Mat& pixels) {
  if (pixels.channels() == 1) return pixels;
  for (int y = 0; y < pixels.rows; ++y) {
    const uint8_t* at = pixels.ptr<uint8_t>(y);
    for (int x = 0; x < pixels.cols; ++x, at += 3) {
      if (at[0] != at[1] || at[1] != at[2]) return pixels;
    }
  }
  cv::Mat gray;
  cv::extractChannel(pixels, gray, 0);
  return gray;
}

ImageFacts facts_of(const cv::Mat& stored, int orientation) {
  const cv::Mat pixels = without_needless_color(turned(stored, orientation));
  ImageFacts facts;
  facts.width = pixels.cols;
  facts.height = pixels.rows;
  const std::array<int, 3> shape{pixels.rows, pixels.cols, pixels.channels()};
  facts.hash = xxh64({reinterpret_cast<const uint8_t*>(shape.data()), sizeof shape});
  const size_t row = pixels.elemSize() * static_cast<size_t>(pixels.cols);
  for (int y = 0; y < pixels.rows; ++y) facts.hash = xxh64({pixels.ptr(y), row}, facts.hash);
  cv::Scalar mean;
  cv::Scalar deviation;
  cv::meanStdDev(pixels, mean, deviation);
  facts.deviation = std::max({deviation[0], deviation[1], deviation[2]});
  return facts;
}

}  // namespace

std::optional<std::string> decode_bytes(std::span<const uint8_t> bytes, const DecodeSpec& spec,
                                        uint8_t* out) {
  if (bytes.size() > INT_MAX) return kTooLarge;
  return decode_for(bytes, spec, false, [&](const cv::Mat& pixels, const ImageHeader& header) {
    write_resized(pixels, header.orientation, spec, out);
  });
}

std::optional<std::string> decode_file(const std::string& path, const DecodeSpec& spec,
                                       uint8_t* out) {
  FileFacts facts;
  return decode_file(path, spec, out, facts);
}

std::optional<std::string> decode_file(const std::string& path, const DecodeSpec& spec,
                                       uint8_t* out, FileFacts& facts) {
  std::span<const uint8_t> bytes;
  if (Reason reason = read_image_file(path, Scratch::of_this_thread().file, bytes)) return reason;
  if (bytes.size() > INT_MAX) return kTooLarge;
  return decode_for(bytes, spec, false, [&](const cv::Mat& pixels, const ImageHeader& header) {
    write_resized(pixels, header.orientation, spec, out);
    // A TIFF's header may speak of its tiles; it is never reduced, and turned by its decoder.
    const bool as_decoded = header.format == ImageFormat::kTiff;
    const int64_t width = as_decoded ? pixels.cols : header.width;
    const int64_t height = as_decoded ? pixels.rows : header.height;
    const bool lies = header.orientation >= 5;
    facts = {static_cast<int32_t>(lies ? height : width),
             static_cast<int32_t>(lies ? width : height), static_cast<int64_t>(bytes.size())};
  });
}

std::optional<std::string> examine_file(const std::string& path, int channels, int64_t max_pixels,
                                        ImageFacts& facts) {
  std::span<const uint8_t> bytes;
  if (Reason reason = read_image_file(path, Scratch::of_this_thread().file, bytes)) return reason;
  DecodeSpec spec;
  spec.channels = channels;
  spec.max_pixels = max_pixels;
  return decode_for(bytes, spec, true, [&](const cv::Mat& pixels, const ImageHeader& header) {
    facts = facts_of(pixels, header.orientation);
  });
}

bool lies_in_content(const std::string& reason) {
  for (const char* passing :
       {"no such file", "broken link", "link that", "permission denied", "is a folder",
        "not a regular file", "not enough memory", "cannot be read"}) {
    if (reason.starts_with(passing)) return false;
  }
  return true;
}

std::string opencv_version() {
  return cv::getVersionString();
}

}  // namespace flexae

#include "data/decode.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <memory>
#include <new>
#include <system_error>
#include <vector>

#include <opencv2/core.hpp>
#include <opencv2/core/utils/logger.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "core/error.h"
#include "data/formats/image_header.h"
#include "data/formats/jpeg.h"
#include "data/formats/png.h"
#include "data/formats/pnm.h"
#include "data/formats/quiet_cerr.h"
#include "data/formats/webp.h"
#include "data/hash.h"
#include "data/memory_gate.h"

namespace flexae {
namespace {

using Reason = std::optional<std::string>;

// OpenCV refuses longer sides by an exception.
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

  uint8_t* bytes(size_t size) {
    if (size > capacity_) {
      bytes_.reset();
      capacity_ = 0;
      bytes_ = std::make_unique_for_overwrite<uint8_t[]>(size);
      capacity_ = size;
    }
    return bytes_.get();
  }

  cv::Mat pixels;
  cv::Mat gray;

  /// Gives back what an unusually large image took.
  void trim() {
    constexpr size_t kKeep = size_t{32} << 20;
    if (capacity_ > kKeep) {
      bytes_.reset();
      capacity_ = 0;
    }
    for (cv::Mat* mat : {&pixels, &gray}) {
      if (mat->total() * mat->elemSize() > kKeep) mat->release();
    }
  }

 private:
  std::unique_ptr<uint8_t[]> bytes_;
  size_t capacity_ = 0;
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

// BMP and TIFF. OpenCV tells these by their first bytes, before it looks for anything else.
cv::Mat decode_by_opencv(std::span<uint8_t> bytes, const ImageHeader& header, cv::Mat& pixels) {
  int flags = cv::IMREAD_IGNORE_ORIENTATION;
  if (!header.gray) flags |= cv::IMREAD_COLOR;
  const cv::Mat encoded(1, static_cast<int>(bytes.size()), CV_8UC1, bytes.data());
  const QuietCerr quiet;
  return cv::imdecode(encoded, flags, &pixels);
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

// OpenCV's INTER_NEAREST aligns corners instead of centres, and its exact variant takes the lower
// pixel where a centre falls between two.
void resize_nearest(const cv::Mat& image, cv::Size target, cv::Mat& result) {
  result.create(target, image.type());
  const size_t pixel = image.elemSize();
  const auto source = [](int64_t at, int64_t from, int64_t to) {
    return (2 * at + 1) * from / (2 * to);
  };
  std::vector<size_t> offsets(static_cast<size_t>(target.width));
  for (size_t x = 0; x < offsets.size(); ++x) {
    offsets[x] =
        static_cast<size_t>(source(static_cast<int64_t>(x), image.cols, target.width)) * pixel;
  }
  for (int y = 0; y < target.height; ++y) {
    const auto* from = image.ptr<uint8_t>(static_cast<int>(source(y, image.rows, target.height)));
    auto* to = result.ptr<uint8_t>(y);
    for (const size_t offset : offsets) {
      for (size_t c = 0; c < pixel; ++c) *to++ = from[offset + c];
    }
  }
}

cv::Mat resized(const cv::Mat& image, cv::Size target, Interpolation interpolation) {
  if (image.size() == target) return image;
  cv::Mat result;
  if (interpolation == Interpolation::kNearest) {
    resize_nearest(image, target, result);
    return result;
  }
  if (interpolation == Interpolation::kArea) {
    // INTER_AREA takes means only when no axis grows, so the axes that shrink come first.
    const cv::Size shrunk(std::min(image.cols, target.width), std::min(image.rows, target.height));
    if (shrunk == image.size()) {
      result = image;
    } else {
      cv::resize(image, result, shrunk, 0, 0, cv::INTER_AREA);
    }
    if (shrunk == target) return result;
    cv::Mat grown;
    cv::resize(result, grown, target, 0, 0, cv::INTER_LINEAR);
    return grown;
  }
  cv::resize(image, result, target, 0, 0, cv::INTER_LINEAR);
  return result;
}

cv::Mat turned(const cv::Mat& image, int orientation) {
  cv::Mat result = image;
  if (orientation >= 5) {
    cv::Mat transposed;
    cv::transpose(result, transposed);
    result = transposed;
  }
  // How to flip what is left: 1 left-right, 0 top-bottom, -1 both.
  static constexpr int kNone = 2;
  static constexpr int kFlips[9] = {kNone, kNone, 1, -1, 0, kNone, 1, -1, 0};
  if (kFlips[orientation] != kNone) {
    cv::Mat flipped;
    cv::flip(result, flipped, kFlips[orientation]);
    result = flipped;
  }
  return result;
}

// Resizing before turning moves fewer pixels.
void write_out(const cv::Mat& image, int orientation, const DecodeSpec& spec, uint8_t* out) {
  const cv::Size target(spec.width, spec.height);
  const bool swaps = orientation >= 5;
  const cv::Mat sized =
      resized(image, swaps ? cv::Size(target.height, target.width) : target, spec.interpolation);
  const cv::Mat upright = turned(sized, orientation);
  cv::Mat destination(target, CV_8UC(spec.channels), out);
  if (upright.channels() == spec.channels && spec.channels == 1) {
    upright.copyTo(destination);
  } else {
    cv::cvtColor(upright, destination,
                 upright.channels() == 1 ? cv::COLOR_GRAY2RGB : cv::COLOR_BGR2RGB);
  }
  CV_Assert(destination.data == out);
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

// What to decode of a file, moved to its beginning.
std::span<uint8_t> pick(std::span<uint8_t> bytes, const ImageHeader& header) {
  if (!header.keep.empty()) {
    size_t end = 0;
    for (const auto& [offset, length] : header.keep) {
      std::memmove(bytes.data() + end, bytes.data() + offset, length);
      end += length;
    }
    bytes = bytes.first(end);
  }
  // libtiff would multiply the colours by an alpha that is called unassociated (2), not by an
  // associated one (1).
  if (header.unassociated_alpha != 0) bytes[header.unassociated_alpha] = 1;
  return bytes;
}

// Decodes to 8 bits: gray levels, or BGR where the file and `spec` have colours. Not yet turned.
Reason decode_pixels(std::span<uint8_t> bytes, const ImageHeader& header, const DecodeSpec& spec,
                     int reduction, Scratch& scratch, cv::Mat& decoded) {
  Reason reason;
  switch (header.format) {
    case ImageFormat::kJpeg:
      reason = decode_jpeg(bytes, decodes_to_gray(header, spec), reduction, scratch.pixels);
      break;
    case ImageFormat::kPng:
      reason = decode_png(bytes, scratch.pixels);
      break;
    case ImageFormat::kWebp:
      reason = decode_webp(bytes, scratch.pixels);
      break;
    case ImageFormat::kPnm:
      decode_pnm(bytes, header, scratch.pixels);
      break;
    case ImageFormat::kBmp:
    case ImageFormat::kTiff:
      decoded = decode_by_opencv(bytes, header, scratch.pixels);
      if (decoded.empty() || decoded.depth() != CV_8U) {
        return std::string("corrupt or unsupported ") + format_name(header.format);
      }
  }
  if (decoded.empty()) decoded = scratch.pixels;
  if (!reason && decoded.channels() == 3 && spec.channels == 1) {
    bgr_to_gray(decoded, scratch.gray);
    decoded = scratch.gray;
  }
  return reason;
}

// About what decoding takes, beyond the file and what is kept from image to image anyway.
int64_t decoding_bytes(const ImageHeader& header, const DecodeSpec& spec, int reduction) {
  const int64_t pixels = header.width * header.height;
  const int64_t result = pixels / (int64_t{1} * reduction * reduction) *
                         (decodes_to_gray(header, spec) ? 1
                          : spec.channels == 1          ? 4
                                                        : 3);
  // OpenCV reads TIFF by way of RGBA.
  const int64_t between = header.progressive                    ? pixels * header.components * 2
                          : header.format == ImageFormat::kTiff ? pixels * 4
                                                                : 0;
  return result + between;
}

// A few huge images at once would take all memory there is.
MemoryGate& gate() {
  static MemoryGate gate(int64_t{1} << 30);
  return gate;
}

// Decodes bytes, which it may change, and hands the pixels and the orientation to `use`. With
// `whole`, at their full size; else perhaps reduced, but not below that of `spec`.
template <typename Use>
Reason decode_for(std::span<uint8_t> bytes, const DecodeSpec& spec, bool whole, Use use) {
  set_up_opencv();
  const HeaderResult result = read_image_header(bytes);
  if (!result.header) return result.reason;
  const ImageHeader& header = *result.header;
  if (Reason reason = refuse_size(header, spec.max_pixels)) return reason;
  bytes = pick(bytes, header);

  const int reduction = whole ? 1 : jpeg_reduction(header, spec);
  const MemoryGate::Share share(gate(), decoding_bytes(header, spec, reduction));
  Scratch& scratch = Scratch::of_this_thread();
  Reason reason;
  try {
    cv::Mat decoded;
    reason = decode_pixels(bytes, header, spec, reduction, scratch, decoded);
    if (!reason) use(decoded, header.orientation);
  } catch (const cv::Exception& error) {
    reason = error.code == cv::Error::StsNoMem
                 ? "not enough memory to decode it (" + size_text(header) + ")"
                 : std::string("corrupt or unsupported ") + format_name(header.format);
  } catch (const std::bad_alloc&) {
    reason = "not enough memory to decode it (" + size_text(header) + ")";
  }
  scratch.trim();
  return reason;
}

Reason decode_mutable(std::span<uint8_t> bytes, const DecodeSpec& spec, uint8_t* out) {
  return decode_for(bytes, spec, false, [&](const cv::Mat& pixels, int orientation) {
    write_out(pixels, orientation, spec, out);
  });
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

class File {
 public:
  explicit File(const std::string& path) {
    // O_NONBLOCK, so that a pipe of that name does not hold the thread for ever.
    do {
      descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    } while (descriptor_ < 0 && errno == EINTR);
  }
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  [[nodiscard]] int descriptor() const { return descriptor_; }

 private:
  int descriptor_ = -1;
};

// Why a system call on an image failed; throws when it is not the image's fault.
std::string file_reason(const std::string& path, int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR: {
      struct stat info = {};
      const bool link = ::lstat(path.c_str(), &info) == 0 && S_ISLNK(info.st_mode);
      return link ? "broken link" : "no such file";
    }
    case ELOOP:
      return "link that leads to itself";
    case EACCES:
    case EPERM:
      return "permission denied";
    case EISDIR:
      return "is a folder";
    case EMFILE:
    case ENFILE:
      throw Error(ErrorCode::kIo,
                  "Too many open files to read images. Raise the limit (ulimit -n) or lower the "
                  "number of workers.");
    case ENOMEM:
      throw Error(ErrorCode::kIo,
                  "The system has no memory left to read images. Close other programs.");
    default:
      return "cannot be read: " + std::generic_category().message(error);
  }
}

// Reads up to `size` bytes; `got` is how many there were. One read, unless a signal or the file
// system cuts it short. Returns 0 or errno.
int read_up_to(int file, uint8_t* to, size_t size, size_t& got) {
  got = 0;
  while (got < size) {
    const ssize_t count = ::pread(file, to + got, size - got, static_cast<off_t>(got));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno;
    if (count == 0) break;
    got += static_cast<size_t>(count);
  }
  return 0;
}

// The bytes of an image file, in memory that this thread keeps.
Reason load(const std::string& path, std::span<uint8_t>& bytes) {
  const File file(path);
  if (file.descriptor() < 0) return file_reason(path, errno);
  struct stat info = {};
  if (::fstat(file.descriptor(), &info) != 0) return file_reason(path, errno);
  if (S_ISDIR(info.st_mode)) return "is a folder";
  if (!S_ISREG(info.st_mode)) return "not a regular file";
  if (info.st_size == 0) return "empty file";
  if (info.st_size > INT_MAX) return "file too large";
  const auto size = static_cast<size_t>(info.st_size);
  size_t got = 0;
  // No memory is taken for a large file before it looks like an image.
  constexpr size_t kLarge = size_t{1} << 20;
  if (size > kLarge) {
    std::array<uint8_t, 64> start{};
    if (const int error = read_up_to(file.descriptor(), start.data(), start.size(), got)) {
      return file_reason(path, error);
    }
    if (!image_format({start.data(), got})) return read_image_header({start.data(), got}).reason;
  }
  uint8_t* memory = nullptr;
  try {
    memory = Scratch::of_this_thread().bytes(size);
  } catch (const std::bad_alloc&) {
    return "not enough memory to read it";
  }
  if (const int error = read_up_to(file.descriptor(), memory, size, got)) {
    return file_reason(path, error);
  }
  bytes = {memory, got};
  return std::nullopt;
}

}  // namespace

std::optional<std::string> decode_bytes(std::span<const uint8_t> bytes, const DecodeSpec& spec,
                                        uint8_t* out) {
  if (bytes.size() > INT_MAX) return "file too large";
  uint8_t* copy = Scratch::of_this_thread().bytes(std::max<size_t>(bytes.size(), 1));
  std::copy(bytes.begin(), bytes.end(), copy);
  return decode_mutable({copy, bytes.size()}, spec, out);
}

std::optional<std::string> decode_file(const std::string& path, const DecodeSpec& spec,
                                       uint8_t* out) {
  std::span<uint8_t> bytes;
  if (Reason reason = load(path, bytes)) return reason;
  return decode_mutable(bytes, spec, out);
}

std::optional<std::string> examine_file(const std::string& path, int channels, int64_t max_pixels,
                                        ImageFacts& facts) {
  std::span<uint8_t> bytes;
  if (Reason reason = load(path, bytes)) return reason;
  DecodeSpec spec;
  spec.channels = channels;
  spec.max_pixels = max_pixels;
  return decode_for(bytes, spec, true, [&](const cv::Mat& pixels, int orientation) {
    facts = facts_of(pixels, orientation);
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

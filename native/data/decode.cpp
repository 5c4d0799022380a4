#include "data/decode.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
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
#include "data/image_header.h"

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

// One channel where the file stores gray levels or the JPEG decoder can hand over its Y; BGR
// otherwise.
int imread_flags(const ImageHeader& header, const DecodeSpec& spec) {
  int flags = cv::IMREAD_IGNORE_ORIENTATION;
  const bool jpeg = header.format == ImageFormat::kJpeg;
  const bool gray = header.gray || (jpeg && spec.channels == 1 && header.components == 3);
  if (!gray) flags |= cv::IMREAD_COLOR;
  if (header.white > 255) flags |= cv::IMREAD_ANYDEPTH;
  switch (jpeg ? jpeg_reduction(header, spec) : 1) {
    case 2:
      return flags | cv::IMREAD_REDUCED_GRAYSCALE_2;
    case 4:
      return flags | cv::IMREAD_REDUCED_GRAYSCALE_4;
    case 8:
      return flags | cv::IMREAD_REDUCED_GRAYSCALE_8;
    default:
      return flags;
  }
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

// Decodes `size` bytes that may be changed.
Reason decode_mutable(uint8_t* bytes, size_t size, const DecodeSpec& spec, uint8_t* out) {
  set_up_opencv();
  const HeaderResult result = read_image_header({bytes, size});
  if (!result.header) return result.reason;
  const ImageHeader& header = *result.header;
  if (header.width > kMaxSide || header.height > kMaxSide ||
      header.width * header.height > spec.max_pixels) {
    return "too many pixels (" + size_text(header) + ")";
  }

  if (!header.keep.empty()) {
    size_t end = 0;
    for (const auto& [offset, length] : header.keep) {
      std::memmove(bytes + end, bytes + offset, length);
      end += length;
    }
    size = end;
  }
  // libtiff would multiply the colours by an alpha that is called unassociated (2), not by an
  // associated one (1).
  if (header.unassociated_alpha != 0) bytes[header.unassociated_alpha] = 1;

  Scratch& scratch = Scratch::of_this_thread();
  Reason reason;
  try {
    const cv::Mat encoded(1, static_cast<int>(size), CV_8UC1, bytes);
    cv::Mat decoded = cv::imdecode(encoded, imread_flags(header, spec), &scratch.pixels);
    if (header.white != 0 && !decoded.empty()) {
      decoded.convertTo(decoded, CV_8U, 255.0 / header.white);
    }
    if (decoded.empty() || decoded.depth() != CV_8U) {
      reason = std::string("corrupt or unsupported ") + format_name(header.format);
    } else if (decoded.channels() == 3 && spec.channels == 1) {
      bgr_to_gray(decoded, scratch.gray);
      write_out(scratch.gray, header.orientation, spec, out);
    } else {
      write_out(decoded, header.orientation, spec, out);
    }
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
std::string file_reason(int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return "no such file";
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

}  // namespace

std::optional<std::string> decode_bytes(std::span<const uint8_t> bytes, const DecodeSpec& spec,
                                        uint8_t* out) {
  if (bytes.size() > INT_MAX) return "file too large";
  uint8_t* copy = Scratch::of_this_thread().bytes(std::max<size_t>(bytes.size(), 1));
  std::copy(bytes.begin(), bytes.end(), copy);
  return decode_mutable(copy, bytes.size(), spec, out);
}

std::optional<std::string> decode_file(const std::string& path, const DecodeSpec& spec,
                                       uint8_t* out) {
  const File file(path);
  if (file.descriptor() < 0) return file_reason(errno);
  struct stat info = {};
  if (::fstat(file.descriptor(), &info) != 0) return file_reason(errno);
  if (S_ISDIR(info.st_mode)) return "is a folder";
  if (!S_ISREG(info.st_mode)) return "not a regular file";
  if (info.st_size == 0) return "empty file";
  if (info.st_size > INT_MAX) return "file too large";
  const auto size = static_cast<size_t>(info.st_size);
  uint8_t* bytes = nullptr;
  try {
    bytes = Scratch::of_this_thread().bytes(size);
  } catch (const std::bad_alloc&) {
    return "not enough memory to read it";
  }
  // One read, unless a signal or the file system cuts it short.
  size_t got = 0;
  while (got < size) {
    const ssize_t count = ::read(file.descriptor(), bytes + got, size - got);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return file_reason(errno);
    if (count == 0) break;
    got += static_cast<size_t>(count);
  }
  return decode_mutable(bytes, got, spec, out);
}

bool lies_in_content(const std::string& reason) {
  for (const char* passing : {"no such file", "permission denied", "is a folder",
                              "not a regular file", "not enough memory", "cannot be read"}) {
    if (reason.starts_with(passing)) return false;
  }
  return true;
}

std::string opencv_version() {
  return cv::getVersionString();
}

}  // namespace flexae

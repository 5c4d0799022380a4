#include "data/resize.h"

#include <algorithm>
#include <vector>

#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>

#include "data/formats/orientation.h"

namespace flexae {
namespace {

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

}  // namespace

// Resizing before turning moves fewer pixels.
void write_resized(const cv::Mat& image, int orientation, const DecodeSpec& spec, uint8_t* out) {
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

}  // namespace flexae

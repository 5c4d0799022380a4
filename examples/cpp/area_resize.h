// Resizes images as training does with `interpolation: area`, to within a grey level.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "image.h"

/// What a pixel of the result takes along one axis: source pixels from `first` on, by their shares.
struct Taken {
  size_t first = 0;
  std::vector<float> shares;
};

inline std::vector<Taken> shares_of(size_t source, size_t target) {
  const double scale = static_cast<double>(source) / static_cast<double>(target);
  std::vector<Taken> result(target);
  for (size_t i = 0; i < target; ++i) {
    const auto at = static_cast<double>(i);
    Taken& taken = result[i];
    if (target <= source) {
      // The mean of what lies under the new pixel.
      const double begin = at * scale;
      const double end = (at + 1) * scale;
      taken.first = static_cast<size_t>(begin);
      for (size_t p = taken.first; p < source && static_cast<double>(p) < end; ++p) {
        const auto left = static_cast<double>(p);
        const double overlap = std::min(end, left + 1) - std::max(begin, left);
        taken.shares.push_back(static_cast<float>(overlap / scale));
      }
    } else {
      // Between the two pixels whose centres are nearest.
      const auto last = static_cast<double>(source - 1);
      const double centre = std::clamp((at + 0.5) * scale - 0.5, 0.0, last);
      taken.first = static_cast<size_t>(centre);
      const auto share = static_cast<float>(centre - std::floor(centre));
      taken.shares.push_back(1 - share);
      if (share > 0) taken.shares.push_back(share);
    }
  }
  return result;
}

/// Resizes the middle axis of `outer` × `source` × `inner` numbers.
template <typename Number>
std::vector<float> resize_axis(const std::vector<Number>& data, size_t outer, size_t source,
                               size_t inner, size_t target) {
  const std::vector<Taken> all = shares_of(source, target);
  std::vector<float> result(outer * target * inner);
  for (size_t o = 0; o < outer; ++o) {
    for (size_t t = 0; t < target; ++t) {
      float* to = &result[(o * target + t) * inner];
      for (size_t k = 0; k < all[t].shares.size(); ++k) {
        const Number* from = &data[(o * source + all[t].first + k) * inner];
        for (size_t i = 0; i < inner; ++i) to[i] += all[t].shares[k] * static_cast<float>(from[i]);
      }
    }
  }
  return result;
}

/// An image of another size: the area's mean along axes that shrink, linear where they grow.
inline Image resize(const Image& image, size_t width, size_t height) {
  const auto narrow = resize_axis(image.pixels, image.height, image.width, image.channels, width);
  const auto small = resize_axis(narrow, 1, image.height, width * image.channels, height);
  Image result{width, height, image.channels, {}};
  for (const float value : small) {
    result.pixels.push_back(static_cast<uint8_t>(std::clamp(std::lrint(value), 0L, 255L)));
  }
  return result;
}

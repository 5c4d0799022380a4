#include "core/train/synthetic.h"

#include <ATen/ATen.h>

#include "core/base/random.h"

namespace flexae {
namespace {

constexpr int64_t kSpots = 4;
constexpr int64_t kDiscs = 3;
/// Centre (y, x), radius and a level a channel.
constexpr int64_t kShapeValues = 6;

/// One image, H×W×C floats around [0, 1].
at::Tensor draw(const at::Tensor& y, const at::Tensor& x, int64_t channels,
                at::Generator generator) {
  const at::Tensor values = at::rand({kSpots + kDiscs + 1, kShapeValues}, generator);
  const auto value = [&](int64_t shape, int64_t i) { return values[shape][i].item<float>(); };
  const auto levels = [&](int64_t shape) { return values[shape].slice(0, 3, 3 + channels); };
  // The last row is the gradient's: its direction and levels.
  const int64_t last = kSpots + kDiscs;
  const at::Tensor slope = y * (value(last, 0) - 0.5) + x * (value(last, 1) - 0.5);
  at::Tensor image = (0.3 + 0.5 * slope).unsqueeze(2) + 0.2 * levels(last);
  for (int64_t i = 0; i < kSpots + kDiscs; ++i) {
    const double radius = 0.06 + 0.18 * value(i, 2);
    const at::Tensor distance =
        ((y - value(i, 0)).square() + (x - value(i, 1)).square()) / (radius * radius);
    if (i < kSpots) {
      image = image + distance.neg().exp().unsqueeze(2) * (levels(i) - 0.4);
    } else {
      image = at::where(distance.lt(1).unsqueeze(2), levels(i), image);
    }
  }
  return image + 0.02 * at::randn(image.sizes(), generator);
}

}  // namespace

at::Tensor synthetic_images(int64_t n, int64_t height, int64_t width, int64_t channels,
                            uint64_t seed) {
  const at::Tensor y = at::linspace(0, 1, height).unsqueeze(1);
  const at::Tensor x = at::linspace(0, 1, width).unsqueeze(0);
  at::Tensor images = at::empty({n, height, width, channels}, at::kByte);
  for (int64_t i = 0; i < n; ++i) {
    const at::Generator generator = make_generator(
        at::kCPU, random_bits(seed, RandomPurpose::kSample, static_cast<uint64_t>(i)));
    images[i].copy_(draw(y, x, channels, generator).clamp_(0, 1).mul_(255).round_());
  }
  return images;
}

}  // namespace flexae

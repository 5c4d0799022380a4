#include "core/cuda/norm.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "core/base/math.h"
#include "core/cuda/runtime.h"

namespace flexae::cuda {
namespace {

/// Whether x lies as norm.cu.h can take it: the upper left part of larger images in channels_last.
bool is_part(const at::Tensor& x) {
  if (x.dim() != 4 || x.size(1) < 1) return false;
  const int64_t c = x.size(1);
  return (c == 1 || x.stride(1) == 1) && (x.size(3) == 1 || x.stride(3) == c) &&
         x.stride(2) % c == 0 && x.stride(2) >= c * x.size(3) && x.stride(0) % x.stride(2) == 0 &&
         x.stride(0) >= x.stride(2) * x.size(2);
}

/// N×C×H×W in channels_last or N×C, as the kernels see it.
struct Sizes {
  explicit Sizes(const at::Tensor& x, Pooling pooling)
      : n(x.size(0)),
        h(x.dim() == 4 ? x.size(2) : 1),
        w(x.dim() == 4 ? x.size(3) : 1),
        channels(x.size(1)),
        pooled(pooling != Pooling::kNone),
        oh(pooled ? ceil_div(h, int64_t{2}) : h),
        ow(pooled ? ceil_div(w, int64_t{2}) : w),
        // Strides of a dimension of one say nothing.
        pitch(is_part(x) ? x.stride(2) / channels : w),
        image(is_part(x) ? x.stride(0) / channels : h * w) {}
  [[nodiscard]] int64_t pixels() const { return n * h * w; }
  [[nodiscard]] int64_t outputs() const { return n * oh * ow; }
  int64_t n, h, w, channels;
  bool pooled;
  int64_t oh, ow;
  int64_t pitch, image;  ///< Pixels from line to line and from image to image in memory.
};

/// What the kernels take of x: see norm.cu.h.
struct Layout {
  explicit Layout(const Sizes& s)
      : h(static_cast<int>(s.h)),
        w(static_cast<int>(s.w)),
        pitch(static_cast<int>(s.pitch)),
        oh(static_cast<int>(s.oh)),
        ow(static_cast<int>(s.ow)),
        channels(static_cast<int>(s.channels)),
        image(static_cast<long long>(s.image)) {}
  int h, w, pitch, oh, ow, channels;
  long long image;
};

/// Pixels are counted in 32 bits.
constexpr int64_t kMostPixels = int64_t{1} << 31;

at::Tensor laid_out(const at::Tensor& x) {
  return x.contiguous(x.dim() == 4 ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous);
}

at::Tensor output(const at::Tensor& x, const Sizes& s) {
  if (x.dim() == 2) return at::empty({s.n, s.channels}, x.options());
  return at::empty({s.n, s.channels, s.oh, s.ow},
                   x.options().memory_format(at::MemoryFormat::ChannelsLast));
}

at::Tensor floats(at::IntArrayRef sizes, const at::Tensor& like) {
  return at::empty(sizes, like.options().dtype(at::kFloat).memory_format(std::nullopt));
}

/// Of the images that x is the upper left part of; zero where x is not.
at::Tensor gradient_of(const at::Tensor& x, const Sizes& s) {
  const int64_t lines = x.dim() == 4 ? s.image / s.pitch : 1;
  if (lines == s.h && s.pitch == s.w) return at::empty_like(x);
  at::Tensor whole = at::empty({s.n, s.channels, lines, s.pitch},
                               x.options().memory_format(at::MemoryFormat::ChannelsLast));
  whole.slice(2, s.h).zero_();
  whole.slice(3, s.w).zero_();
  return whole;
}

unsigned finish_blocks(int64_t channels) {
  return static_cast<unsigned>(ceil_div(channels, int64_t{32}));
}

}  // namespace

std::array<unsigned, 3> NormLaunch::grid(int64_t pixels, int64_t channels, int vector) {
  const int64_t groups = channels / vector;
  const int64_t lanes = std::min<int64_t>(groups, kBlock);
  const int64_t rows = kBlock / lanes;
  // A thread has some rows to add up, but the GPU enough blocks to choose from.
  constexpr int64_t kRowsAThread = 8;
  constexpr int64_t kMostBlocks = 132 * 8;
  const int64_t blocks = std::clamp<int64_t>(pixels / (rows * kRowsAThread), 1, kMostBlocks);
  return {static_cast<unsigned>(blocks), static_cast<unsigned>(ceil_div(groups, lanes)), 1};
}

at::Tensor Norm::prepared(const at::Tensor& x) {
  return is_part(x) ? x : laid_out(x);
}

bool Norm::takes(const at::Tensor& x) {
  const bool type = x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16;
  return x.is_cuda() && type && x.numel() / x.size(1) < kMostPixels && problem().empty();
}

std::vector<std::string> Norm::macros(const at::Tensor& x, int vector) const {
  return {"STORAGE_BF16=" + std::to_string(x.scalar_type() == at::kBFloat16 ? 1 : 0),
          "VECTOR=" + std::to_string(vector),
          "ACTIVATION=" + std::to_string(static_cast<int>(activation_)),
          "POOLING=" + std::to_string(static_cast<int>(pooling_))};
}

at::Tensor Norm::forward(const at::Tensor& given, const at::Tensor& gamma, const at::Tensor& beta,
                         const at::Tensor& bias, double epsilon, double fresh, at::Tensor& mean,
                         at::Tensor& variance, Batch& batch) const {
  const at::Tensor x = prepared(given);
  const Layout l{Sizes(x, pooling_)};
  const Sizes s(x, pooling_);
  const int vector = NormLaunch::vector_of(s.channels, x.scalar_type() == at::kBFloat16);
  const Program program = Program::get("norm", macros(x, vector));
  const auto grid = NormLaunch::grid(s.pixels(), s.channels, vector);
  const at::Tensor partials = floats({grid[0], 2, s.channels}, x);
  batch.stats = floats({4, s.channels}, x);
  send(program, "moments", grid, NormLaunch::kBlock, x, static_cast<long long>(s.pixels()), l.h,
       l.w, l.pitch, l.image, l.channels, partials);
  send(program, "finish_moments", {finish_blocks(s.channels), 1, 1}, NormLaunch::kBlock, x,
       partials, static_cast<int>(grid[0]), static_cast<long long>(s.pixels()), l.channels, gamma,
       beta, bias.defined() ? bias.data_ptr() : nullptr, static_cast<float>(epsilon),
       static_cast<float>(fresh), mean, variance, batch.stats);
  return apply(x, batch.stats);
}

at::Tensor Norm::apply(const at::Tensor& given, const at::Tensor& stats) const {
  const at::Tensor x = prepared(given);
  const Layout l{Sizes(x, pooling_)};
  const Sizes s(x, pooling_);
  const int vector = NormLaunch::vector_of(s.channels, x.scalar_type() == at::kBFloat16);
  at::Tensor y = output(x, s);
  send(Program::get("norm", macros(x, vector)), "norm_forward",
       NormLaunch::grid(s.outputs(), s.channels, vector), NormLaunch::kBlock, x, stats, y,
       static_cast<long long>(s.outputs()), l.h, l.w, l.pitch, l.image, l.oh, l.ow, l.channels);
  return y;
}

Norm::Gradients Norm::backward(const at::Tensor& given, const at::Tensor& given_grad,
                               const Batch& batch) const {
  const at::Tensor x = prepared(given);
  const Layout l{Sizes(x, pooling_)};
  const at::Tensor grad = laid_out(given_grad.to(x.scalar_type()));
  const Sizes s(x, pooling_);
  const int vector = NormLaunch::vector_of(s.channels, x.scalar_type() == at::kBFloat16);
  const Program program = Program::get("norm", macros(x, vector));
  const auto grid = NormLaunch::grid(s.outputs(), s.channels, vector);
  const auto outputs = static_cast<long long>(s.outputs());
  const at::Tensor partials = floats({grid[0], 2, s.channels}, x);
  const at::Tensor factors = floats({3, s.channels}, x);
  Gradients result{gradient_of(x, s), floats({s.channels}, x), floats({s.channels}, x)};
  send(program, "norm_backward_sums", grid, NormLaunch::kBlock, x, batch.stats, grad, partials,
       outputs, l.h, l.w, l.pitch, l.image, l.oh, l.ow, l.channels);
  send(program, "finish_backward", {finish_blocks(s.channels), 1, 1}, NormLaunch::kBlock, partials,
       static_cast<int>(grid[0]), static_cast<long long>(s.pixels()), l.channels, batch.stats,
       result.gamma, result.beta, factors);
  send(program, "norm_backward", grid, NormLaunch::kBlock, x, batch.stats, factors, grad, result.x,
       outputs, l.h, l.w, l.pitch, l.image, l.oh, l.ow, l.channels);
  return result;
}

}  // namespace flexae::cuda

#include "core/cpu/conv_block.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <type_traits>

#include "core/base/math.h"
#include "core/base/parallel.h"
#include "core/cpu/conv_geometry.h"
#include "core/cpu/convolution.h"
#include "core/cpu/kernels/kernels.h"
#include "core/cpu/pooling.h"
#include "core/tensor/scratch_buffer.h"

namespace flexae {
namespace {

/// Bytes of output that evaluation finishes at a time: they stay in the first caches.
constexpr int64_t kRowsBytes = int64_t{32} << 10;

/// Output pixels for which a thread reads the weight once, where images have fewer.
constexpr int64_t kGroupCells = 384;

/// Shares the images out over the threads in groups of at most `group`, equally many for each.
void for_each_group(int64_t images, int64_t group,
                    const std::function<void(int64_t first, int64_t count, int thread)>& body) {
  const auto threads = static_cast<int64_t>(at::get_num_threads());
  const int64_t groups = std::min(ceil_div(ceil_div(images, threads), group) * threads, images);
  share_out(groups, [&](int64_t i, int thread) {
    const int64_t first = i * images / groups;
    body(first, (i + 1) * images / groups - first, thread);
  });
}

void for_each_image(int64_t images, const std::function<void(int64_t image, int thread)>& body) {
  for_each_group(images, 1, [&](int64_t n, int64_t, int thread) { body(n, thread); });
}

/// The images in parts which threads sum up by themselves, and from which sums over the batch are
/// made in the same order whoever had them: where the parts begin, and the end. Every thread has
/// equally many: most of its share, and where that makes whole groups, two eighths of it for others
/// to take. `sums`: of a part. Many of them have to go through memory, which soon costs more than
/// it brings.
std::vector<int64_t> image_parts(int64_t images, int64_t group, int64_t sums) {
  constexpr int64_t kFewSums = 1 << 18;
  const auto threads = static_cast<int64_t>(at::get_num_threads());
  const int64_t share = ceil_div(images, threads);
  std::vector<int64_t> begins;
  for (int64_t thread = 0; thread < threads; ++thread) {
    const int64_t begin = thread * images / threads;
    const int64_t end = (thread + 1) * images / threads;
    begins.push_back(begin);
    for (const int64_t rest : {share / 4, share / 8}) {
      if (rest >= group && sums <= kFewSums) begins.push_back(std::max(end - rest, begin));
    }
  }
  begins.push_back(images);
  return begins;
}

/// T: what the products' factors and the raw output are stored as.
template <typename T>
class ConvStage : public Layer, private RowSource {
 public:
  ConvStage(const std::vector<LayerSpec>& specs, const ModelConfig& config, uint64_t bits)
      : Layer(specs.front()),
        momentum_(config.batch_norm_momentum),
        epsilon_(config.batch_norm_epsilon) {
    auto spec = specs.begin();
    in_ = spec->in;
    const bool upsampled = spec->kind == LayerKind::kUpsample;
    if (upsampled) ++spec;
    const LayerSpec& conv = *spec++;
    const LayerSpec& norm = *spec++;
    transposed_ = conv.kind == LayerKind::kConvTranspose;
    raw_shape_ = conv.out;
    out_shape_ = specs.back().out;
    spec_.out = out_shape_;
    if (spec != specs.end()) pooling_ = RowPooling(spec->pooling, raw_shape_, out_shape_);
    activation_ = norm.activation;
    lay_out(conv, upsampled);
    group_ = std::clamp<int64_t>(kGroupCells / windows_.cells(), 1, kGroupCells);
    period_ = std::lcm(conv.out.c, int64_t{32});

    for (const LayerSpec* part : {&conv, &norm}) {
      const auto layer = make_layer(*part, config, bits);
      for (Parameter& p : layer->parameters()) parameters_.push_back(std::move(p));
      for (Buffer& b : layer->buffers()) buffers_.push_back(std::move(b));
    }
  }

  Value forward(const Value& x, PassContext& context) override {
    const at::Tensor input = bind_input(x);
    const int64_t images = input.size(0);
    if (!context.training) return infer_batch(input);
    prepare(at::get_num_threads());
    const at::Tensor raw = raw_.view({images, raw_shape_.h, raw_shape_.w, raw_shape_.c});
    moments_.get(images * 2 * raw_shape_.c);
    for_each_group(images, group_, [&](int64_t first, int64_t count, int thread) {
      T* out = mutable_values<T>(raw) + first * raw_shape_.numel();
      multiply(bordered_batch(first, count, thread), count, out, thread);
      for (int64_t i = 0; i < count; ++i) {
        image_moments(out + i * raw_shape_.numel(), first + i, images, thread);
      }
    });
    norm_ = batch_norm(images);
    raw_view_ = raw;
    if (pooling_.kind() == Pooling::kNone) return {raw, norm_};
    return pool(raw);
  }

  [[nodiscard]] bool infers() const override { return true; }

  void prepare_inference(int threads) override {
    if (frozen_ && threads <= prepared_) return;
    prepare(threads);
    norm_ = moving_norm();
    prepared_ = threads;
  }

  void infer(const float* images, int64_t count, float* out, int thread) override {
    infer_groups(images, count, out, thread, /*planes=*/false);
  }

  [[nodiscard]] bool takes_planes() const override { return !transposed_ && in_.c == 3; }
  void infer_planes(const float* images, int64_t count, float* out, int thread) override {
    infer_groups(images, count, out, thread, /*planes=*/true);
  }

  at::Tensor backward(const at::Tensor& grad, bool input_grad) override {
    const at::Tensor dy = grad.permute({0, 2, 3, 1}).to(kScalarType<T>).contiguous();
    const int64_t images = dy.size(0);
    norm_sums(dy);
    using Product = typename Convolution<T>::Product;
    if (input_grad) convolution_.pack(transposed_ ? Product::kGather : Product::kScatter);
    at::Tensor dx;
    if (input_grad) dx = input_grad_.view({images, in_.h, in_.w, in_.c});
    const int64_t sums = convolution_.sums_size();
    const std::vector<int64_t> parts = image_parts(images, group_, sums);
    weight_parts_ = static_cast<int64_t>(parts.size()) - 1;
    float* all_sums = weight_sums_.get(weight_parts_ * sums);
    share_out(weight_parts_, [&](int64_t part, int thread) {
      const int64_t begin = parts[static_cast<size_t>(part)];
      const int64_t end = parts[static_cast<size_t>(part) + 1];
      float* dw = all_sums + part * sums;
      if (begin == end) std::fill_n(dw, sums, 0.0F);
      for (int64_t first = begin; first < end; first += group_) {
        const int64_t count = std::min(group_, end - first);
        T* dimages = input_grad ? mutable_values<T>(dx) + first * in_.numel() : nullptr;
        if (transposed_) {
          back_through_scatter(dy, first, count, dimages, dw, first == begin, thread);
        } else {
          back_through_gather(dy, first, count, dimages, dw, first == begin, thread);
        }
      }
    });
    parameters_[0].grad.rows = this;
    release();
    return input_grad ? dx.permute({0, 3, 1, 2}) : at::Tensor();
  }

  [[nodiscard]] bool takes_narrow_gradients() const override { return true; }

  void release() override { input_ = Value(); }

 private:
  // What the optimizer takes of the weight's gradient: whole cache lines of the sums.
  [[nodiscard]] int64_t rows_at_once() const override { return 16; }
  void take_rows(int64_t begin, int64_t end, float* out) const override {
    const int64_t step = rows_at_once();
    for (int64_t first = begin; first < end; first += step, out += step * windows_.size()) {
      convolution_.store_weight_gradient(weight_sums_.data(), weight_parts_, first,
                                         std::min(first + step, end), out);
    }
  }

  /// What one thread needs for a group of images.
  struct Scratch {
    ScratchBuffer<T> input;           // activated, in its border
    ScratchBuffer<T> gradient;        // of the raw output, in its border
    ScratchBuffer<float> scattered;   // images scattered to
    ScratchBuffer<T> apart;           // one image in wide borders, before its copies are added up
    ScratchBuffer<float> raw;         // raw output in evaluation
    ScratchBuffer<float> lines;       // rows under a pooling
    ScratchBuffer<T> gradient_lines;  // of rows under a pooling
    ScratchBuffer<float> sums;
  };

  /// Where the windows lie and where in its border the image begins: the input of a convolution,
  /// the raw output of a transposed one.
  void lay_out(const LayerSpec& conv, bool upsampled) {
    image_ = transposed_ ? raw_shape_ : in_;
    grid_ = transposed_ ? in_ : raw_shape_;
    Windows windows;
    windows.grid_h = grid_.h;
    windows.grid_w = grid_.w;
    windows.grid_channels = grid_.c;
    windows.channels = image_.c;
    windows.kernel = conv.kernel;
    windows.stride = conv.stride;
    if (transposed_) {
      top_ = left_ = same_transpose_crop(conv.kernel, conv.stride);
    } else {
      top_ = same_padding(in_.h, conv.kernel, conv.stride)[0];
      left_ = same_padding(in_.w, conv.kernel, conv.stride)[0];
    }
    if (upsampled) {
      // An upsampled image holds each pixel twice, in the result a stride apart: windows a double
      // stride apart, and the result is added to itself, shifted by a stride. The same holds for
      // columns. A quarter of the multiplications of what it replaces.
      shift_ = conv.stride;
      windows.stride = 2 * conv.stride;
      windows.lead = std::max<int64_t>(shift_ - top_, 0);
      top_ += windows.lead;
      left_ += windows.lead;
    }
    const auto bordered = [&](int64_t cells, int64_t pixels, int64_t before) {
      return std::max(windows.lead + (cells - 1) * windows.stride + windows.kernel,
                      before + pixels);
    };
    windows.image_h = bordered(grid_.h, image_.h, top_);
    windows.image_w = bordered(grid_.w, image_.w, left_);
    convolution_ = Convolution<T>(windows);
    windows_ = convolution_.windows();
  }

  /// Where line `y` of the image begins in its border.
  [[nodiscard]] int64_t image_line(int64_t y) const {
    return (top_ + y) * windows_.line() + left_ * image_.c;
  }

  Scratch& scratch(int thread) { return scratch_[static_cast<size_t>(thread)]; }

  /// For a forward pass.
  void prepare(int threads) {
    convolution_.prepare(values<float>(parameters_[0].value), threads);
    using Product = typename Convolution<T>::Product;
    convolution_.pack(transposed_ ? Product::kScatter : Product::kGather);
    if (static_cast<int>(scratch_.size()) < threads) scratch_.resize(static_cast<size_t>(threads));
  }

  // --- forward ------------------------------------------------------------------------------

  at::Tensor bind_input(const Value& x) {
    // Bytes and stored pending values are N×H×W×C already.
    const bool as_it_is = x.norm() != nullptr || x.is_bytes();
    input_ = as_it_is ? x : Value(x.stored().permute({0, 2, 3, 1}).contiguous());
    return input_.stored();
  }

  /// Raw outputs of `count` images, which are bordered_input()'s.
  template <typename O>
  void multiply(const T* bordered, int64_t count, O* out, int thread) {
    if (!transposed_) {
      convolution_.gather(bordered, 0, count * windows_.cells(), out, thread);
      return;
    }
    float* scattered = scratch(thread).scattered.zeros(group_ * windows_.numel());
    convolution_.scatter(bordered, count, scattered, thread);
    remove_border(scattered, count, out);
  }

  /// `count` of the bound inputs in their borders.
  const T* bordered_batch(int64_t first, int64_t count, int thread) {
    const int64_t offset = first * in_.numel();
    const at::Tensor& stored = input_.stored();
    if (input_.is_bytes()) {
      return bordered_input(stored.const_data_ptr<uint8_t>() + offset, count, thread);
    }
    if (input_.norm() == nullptr && stored.scalar_type() == at::kFloat) {
      return bordered_input(values<float>(stored) + offset, count, thread);
    }
    return bordered_input(values<T>(stored) + offset, count, thread, input_.norm());
  }

  /// `count` inputs in their borders, normalized and activated first if `norm` is not null.
  template <typename In>
  const T* bordered_input(const In* images, int64_t count, int thread,
                          const PendingNorm* norm = nullptr) {
    const int64_t numel = transposed_ ? windows_.grid_numel() : windows_.numel();
    const int64_t stride = transposed_ ? windows_.grid_line() : windows_.line();
    const int64_t start = transposed_ ? windows_.grid_start() : image_line(0);
    // Borders are zero from the beginning, and nobody writes there.
    T* bordered = scratch(thread).input.zeros(group_ * numel + windows_.slack());
    const int64_t line = in_.w * in_.c;
    for (int64_t i = 0; i < count; ++i) {
      T* to = bordered + i * numel + start;
      for (int64_t y = 0; y < in_.h; ++y, images += line, to += stride) {
        if constexpr (std::is_same_v<In, uint8_t>) {
          scale_bytes(images, to, line, thread);
        }
        if constexpr (std::is_same_v<In, float>) {
          if (norm == nullptr) {
            kernels_of<T>().elementwise.store(images, to, line);
            continue;
          }
        }
        if constexpr (std::is_same_v<In, T>) {
          if (norm == nullptr) {
            std::copy_n(images, line, to);
          } else {
            norm->apply(images, to, line);
          }
        }
      }
    }
    return bordered;
  }

  void scale_bytes(const uint8_t* bytes, T* to, int64_t count, int thread) {
    if constexpr (std::is_same_v<T, float>) {
      kernels().images.scale_bytes(bytes, to, count);
    } else {
      float* wide = scratch(thread).lines.get(count);
      kernels().images.scale_bytes(bytes, wide, count);
      kernels_of<T>().elementwise.store(wide, to, count);
    }
  }

  /// The same of images of three planes.
  const T* bordered_planes(const float* images, int64_t count, int thread) {
    T* bordered = scratch(thread).input.zeros(group_ * windows_.numel() + windows_.slack());
    float* line = scratch(thread).lines.get(3 * in_.w);
    for (int64_t i = 0; i < count; ++i, images += in_.numel()) {
      T* to = bordered + i * windows_.numel() + image_line(0);
      for (int64_t y = 0; y < in_.h; ++y, to += windows_.line()) {
        float* pixels = line;
        if constexpr (std::is_same_v<T, float>) pixels = to;
        kernels().images.interleave(images + y * in_.w, in_.h * in_.w, in_.w, pixels);
        if constexpr (!std::is_same_v<T, float>)
          kernels_of<T>().elementwise.store(line, to, 3 * in_.w);
      }
    }
    return bordered;
  }

  /// The images out of their borders, of an upsampled input the sums of four pixels a shift apart.
  template <typename O>
  void remove_border(const float* bordered, int64_t count, O* images) const {
    const int64_t line = image_.w * image_.c;
    for (int64_t i = 0; i < count; ++i, bordered += windows_.numel()) {
      for (int64_t y = 0; y < image_.h; ++y, images += line) {
        const float* from = bordered + image_line(y);
        if (shift_ == 0) {
          kernels_of<O>().elementwise.store(from, images, line);
        } else {
          const float* left = from - shift_ * image_.c;
          kernels_of<O>().elementwise.add_four_of_wide(left - shift_ * windows_.line(), left,
                                                       images, line, shift_ * image_.c);
        }
      }
    }
  }

  /// Mean and Σ(x − mean)² of one image's channels, around its first pixel so that a large mean
  /// costs no digits.
  void image_moments(const T* raw, int64_t n, int64_t images, int thread) {
    const int64_t c = raw_shape_.c;
    float* buffer = scratch(thread).sums.get(3 * period_);
    float* center = buffer;
    float* s1 = buffer + period_;
    float* s2 = s1 + period_;
    for (int64_t i = 0; i < period_; ++i) center[i] = widened(raw[i % c]);
    std::fill_n(s1, 2 * period_, 0.0F);
    kernels_of<T>().norm.moments(raw, raw_shape_.numel(), center, period_, s1, s2);
    const double pixels = static_cast<double>(raw_shape_.h * raw_shape_.w);
    float* out = moments_.get(images * 2 * c) + n * 2 * c;
    for (int64_t i = 0; i < c; ++i) {
      double sum = 0;
      double square = 0;
      for (int64_t j = i; j < period_; j += c) {
        sum += static_cast<double>(s1[j]);
        square += static_cast<double>(s2[j]);
      }
      out[i] = static_cast<float>(static_cast<double>(center[i]) + sum / pixels);
      out[c + i] = static_cast<float>(square - sum * sum / pixels);
    }
  }

  /// The batch's own statistics, and the moving ones brought up to date.
  std::shared_ptr<const PendingNorm> batch_norm(int64_t images) {
    const int64_t c = raw_shape_.c;
    const float* moments = moments_.get(images * 2 * c);
    const double pixels = static_cast<double>(raw_shape_.h * raw_shape_.w);
    mean_.assign(static_cast<size_t>(c), 0.0);
    invstd_.assign(static_cast<size_t>(c), 0.0);
    std::vector<double> scale(static_cast<size_t>(c));
    std::vector<double> shift(static_cast<size_t>(c));
    const auto* gamma = values<float>(parameters_[2].value);
    const auto* beta = values<float>(parameters_[3].value);
    const auto* bias = values<float>(parameters_[1].value);
    auto* running_mean = mutable_values<float>(buffers_[0].value);
    auto* running_var = mutable_values<float>(buffers_[1].value);
    const double fresh = 1.0 - momentum_;
    for (int64_t i = 0; i < c; ++i) {
      // Chan, Golub and LeVeque (1979): moments of parts to moments of the whole.
      double mean = 0;
      double m2 = 0;
      for (int64_t n = 0; n < images; ++n) {
        const double part = static_cast<double>(moments[n * 2 * c + i]);
        const double delta = part - mean;
        mean += delta / static_cast<double>(n + 1);
        m2 += static_cast<double>(moments[n * 2 * c + c + i]) +
              delta * delta * pixels * static_cast<double>(n) / static_cast<double>(n + 1);
      }
      const double variance = std::max(m2 / (pixels * static_cast<double>(images)), 0.0);
      const double invstd = 1.0 / std::sqrt(variance + epsilon_);
      const auto at = static_cast<size_t>(i);
      mean_[at] = mean;
      invstd_[at] = invstd;
      scale[at] = static_cast<double>(gamma[i]) * invstd;
      shift[at] = static_cast<double>(beta[i]) - mean * scale[at];
      running_mean[i] += static_cast<float>(
          fresh * (mean + static_cast<double>(bias[i]) - static_cast<double>(running_mean[i])));
      running_var[i] +=
          static_cast<float>(fresh * (variance - static_cast<double>(running_var[i])));
    }
    return make_norm(scale, shift);
  }

  [[nodiscard]] std::shared_ptr<const PendingNorm> moving_norm() const {
    const int64_t c = raw_shape_.c;
    std::vector<double> scale(static_cast<size_t>(c));
    std::vector<double> shift(static_cast<size_t>(c));
    const auto value = [](const at::Tensor& t, int64_t i) {
      return static_cast<double>(t.const_data_ptr<float>()[i]);
    };
    for (int64_t i = 0; i < c; ++i) {
      const auto at = static_cast<size_t>(i);
      scale[at] =
          value(parameters_[2].value, i) / std::sqrt(value(buffers_[1].value, i) + epsilon_);
      shift[at] = value(parameters_[3].value, i) +
                  (value(parameters_[1].value, i) - value(buffers_[0].value, i)) * scale[at];
    }
    return make_norm(scale, shift);
  }

  [[nodiscard]] std::vector<float> periodic(const std::vector<double>& values) const {
    std::vector<float> out(static_cast<size_t>(period_));
    for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<float>(values[i % values.size()]);
    return out;
  }

  [[nodiscard]] std::shared_ptr<const PendingNorm> make_norm(
      const std::vector<double>& scale, const std::vector<double>& shift) const {
    auto norm = std::make_shared<PendingNorm>();
    norm->scale = periodic(scale);
    norm->shift = periodic(shift);
    norm->activation = activation_;
    return norm;
  }

  // --- evaluation -----------------------------------------------------------------------------

  Value infer_batch(const at::Tensor& input) {
    const int64_t images = input.size(0);
    prepare_inference(at::get_num_threads());
    const at::Tensor out = evaluated_.view({images, out_shape_.h, out_shape_.w, out_shape_.c});
    for_each_group(images, group_, [&](int64_t first, int64_t count, int thread) {
      infer(input.const_data_ptr<float>() + first * in_.numel(), count,
            out.mutable_data_ptr<float>() + first * out_shape_.numel(), thread);
    });
    input_ = Value();
    return Value(out.permute({0, 3, 1, 2}));
  }

  void infer_groups(const float* images, int64_t count, float* out, int thread, bool planes) {
    for (int64_t first = 0; first < count; first += group_) {
      const int64_t group = std::min(group_, count - first);
      const float* in = images + first * in_.numel();
      float* to = out + first * out_shape_.numel();
      const T* bordered =
          planes ? bordered_planes(in, group, thread) : bordered_input(in, group, thread);
      // For the BLAS, a few rows are too little for one product, and Winograd takes whole images.
      using Way = typename Convolution<T>::Way;
      const Way way = convolution_.way();
      if (!transposed_ && (way == Way::kInPlace || way == Way::kLines)) {
        infer_by_rows(bordered, group, to, thread);
      } else {
        infer_whole(bordered, group, to, thread);
      }
    }
  }

  /// Up to group_ images. What the convolution writes is normalized, activated and pooled while it
  /// is in the first caches.
  void infer_by_rows(const T* bordered, int64_t count, float* out, int thread) {
    const int64_t line = raw_shape_.w * raw_shape_.c;
    const auto rows = [&](int64_t begin, int64_t end, float* to) {
      convolution_.gather(bordered, begin * raw_shape_.w, end * raw_shape_.w, to, thread);
    };
    if (pooling_.kind() == Pooling::kNone) {
      const int64_t block = std::max<int64_t>(kRowsBytes / (line * int64_t{sizeof(float)}), 1);
      const int64_t end = count * raw_shape_.h;
      for (int64_t row = 0; row < end; row += block) {
        const int64_t last = std::min(row + block, end);
        rows(row, last, out + row * line);
        norm_->apply(out + row * line, out + row * line, (last - row) * line);
      }
      return;
    }
    // Pooled rows at a time, of one image.
    const int64_t block = std::max<int64_t>(kRowsBytes / (2 * line * int64_t{sizeof(float)}), 1);
    float* lines = scratch(thread).lines.get(2 * block * line);
    const int64_t out_line = out_shape_.w * out_shape_.c;
    for (int64_t i = 0; i < count; ++i) {
      const int64_t image = i * raw_shape_.h;
      for (int64_t first = 0; first < out_shape_.h; first += block) {
        const int64_t last = std::min(first + block, out_shape_.h);
        rows(image + 2 * first, image + std::min(2 * last, raw_shape_.h), lines);
        for (int64_t row = first; row < last; ++row, out += out_line) {
          float* raw = lines + 2 * (row - first) * line;
          activate_and_pool(raw, row, raw, out, nullptr);
        }
      }
    }
  }

  void infer_whole(const T* bordered, int64_t count, float* out, int thread) {
    const bool pooled = pooling_.kind() != Pooling::kNone;
    float* raw = pooled ? scratch(thread).raw.get(group_ * raw_shape_.numel()) : out;
    multiply(bordered, count, raw, thread);
    if (!pooled) return norm_->apply(raw, raw, count * raw_shape_.numel());
    const int64_t line = raw_shape_.w * raw_shape_.c;
    const int64_t out_line = out_shape_.w * out_shape_.c;
    for (int64_t i = 0; i < count * out_shape_.h; ++i) {
      const int64_t row = i % out_shape_.h;
      const int64_t begin = i / out_shape_.h * raw_shape_.h + 2 * row;
      activate_and_pool(raw + begin * line, row, raw + begin * line, out + i * out_line, nullptr);
    }
  }

  // --- pooling --------------------------------------------------------------------------------

  /// Pooled row `row` of the raw rows under it. `lines`: memory for those, which may be theirs.
  template <typename R>
  void activate_and_pool(const R* raw, int64_t row, float* lines, R* out, uint8_t* argmax) {
    const int64_t line = raw_shape_.w * raw_shape_.c;
    if (pooling_.averages_whole(row)) {
      kernels_of<R>().norm.average_activated(raw, raw + line, out, out_shape_.w, raw_shape_.c,
                                             norm_->scale.data(), norm_->shift.data(), activation_);
      return;
    }
    norm_->apply(raw, lines, pooling_.rows_under(row) * line);
    if constexpr (std::is_same_v<R, float>) {
      pooling_.forward(lines, row, out, argmax);
    } else {
      // Behind the lines is room for a pooled one.
      float* pooled = lines + 2 * line;
      pooling_.forward(lines, row, pooled, argmax);
      kernels_of<R>().elementwise.store(pooled, out, out_shape_.w * out_shape_.c);
    }
  }

  Value pool(const at::Tensor& raw) {
    const int64_t images = raw.size(0);
    const at::Tensor out = pooled_.view({images, out_shape_.h, out_shape_.w, out_shape_.c});
    if (pooling_.kind() == Pooling::kMax && (!argmax_.defined() || argmax_.size(0) < images)) {
      argmax_ = at::empty({images, out_shape_.numel()}, at::kByte);
    }
    const int64_t line = raw_shape_.w * raw_shape_.c;
    const int64_t out_line = out_shape_.w * out_shape_.c;
    for_each_image(images, [&](int64_t n, int thread) {
      float* lines = scratch(thread).lines.get(2 * line + out_line);
      const T* x = values<T>(raw) + n * raw_shape_.numel();
      T* y = mutable_values<T>(out) + n * out_shape_.numel();
      for (int64_t row = 0; row < out_shape_.h; ++row) {
        activate_and_pool(x + 2 * row * line, row, lines, y + row * out_line, argmax(n, row));
      }
    });
    return Value(out.permute({0, 3, 1, 2}));
  }

  /// Where the maxima of a pooled row were found; null for averages.
  uint8_t* argmax(int64_t n, int64_t row) {
    if (pooling_.kind() != Pooling::kMax) return nullptr;
    return argmax_.mutable_data_ptr<uint8_t>() + n * out_shape_.numel() +
           row * out_shape_.w * out_shape_.c;
  }

  /// Calls body(offset, count, dy) for stretches of one image's raw output and the gradient of its
  /// activation there, or means(offset, dy) for two rows of it and the gradient of their means.
  template <typename Body, typename Means>
  void for_each_stretch(const at::Tensor& grad, int64_t n, int thread, Body body, Means means) {
    const T* dy = values<T>(grad) + n * out_shape_.numel();
    if (pooling_.kind() == Pooling::kNone) {
      body(int64_t{0}, raw_shape_.numel(), dy);
      return;
    }
    const int64_t line = raw_shape_.w * raw_shape_.c;
    T* lines = scratch(thread).gradient_lines.get(2 * line);
    for (int64_t row = 0; row < out_shape_.h; ++row) {
      const T* pooled = dy + row * out_shape_.w * out_shape_.c;
      if (pooling_.averages_whole(row)) {
        means(2 * row * line, pooled);
        continue;
      }
      pooling_.backward(pooled, row, lines, argmax(n, row));
      body(2 * row * line, pooling_.rows_under(row) * line, static_cast<const T*>(lines));
    }
  }

  // --- backward -------------------------------------------------------------------------------

  /// The two sums over the whole batch that a batch normalization's gradient takes.
  void norm_sums(const at::Tensor& dy) {
    const int64_t images = dy.size(0);
    const int64_t c = raw_shape_.c;
    center_ = periodic(mean_);
    float* all = sums_.get(images * 2 * c);
    for_each_image(images, [&](int64_t n, int thread) {
      float* s1 = scratch(thread).sums.get(3 * period_);
      float* s2 = s1 + period_;
      std::fill_n(s1, 2 * period_, 0.0F);
      const T* raw = values<T>(raw_view_) + n * raw_shape_.numel();
      const int64_t line = raw_shape_.w * c;
      for_each_stretch(
          dy, n, thread,
          [&](int64_t offset, int64_t count, const T* g) {
            kernels_of<T>().norm.backward_sums(raw + offset, g, count, norm_->scale.data(),
                                               norm_->shift.data(), center_.data(), period_,
                                               activation_, s1, s2);
          },
          [&](int64_t offset, const T* g) {
            kernels_of<T>().norm.averaged_backward_sums(
                raw + offset, raw + offset + line, g, out_shape_.w, c, norm_->scale.data(),
                norm_->shift.data(), center_.data(), activation_, s1, s2);
          });
      for (int64_t i = 0; i < c; ++i) {
        double a = 0;
        double b = 0;
        for (int64_t j = i; j < period_; j += c) {
          a += static_cast<double>(s1[j]);
          b += static_cast<double>(s2[j]);
        }
        all[n * 2 * c + i] = static_cast<float>(a);
        all[n * 2 * c + c + i] = static_cast<float>(b);
      }
    });
    at::Tensor dgamma = at::empty({c}, at::kFloat);
    at::Tensor dbeta = at::empty({c}, at::kFloat);
    std::vector<double> k1(static_cast<size_t>(c));
    std::vector<double> k2(static_cast<size_t>(c));
    std::vector<double> k3(static_cast<size_t>(c));
    const double count = static_cast<double>(images * raw_shape_.h * raw_shape_.w);
    const auto* gamma = values<float>(parameters_[2].value);
    for (int64_t i = 0; i < c; ++i) {
      double s1 = 0;
      double s2 = 0;
      for (int64_t n = 0; n < images; ++n) {
        s1 += static_cast<double>(all[n * 2 * c + i]);
        s2 += static_cast<double>(all[n * 2 * c + c + i]);
      }
      const auto at = static_cast<size_t>(i);
      dgamma.mutable_data_ptr<float>()[i] = static_cast<float>(s2 * invstd_[at]);
      dbeta.mutable_data_ptr<float>()[i] = static_cast<float>(s1);
      // dx = γσ·(dz − Σdz/m − (x − μ)·σ²·Σdz(x − μ)/m), σ = 1/√(var + ε) (Ioffe and Szegedy, 2015)
      k1[at] = static_cast<double>(gamma[i]) * invstd_[at];
      k2[at] = -k1[at] * invstd_[at] * invstd_[at] * s2 / count;
      k3[at] = -k1[at] * s1 / count - k2[at] * mean_[at];
    }
    parameters_[2].grad.tensor = dgamma;
    parameters_[3].grad.tensor = dbeta;
    k1_ = periodic(k1);
    k2_ = periodic(k2);
    k3_ = periodic(k3);
  }

  /// The gradient of image `n`'s raw output, its lines `stride` values apart.
  void raw_gradient(const at::Tensor& dy, int64_t n, T* draw, int64_t stride, int thread) {
    const T* raw = values<T>(raw_view_) + n * raw_shape_.numel();
    const int64_t line = raw_shape_.w * raw_shape_.c;
    for_each_stretch(
        dy, n, thread,
        [&](int64_t offset, int64_t count, const T* g) {
          // Stretches are whole lines, as one or one by one.
          const int64_t step = stride == line ? count : line;
          for (int64_t i = 0; i < count; i += step) {
            kernels_of<T>().norm.backward_apply(
                raw + offset + i, g + i, draw + (offset + i) / line * stride, step,
                norm_->scale.data(), norm_->shift.data(), k1_.data(), k2_.data(), k3_.data(),
                period_, activation_);
          }
        },
        [&](int64_t offset, const T* g) {
          T* to = draw + offset / line * stride;
          kernels_of<T>().norm.averaged_backward_apply(
              raw + offset, raw + offset + line, g, to, to + stride, out_shape_.w, raw_shape_.c,
              norm_->scale.data(), norm_->shift.data(), k1_.data(), k2_.data(), k3_.data(),
              activation_);
        });
  }

  void back_through_gather(const at::Tensor& dy, int64_t first, int64_t count, T* dimages,
                           float* dw, bool fresh, int thread) {
    T* dgrid = scratch(thread).gradient.zeros(group_ * windows_.grid_numel() + windows_.slack());
    for (int64_t i = 0; i < count; ++i) {
      raw_gradient(dy, first + i, dgrid + i * windows_.grid_numel() + windows_.grid_start(),
                   windows_.grid_line(), thread);
    }
    const T* bordered = bordered_batch(first, count, thread);
    convolution_.add_weight_gradient(dgrid, bordered, count, dw, fresh, thread);
    if (dimages == nullptr) return;
    float* scattered = scratch(thread).scattered.zeros(group_ * windows_.numel());
    convolution_.scatter(dgrid, count, scattered, thread);
    remove_border(scattered, count, dimages);
  }

  void back_through_scatter(const at::Tensor& dy, int64_t first, int64_t count, T* dgrid, float* dw,
                            bool fresh, int thread) {
    T* bordered = scratch(thread).gradient.zeros(group_ * windows_.numel() + windows_.slack());
    for (int64_t i = 0; i < count; ++i) {
      bordered_gradient(dy, first + i, bordered + i * windows_.numel(), thread);
    }
    const T* grid = bordered_batch(first, count, thread);
    convolution_.add_weight_gradient(grid, bordered, count, dw, fresh, thread);
    if (dgrid == nullptr) return;
    convolution_.gather(bordered, 0, count * windows_.cells(), dgrid, thread);
  }

  /// What remove_border() makes of a scattered image, backwards: the gradient of image `n`'s raw
  /// output in its border, of an upsampled input added up where its copies went.
  void bordered_gradient(const at::Tensor& dy, int64_t n, T* bordered, int thread) {
    if (shift_ == 0) {
      raw_gradient(dy, n, bordered + image_line(0), windows_.line(), thread);
      return;
    }
    const int64_t c = image_.c;
    const int64_t line = (image_.w + 2 * shift_) * c;
    T* apart = scratch(thread).apart.zeros((image_.h + 2 * shift_) * line);
    raw_gradient(dy, n, apart + shift_ * (line + c), line, thread);
    for (int64_t y = 0; y < image_.h + shift_; ++y) {
      kernels_of<T>().elementwise.add_four(apart + y * line, apart + (y + shift_) * line,
                                           bordered + image_line(y - shift_) - shift_ * c,
                                           (image_.w + shift_) * c, shift_ * c);
    }
  }

  double momentum_;
  double epsilon_;
  Shape in_;
  Shape raw_shape_;  ///< of the convolution's output
  Shape out_shape_;
  Activation activation_ = Activation::kLinear;
  RowPooling pooling_;
  bool transposed_ = false;
  Shape image_;  ///< what the windows lie over, without its border
  Shape grid_;   ///< of their cells
  int64_t top_ = 0;
  int64_t left_ = 0;
  int64_t shift_ = 0;  ///< between the copies of an upsampled pixel; 0 without an upsampling
  Windows windows_;
  Convolution<T> convolution_;
  int64_t period_ = 0;
  int64_t group_ = 1;  ///< images at a time
  int prepared_ = 0;   ///< threads that frozen weights have been prepared for

  std::vector<Scratch> scratch_;
  ScratchBuffer<T> raw_, pooled_, input_grad_;
  ScratchBuffer<float> evaluated_, weight_sums_, moments_, sums_;
  int64_t weight_parts_ = 0;  ///< of the images, each with its own weight_sums_
  at::Tensor argmax_;

  Value input_;
  at::Tensor raw_view_;
  std::shared_ptr<const PendingNorm> norm_;
  std::vector<double> mean_, invstd_;
  std::vector<float> center_, k1_, k2_, k3_;
};

}  // namespace

size_t conv_stage_length(const std::vector<LayerSpec>& specs, size_t first) {
  size_t i = first;
  const auto is = [&](size_t at, LayerKind kind) {
    return at < specs.size() && specs[at].kind == kind;
  };
  // An upsampling that crops does not fold into the kernel.
  if (is(i, LayerKind::kUpsample) && is(i + 1, LayerKind::kConvTranspose) &&
      specs[i].out.h == 2 * specs[i].in.h && specs[i].out.w == 2 * specs[i].in.w) {
    ++i;
  }
  if (!is(i, LayerKind::kConv) && !is(i, LayerKind::kConvTranspose)) return 0;
  if (!is(i + 1, LayerKind::kBatchNorm)) return 0;
  i += 2;
  if (is(i, LayerKind::kPool)) ++i;
  return i - first;
}

std::unique_ptr<Layer> make_conv_stage(const std::vector<LayerSpec>& specs,
                                       const ModelConfig& config, Precision precision,
                                       uint64_t bits) {
  if (precision == Precision::kBf16) {
    return std::make_unique<ConvStage<Bf16>>(specs, config, bits);
  }
  return std::make_unique<ConvStage<float>>(specs, config, bits);
}

}  // namespace flexae

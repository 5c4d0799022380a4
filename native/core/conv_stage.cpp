#include "core/conv_stage.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "core/convolution.h"
#include "core/gemm.h"
#include "core/kernels/kernels.h"
#include "core/row_pooling.h"
#include "core/unfold.h"

namespace flexae {
namespace {

/// Bytes of unfolded windows that a thread works on at a time: about a second-level cache, so that
/// the product reads what the unfolding has just written.
constexpr int64_t kTileBytes = int64_t{768} << 10;

/// Memory that keeps its size from step to step: fresh pages would cost a third of the time.
class Buffer2D {
 public:
  /// `rows` × `columns` floats; contents undefined.
  float* get(int64_t rows, int64_t columns) {
    const int64_t needed = rows * columns;
    if (!tensor_.defined() || tensor_.numel() < needed) tensor_ = at::empty({needed}, at::kFloat);
    return tensor_.mutable_data_ptr<float>();
  }
  /// The same, zero where nobody has written since it last grew.
  float* zeros(int64_t rows, int64_t columns) {
    const int64_t needed = rows * columns;
    if (!tensor_.defined() || tensor_.numel() < needed) tensor_ = at::zeros({needed}, at::kFloat);
    return tensor_.mutable_data_ptr<float>();
  }
  at::Tensor view(at::IntArrayRef sizes) {
    const int64_t needed =
        std::accumulate(sizes.begin(), sizes.end(), int64_t{1}, std::multiplies<>());
    get(1, needed);
    return tensor_.narrow(0, 0, needed).view(sizes);
  }

 private:
  at::Tensor tensor_;
};

/// Bytes of output that evaluation finishes at a time: they stay in the first caches.
constexpr int64_t kRowsBytes = int64_t{32} << 10;

/// Output pixels for which a thread reads the weight once, where images have fewer.
constexpr int64_t kGroupCells = 96;

/// Splits the images over the threads, each thread with its own index, and what a thread has into
/// groups.
void for_each_group(int64_t images, int64_t group,
                    const std::function<void(int64_t first, int64_t count, int thread)>& body) {
  at::parallel_for(0, images, 1, [&](int64_t begin, int64_t end) {
    const int thread = at::get_thread_num();
    for (int64_t first = begin; first < end; first += group) {
      body(first, std::min(group, end - first), thread);
    }
  });
}

void for_each_image(int64_t images, const std::function<void(int64_t image, int thread)>& body) {
  for_each_group(images, 1, [&](int64_t n, int64_t, int thread) { body(n, thread); });
}

class ConvStage : public Layer {
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
    kernel_ = conv.kernel;
    shift_ = upsampled ? conv.stride : 0;

    if (transposed_) {
      const int64_t crop = same_transpose_crop(conv.kernel, conv.stride);
      // Each pixel of an upsampled image is the same pixel twice, a stride apart in the result: one
      // window of kernel + stride, the sum of two kernels that far apart.
      windows_ = {in_.h,
                  in_.w,
                  conv.out.h,
                  conv.out.w,
                  conv.out.c,
                  kernel_ + shift_,
                  conv.stride * (upsampled ? 2 : 1),
                  crop,
                  crop};
    } else {
      windows_ = {conv.out.h,
                  conv.out.w,
                  in_.h,
                  in_.w,
                  in_.c,
                  kernel_,
                  conv.stride,
                  same_padding(in_.h, kernel_, conv.stride)[0],
                  same_padding(in_.w, kernel_, conv.stride)[0]};
    }
    grid_channels_ = transposed_ ? in_.c : conv.out.c;
    if (!transposed_) convolution_ = Convolution(windows_, conv.out.c);
    const int64_t cells = windows_.grid_h * windows_.grid_w;
    group_ = std::clamp<int64_t>(kGroupCells / cells, 1, kGroupCells);
    period_ = std::lcm(conv.out.c, int64_t{32});
    const int64_t line_bytes = windows_.grid_w * windows_.size() * int64_t{sizeof(float)};
    tile_ = std::clamp<int64_t>(kTileBytes / std::max<int64_t>(line_bytes, 1), 1, windows_.grid_h);

    for (const LayerSpec* part : {&conv, &norm}) {
      const auto layer = make_layer(*part, config, bits);
      for (Parameter& p : layer->parameters()) parameters_.push_back(std::move(p));
      for (Buffer& b : layer->buffers()) buffers_.push_back(std::move(b));
    }
  }

  Value forward(const Value& x, PassContext& context) override {
    const at::Tensor input = bind_input(x);
    const int64_t images = input.size(0);
    const int threads = at::get_num_threads();
    if (!context.training) return infer_batch(input);
    const float* weight = combined_weight();
    prepare_scratch(threads);
    const at::Tensor raw = raw_.view({images, raw_shape_.h, raw_shape_.w, raw_shape_.c});
    moments_.get(images, 2 * raw_shape_.c);
    for_each_group(images, group_, [&](int64_t first, int64_t count, int thread) {
      float* out = raw.mutable_data_ptr<float>() + first * raw_shape_.numel();
      if (direct()) {
        const float* stored = input.const_data_ptr<float>() + first * in_.numel();
        const float* padded = pad(stored, count, input_.norm(), thread);
        convolution_.run(padded, 0, count * raw_shape_.h * raw_shape_.w, out);
      }
      for (int64_t i = 0; i < count; ++i) {
        float* image = out + i * raw_shape_.numel();
        if (!direct()) multiply_image(input_image(first + i, thread), weight, image, thread);
        image_moments(image, first + i, images, thread);
      }
    });
    norm_ = batch_norm(images);
    raw_view_ = raw;
    if (pooling_.kind() == Pooling::kNone) return {raw, norm_};
    return pool(raw);
  }

  [[nodiscard]] bool infers() const override { return true; }

  void prepare_inference(int threads) override {
    combined_weight();
    prepare_scratch(threads);
    norm_ = moving_norm();
  }

  void infer(const float* images, int64_t count, float* out, int thread) override {
    for (int64_t first = 0; first < count; first += group_) {
      const int64_t group = std::min(group_, count - first);
      const float* in = images + first * in_.numel();
      float* to = out + first * out_shape_.numel();
      if (direct()) {
        infer_direct(in, group, to, thread);
      } else {
        for (int64_t i = 0; i < group; ++i) {
          infer_image(in + i * in_.numel(), to + i * out_shape_.numel(), thread);
        }
      }
    }
  }

  at::Tensor backward(const at::Tensor& grad, bool input_grad) override {
    const at::Tensor dy = grad.permute({0, 2, 3, 1}).contiguous();
    const int64_t images = dy.size(0);
    const int threads = at::get_num_threads();
    norm_sums(dy);
    at::Tensor dx;
    if (input_grad) dx = input_grad_.view({images, in_.h, in_.w, in_.c});
    const int64_t weights = grid_channels_ * windows_.size();
    float* dw = weight_grads_.get(threads, weights);
    std::fill_n(dw, threads * weights, 0.0F);
    const float* weight = combined_.get(grid_channels_, windows_.size());
    for_each_image(images, [&](int64_t n, int thread) {
      float* draw = scratch_[static_cast<size_t>(thread)].raw.get(1, raw_shape_.numel());
      raw_gradient(dy, n, draw, thread);
      const float* image = input_image(n, thread);
      float* dimage = input_grad ? dx.mutable_data_ptr<float>() + n * in_.numel() : nullptr;
      if (transposed_) {
        back_through_scatter(image, weight, draw, dimage, dw + thread * weights, thread);
      } else {
        back_through_gather(image, weight, draw, dimage, dw + thread * weights, thread);
      }
    });
    store_weight_grad(dw, threads, weights);
    release();
    return input_grad ? dx.permute({0, 3, 1, 2}) : at::Tensor();
  }

  void release() override { input_ = Value(); }

 private:
  /// What one thread needs for one image.
  struct Scratch {
    Buffer2D input;    // activated input
    Buffer2D padded;   // the same of a group of images, with borders
    Buffer2D raw;      // gradient of the raw output
    Buffer2D windows;  // unfolded windows of a tile
    Buffer2D lines;    // rows under a pooling
    Buffer2D sums;
    std::vector<uint16_t> narrow_a, narrow_b;  // factors of a product as bf16
  };

  /// A factor of a product as it is stored: `count` values in rows of `ld`.
  struct Factor {
    const float* data;
    int64_t ld;
    int64_t count;
    const uint16_t* bf16 = nullptr;  ///< the same in bf16, if it is there already
  };

  // --- forward ------------------------------------------------------------------------------

  at::Tensor bind_input(const Value& x) {
    // A stored pending value is N×H×W×C already.
    input_ = x.norm() != nullptr ? x : Value(x.stored().permute({0, 2, 3, 1}).contiguous());
    return input_.stored();
  }

  void prepare_scratch(int threads) {
    if (static_cast<int>(scratch_.size()) < threads) scratch_.resize(static_cast<size_t>(threads));
  }

  /// Whether windows are multiplied where they lie. In bf16 they are copied anyway, to be narrowed.
  [[nodiscard]] bool direct() const { return !transposed_ && precision_ == Precision::kFp32; }

  /// `count` images with borders of zeros, normalized and activated if `norm` is not null.
  const float* pad(const float* images, int64_t count, const PendingNorm* norm, int thread) {
    const int64_t size = convolution_.padded_size();
    // Borders are zero from the beginning, and nobody writes there.
    float* padded = scratch_[static_cast<size_t>(thread)].padded.zeros(group_, size);
    const int64_t line = in_.w * in_.c;
    for (int64_t i = 0; i < count; ++i) {
      for (int64_t y = 0; y < in_.h; ++y) {
        const float* from = images + (i * in_.h + y) * line;
        float* to = convolution_.image_line(padded + i * size, y);
        if (norm == nullptr) {
          std::copy_n(from, line, to);
        } else {
          norm->apply(from, to, line);
        }
      }
    }
    return padded;
  }

  /// One image's raw output by a product with unfolded windows.
  void multiply_image(const float* image, const float* weight, float* out, int thread) {
    if (transposed_) {
      scatter(image, weight, out, thread);
    } else {
      gather(image, weight, out, thread);
    }
  }

  /// The activated input, H×W×C.
  const float* input_image(int64_t n, int thread) {
    const float* stored = input_.stored().const_data_ptr<float>() + n * in_.numel();
    const PendingNorm* norm = input_.norm();
    if (norm == nullptr) return stored;
    float* image = scratch_[static_cast<size_t>(thread)].input.get(1, in_.numel());
    norm->apply(stored, image, in_.numel());
    return image;
  }

  /// grid channels × windows: the stored weight, or for an upsampled input the sum of its four
  /// copies `shift_` apart.
  const float* combined_weight() {
    const float* weight = combine();
    if (precision_ == Precision::kBf16) {
      const int64_t count = grid_channels_ * windows_.size();
      narrow_weight_.resize(static_cast<size_t>(count));
      kernels().to_bf16(weight, narrow_weight_.data(), count);
    }
    if (direct()) convolution_.pack(weight);
    return weight;
  }

  const float* combine() {
    const auto* w = parameters_[0].value.const_data_ptr<float>();
    const int64_t k = windows_.kernel;
    const int64_t c = windows_.channels;
    float* out = combined_.get(grid_channels_, windows_.size());
    if (shift_ == 0) {
      std::copy_n(w, grid_channels_ * windows_.size(), out);
      return out;
    }
    std::fill_n(out, grid_channels_ * windows_.size(), 0.0F);
    for_each_copy([&](int64_t g, int64_t y, int64_t x, int64_t dy, int64_t dx) {
      kernels().add(out + ((g * k + y + dy) * k + x + dx) * c,
                    w + ((g * kernel_ + y) * kernel_ + x) * c, c);
    });
    return out;
  }

  template <typename Body>
  void for_each_copy(Body body) const {
    for (int64_t g = 0; g < grid_channels_; ++g) {
      for (int64_t y = 0; y < kernel_; ++y) {
        for (int64_t x = 0; x < kernel_; ++x) {
          for (const int64_t dy : {int64_t{0}, shift_}) {
            for (const int64_t dx : {int64_t{0}, shift_}) body(g, y, x, dy, dx);
          }
        }
      }
    }
  }

  /// C (m×n) = op(A)·op(B) + beta·C, in the layer's precision.
  void multiply(int thread, bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k,
                const Factor& a, const Factor& b, float beta, float* c, int64_t ldc) {
    if (precision_ == Precision::kFp32) {
      gemm(transpose_a, transpose_b, m, n, k, a.data, a.ld, b.data, b.ld, beta, c, ldc);
      return;
    }
    Scratch& scratch = scratch_[static_cast<size_t>(thread)];
    gemm_bf16(transpose_a, transpose_b, m, n, k, narrow(a, scratch.narrow_a), a.ld,
              narrow(b, scratch.narrow_b), b.ld, beta, c, ldc);
  }

  static const uint16_t* narrow(const Factor& factor, std::vector<uint16_t>& buffer) {
    if (factor.bf16 != nullptr) return factor.bf16;
    const auto count = static_cast<size_t>(factor.count);
    if (buffer.size() < count) buffer.resize(count);
    kernels().to_bf16(factor.data, buffer.data(), factor.count);
    return buffer.data();
  }

  [[nodiscard]] Factor weight_factor(const float* weight) const {
    const uint16_t* bf16 = precision_ == Precision::kBf16 ? narrow_weight_.data() : nullptr;
    return {weight, windows_.size(), grid_channels_ * windows_.size(), bf16};
  }
  [[nodiscard]] Factor windows_factor(const float* rows, int64_t cells) const {
    return {rows, windows_.size(), cells * windows_.size()};
  }
  [[nodiscard]] Factor grid_factor(const float* grid, int64_t cells) const {
    return {grid, grid_channels_, cells * grid_channels_};
  }

  template <typename Body>
  void for_each_tile(int thread, Body body) {
    float* rows =
        scratch_[static_cast<size_t>(thread)].windows.get(tile_ * windows_.grid_w, windows_.size());
    for (int64_t begin = 0; begin < windows_.grid_h; begin += tile_) {
      const int64_t end = std::min(begin + tile_, windows_.grid_h);
      body(begin, end, (end - begin) * windows_.grid_w, rows);
    }
  }

  /// grid = windows(image) · weightᵀ
  void gather(const float* image, const float* weight, float* grid, int thread) {
    for_each_tile(thread, [&](int64_t begin, int64_t end, int64_t cells, float* rows) {
      unfold(windows_, image, begin, end, rows);
      multiply(thread, false, true, cells, grid_channels_, windows_.size(),
               windows_factor(rows, cells), weight_factor(weight), 0.0F,
               grid + begin * windows_.grid_w * grid_channels_, grid_channels_);
    });
  }

  /// image = fold(grid · weight)
  void scatter(const float* grid, const float* weight, float* image, int thread) {
    std::fill_n(image, windows_.image_h * windows_.image_w * windows_.channels, 0.0F);
    for_each_tile(thread, [&](int64_t begin, int64_t end, int64_t cells, float* rows) {
      multiply(thread, false, false, cells, windows_.size(), grid_channels_,
               grid_factor(grid + begin * windows_.grid_w * grid_channels_, cells),
               weight_factor(weight), 0.0F, rows, windows_.size());
      fold_add(windows_, rows, begin, end, image);
    });
  }

  /// Mean and Σ(x − mean)² of one image's channels, around its first pixel so that a large mean
  /// costs no digits.
  void image_moments(const float* raw, int64_t n, int64_t images, int thread) {
    const int64_t c = raw_shape_.c;
    float* buffer = scratch_[static_cast<size_t>(thread)].sums.get(3, period_);
    float* center = buffer;
    float* s1 = buffer + period_;
    float* s2 = s1 + period_;
    for (int64_t i = 0; i < period_; ++i) center[i] = raw[i % c];
    std::fill_n(s1, 2 * period_, 0.0F);
    kernels().moments(raw, raw_shape_.numel(), center, period_, s1, s2);
    const double pixels = static_cast<double>(raw_shape_.h * raw_shape_.w);
    float* out = moments_.get(images, 2 * c) + n * 2 * c;
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
    const float* moments = moments_.get(images, 2 * c);
    const double pixels = static_cast<double>(raw_shape_.h * raw_shape_.w);
    mean_.assign(static_cast<size_t>(c), 0.0);
    invstd_.assign(static_cast<size_t>(c), 0.0);
    std::vector<double> scale(static_cast<size_t>(c));
    std::vector<double> shift(static_cast<size_t>(c));
    const auto* gamma = parameters_[2].value.const_data_ptr<float>();
    const auto* beta = parameters_[3].value.const_data_ptr<float>();
    const auto* bias = parameters_[1].value.const_data_ptr<float>();
    auto* running_mean = buffers_[0].value.mutable_data_ptr<float>();
    auto* running_var = buffers_[1].value.mutable_data_ptr<float>();
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
    const at::Tensor out = pooled_.view({images, out_shape_.h, out_shape_.w, out_shape_.c});
    for_each_group(images, group_, [&](int64_t first, int64_t count, int thread) {
      infer(input.const_data_ptr<float>() + first * in_.numel(), count,
            out.mutable_data_ptr<float>() + first * out_shape_.numel(), thread);
    });
    input_ = Value();
    return Value(out.permute({0, 3, 1, 2}));
  }

  /// Up to group_ images. What the convolution writes is normalized, activated and pooled while it
  /// is in the first caches.
  void infer_direct(const float* images, int64_t count, float* out, int thread) {
    const float* padded = pad(images, count, nullptr, thread);
    const int64_t line = raw_shape_.w * raw_shape_.c;
    const int64_t rows = count * raw_shape_.h;
    if (pooling_.kind() == Pooling::kNone) {
      const int64_t block = std::max<int64_t>(kRowsBytes / (line * int64_t{sizeof(float)}), 1);
      for (int64_t row = 0; row < rows; row += block) {
        const int64_t end = std::min(row + block, rows);
        convolution_.run(padded, row * raw_shape_.w, end * raw_shape_.w, out + row * line);
        norm_->apply(out + row * line, out + row * line, (end - row) * line);
      }
      return;
    }
    float* lines = scratch_[static_cast<size_t>(thread)].lines.get(2, line);
    const int64_t out_line = out_shape_.w * out_shape_.c;
    for (int64_t i = 0; i < count * out_shape_.h; ++i) {
      const int64_t row = i % out_shape_.h;
      const int64_t begin = i / out_shape_.h * raw_shape_.h + 2 * row;
      const int64_t under = pooling_.rows_under(row);
      convolution_.run(padded, begin * raw_shape_.w, (begin + under) * raw_shape_.w, lines);
      norm_->apply(lines, lines, under * line);
      pooling_.forward(lines, row, out + i * out_line, nullptr);
    }
  }

  void infer_image(const float* image, float* out, int thread) {
    const float* weight = combined_.get(grid_channels_, windows_.size());
    if (pooling_.kind() == Pooling::kNone) {
      multiply_image(image, weight, out, thread);
      norm_->apply(out, out, raw_shape_.numel());
      return;
    }
    Scratch& scratch = scratch_[static_cast<size_t>(thread)];
    float* raw = scratch.raw.get(1, raw_shape_.numel());
    multiply_image(image, weight, raw, thread);
    norm_->apply(raw, raw, raw_shape_.numel());
    for (int64_t row = 0; row < out_shape_.h; ++row) {
      pooling_.forward(raw + 2 * row * raw_shape_.w * raw_shape_.c, row,
                       out + row * out_shape_.w * out_shape_.c, nullptr);
    }
  }

  // --- pooling --------------------------------------------------------------------------------

  Value pool(const at::Tensor& raw) {
    const int64_t images = raw.size(0);
    const at::Tensor out = pooled_.view({images, out_shape_.h, out_shape_.w, out_shape_.c});
    if (pooling_.kind() == Pooling::kMax && (!argmax_.defined() || argmax_.size(0) < images)) {
      argmax_ = at::empty({images, out_shape_.numel()}, at::kByte);
    }
    const int64_t line = raw_shape_.w * raw_shape_.c;
    const int64_t out_line = out_shape_.w * out_shape_.c;
    for_each_image(images, [&](int64_t n, int thread) {
      float* lines = scratch_[static_cast<size_t>(thread)].lines.get(2, line);
      const auto* x = raw.const_data_ptr<float>() + n * raw_shape_.numel();
      auto* y = out.mutable_data_ptr<float>() + n * out_shape_.numel();
      for (int64_t row = 0; row < out_shape_.h; ++row) {
        norm_->apply(x + 2 * row * line, lines, pooling_.rows_under(row) * line);
        pooling_.forward(lines, row, y + row * out_line, argmax(n, row));
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
  /// activation there.
  template <typename Body>
  void for_each_stretch(const at::Tensor& grad, int64_t n, int thread, Body body) {
    const auto* dy = grad.const_data_ptr<float>() + n * out_shape_.numel();
    if (pooling_.kind() == Pooling::kNone) {
      body(int64_t{0}, raw_shape_.numel(), dy);
      return;
    }
    const int64_t line = raw_shape_.w * raw_shape_.c;
    float* lines = scratch_[static_cast<size_t>(thread)].lines.get(2, line);
    for (int64_t row = 0; row < out_shape_.h; ++row) {
      pooling_.backward(dy + row * out_shape_.w * out_shape_.c, row, lines, argmax(n, row));
      body(2 * row * line, pooling_.rows_under(row) * line, static_cast<const float*>(lines));
    }
  }

  // --- backward -------------------------------------------------------------------------------

  /// The two sums over the whole batch that a batch normalization's gradient takes.
  void norm_sums(const at::Tensor& dy) {
    const int64_t images = dy.size(0);
    const int64_t c = raw_shape_.c;
    center_ = periodic(mean_);
    float* all = sums_.get(images, 2 * c);
    for_each_image(images, [&](int64_t n, int thread) {
      float* s1 = scratch_[static_cast<size_t>(thread)].sums.get(3, period_);
      float* s2 = s1 + period_;
      std::fill_n(s1, 2 * period_, 0.0F);
      const auto* raw = raw_view_.const_data_ptr<float>() + n * raw_shape_.numel();
      for_each_stretch(dy, n, thread, [&](int64_t offset, int64_t count, const float* g) {
        kernels().norm_backward_sums(raw + offset, g, count, norm_->scale.data(),
                                     norm_->shift.data(), center_.data(), period_, activation_, s1,
                                     s2);
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
    const auto* gamma = parameters_[2].value.const_data_ptr<float>();
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
    parameters_[2].grad = dgamma;
    parameters_[3].grad = dbeta;
    k1_ = periodic(k1);
    k2_ = periodic(k2);
    k3_ = periodic(k3);
  }

  void raw_gradient(const at::Tensor& dy, int64_t n, float* draw, int thread) {
    const auto* raw = raw_view_.const_data_ptr<float>() + n * raw_shape_.numel();
    for_each_stretch(dy, n, thread, [&](int64_t offset, int64_t count, const float* g) {
      kernels().norm_backward_apply(raw + offset, g, draw + offset, count, norm_->scale.data(),
                                    norm_->shift.data(), k1_.data(), k2_.data(), k3_.data(),
                                    period_, activation_);
    });
  }

  /// Of gather(): dweight += dgridᵀ · windows(image); dimage = fold(dgrid · weight).
  void back_through_gather(const float* image, const float* weight, const float* dgrid,
                           float* dimage, float* dweight, int thread) {
    const int64_t size = windows_.size();
    if (dimage != nullptr) std::fill_n(dimage, in_.numel(), 0.0F);
    for_each_tile(thread, [&](int64_t begin, int64_t end, int64_t cells, float* rows) {
      const float* g = dgrid + begin * windows_.grid_w * grid_channels_;
      unfold(windows_, image, begin, end, rows);
      multiply(thread, true, false, grid_channels_, size, cells, grid_factor(g, cells),
               windows_factor(rows, cells), 1.0F, dweight, size);
      if (dimage == nullptr) return;
      multiply(thread, false, false, cells, size, grid_channels_, grid_factor(g, cells),
               weight_factor(weight), 0.0F, rows, size);
      fold_add(windows_, rows, begin, end, dimage);
    });
  }

  /// Of scatter(): dweight += gridᵀ · windows(dimage); dgrid = windows(dimage) · weightᵀ.
  void back_through_scatter(const float* grid, const float* weight, const float* dimage,
                            float* dgrid, float* dweight, int thread) {
    const int64_t size = windows_.size();
    for_each_tile(thread, [&](int64_t begin, int64_t end, int64_t cells, float* rows) {
      const int64_t offset = begin * windows_.grid_w * grid_channels_;
      unfold(windows_, dimage, begin, end, rows);
      multiply(thread, true, false, grid_channels_, size, cells, grid_factor(grid + offset, cells),
               windows_factor(rows, cells), 1.0F, dweight, size);
      if (dgrid == nullptr) return;
      multiply(thread, false, true, cells, grid_channels_, size, windows_factor(rows, cells),
               weight_factor(weight), 0.0F, dgrid + offset, grid_channels_);
    });
  }

  /// Adds up what the threads have, and takes the copies of an upsampled kernel together again.
  void store_weight_grad(float* dw, int threads, int64_t weights) {
    for (int t = 1; t < threads; ++t) kernels().add(dw, dw + t * weights, weights);
    at::Tensor& grad = parameters_[0].grad;
    if (!grad.defined()) grad = at::empty_like(parameters_[0].value);
    auto* out = grad.mutable_data_ptr<float>();
    if (shift_ == 0) {
      std::copy_n(dw, weights, out);
      return;
    }
    const int64_t k = windows_.kernel;
    const int64_t c = windows_.channels;
    std::fill_n(out, grad.numel(), 0.0F);
    for_each_copy([&](int64_t g, int64_t y, int64_t x, int64_t dy, int64_t dx) {
      kernels().add(out + ((g * kernel_ + y) * kernel_ + x) * c,
                    dw + ((g * k + y + dy) * k + x + dx) * c, c);
    });
  }

  double momentum_;
  double epsilon_;
  Shape in_;
  Shape raw_shape_;  ///< of the convolution's output
  Shape out_shape_;
  Activation activation_ = Activation::kLinear;
  RowPooling pooling_;
  bool transposed_ = false;
  int64_t kernel_ = 0;
  int64_t shift_ = 0;  ///< distance of the copies of the kernel; 0 without an upsampling
  Windows windows_;
  int64_t grid_channels_ = 0;
  int64_t period_ = 0;
  int64_t tile_ = 1;   ///< grid rows at a time
  int64_t group_ = 1;  ///< images at a time
  Convolution convolution_;

  std::vector<Scratch> scratch_;
  Buffer2D combined_, raw_, pooled_, input_grad_, weight_grads_, moments_, sums_;
  at::Tensor argmax_;
  std::vector<uint16_t> narrow_weight_;

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
                                       const ModelConfig& config, uint64_t bits) {
  return std::make_unique<ConvStage>(specs, config, bits);
}

}  // namespace flexae

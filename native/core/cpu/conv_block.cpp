#include "core/cpu/conv_block.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>

#include "core/base/error.h"
#include "core/base/parallel.h"
#include "core/cpu/border.h"
#include "core/cpu/conv_geometry.h"
#include "core/cpu/convolution.h"
#include "core/cpu/image_groups.h"
#include "core/cpu/match.h"
#include "core/cpu/norm_pool.h"
#include "core/layers/kinds.h"
#include "core/tensor/scratch_buffer.h"

namespace flexae {
namespace {

/// Bytes of output that evaluation finishes at a time: they stay in the first caches.
constexpr int64_t kRowsBytes = int64_t{32} << 10;

/// Output pixels for which a thread reads the weight once, where images have fewer.
constexpr int64_t kGroupCells = 384;

/// T: what the products' factors and the raw output are stored as.
template <typename T>
class ConvStage : public Layer, private RowwiseGradient {
 public:
  ConvStage(const std::vector<LayerSpec>& specs, const StageMatch& match, const ModelConfig& config,
            uint64_t bits)
      : Layer(specs.front()),
        conv_(match.conv->name),
        norm_(match.norm->name),
        in_(specs.front().in),
        raw_shape_(match.conv->out),
        out_shape_(specs.back().out),
        transposed_(match.conv->is(kinds::kConvTranspose)),
        border_(*match.conv, in_, match.upsample != nullptr),
        convolution_(border_.geometry()),
        norm_pool_(raw_shape_, out_shape_,
                   match.pool != nullptr ? match.pool->pooling : Pooling::kNone, config,
                   match.norm->activation) {
    spec_.out = out_shape_;
    border_.widen(convolution_.geometry());
    group_ = std::clamp<int64_t>(kGroupCells / geometry().cells(), 1, kGroupCells);

    for (const LayerSpec* part : {match.conv, match.norm}) {
      const auto layer = make_layer(*part, config, bits);
      for (Parameter& p : layer->parameters()) parameters_.push_back(std::move(p));
      for (Buffer& b : layer->buffers()) buffers_.push_back(std::move(b));
    }
  }

  void share_statistics(Communicator& communicator) override { norm_pool_.share(communicator); }

  Activations forward(const Activations& x, PassContext& context) override {
    const at::Tensor input = bind_input(x);
    const int64_t images = input.size(0);
    if (!context.training) return infer_batch(input);
    prepare(at::get_num_threads());
    const at::Tensor raw = raw_.view({images, raw_shape_.h, raw_shape_.w, raw_shape_.c});
    norm_pool_.begin_forward(images);
    for_each_group(images, group_, [&](int64_t first, int64_t count, int thread) {
      T* out = mutable_values<T>(raw) + first * raw_shape_.numel();
      multiply(bordered_batch(first, count, thread), count, out, thread);
      for (int64_t i = 0; i < count; ++i) {
        norm_pool_.add_moments(out + i * raw_shape_.numel(), first + i, thread);
      }
    });
    return norm_pool_.end_forward(raw, norm_tensors());
  }

  [[nodiscard]] bool infers() const override { return true; }

  void prepare_inference(int threads) override {
    if (frozen_ && threads <= prepared_) return;
    prepare(threads);
    norm_pool_.prepare_inference(norm_tensors());
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
    const BatchStats::Gradients gradients = norm_pool_.begin_backward(dy, gamma().value);
    gamma().grad.tensor = gradients.gamma;
    beta().grad.tensor = gradients.beta;
    using Product = typename Convolution<T>::Product;
    if (input_grad) convolution_.pack(transposed_ ? Product::kForward : Product::kBackwardData);
    at::Tensor dx;
    if (input_grad) dx = input_grad_.view({images, in_.h, in_.w, in_.c});
    const int64_t sums = convolution_.sums_size();
    const std::vector<int64_t> parts = image_parts(images, group_, sums);
    weight_parts_ = static_cast<int64_t>(parts.size()) - 1;
    float* all_sums = weight_sums_.get(weight_parts_ * sums);
    parallel_for(weight_parts_, [&](int64_t part, int thread) {
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
    weight().grad.rows = this;
    release();
    return input_grad ? dx.permute({0, 3, 1, 2}) : at::Tensor();
  }

  [[nodiscard]] bool takes_narrow_gradients() const override { return true; }

  void release() override { input_ = Activations(); }

 private:
  // What the optimizer takes of the weight's gradient: whole cache lines of the sums.
  [[nodiscard]] int64_t rows_at_once() const override { return 16; }
  void take_rows(int64_t begin, int64_t end, float* out,
                 std::span<const float* const> /*read*/) const override {
    const int64_t step = rows_at_once();
    for (int64_t first = begin; first < end; first += step, out += step * geometry().size()) {
      convolution_.store_weight_gradient(weight_sums_.data(), weight_parts_, first,
                                         std::min(first + step, end), out);
    }
  }

  /// What one thread needs for a group of images.
  struct Scratch {
    ScratchBuffer<T> input;       // activated, in its border
    ScratchBuffer<T> gradient;    // of the raw output, in its border
    ScratchBuffer<float> summed;  // images with their borders, of backward_data
    ScratchBuffer<T> apart;       // one image in wide borders, before its copies are added up
    ScratchBuffer<float> raw;     // raw output in evaluation
    ScratchBuffer<float> lines;   // raw rows under a pooling, or one of an input
  };

  [[nodiscard]] const ConvGeometry& geometry() const { return border_.geometry(); }
  Parameter& weight() { return parameter(conv_ + ".weight"); }
  Parameter& gamma() { return parameter(norm_ + ".weight"); }
  Parameter& beta() { return parameter(norm_ + ".bias"); }
  [[nodiscard]] NormTensors norm_tensors() {
    return {parameter(conv_ + ".bias").value, gamma().value, beta().value,
            buffer("running_mean").value, buffer("running_var").value};
  }
  Scratch& scratch(int thread) { return scratch_[static_cast<size_t>(thread)]; }

  /// For a forward pass.
  void prepare(int threads) {
    convolution_.prepare(values<float>(weight().value), threads);
    using Product = typename Convolution<T>::Product;
    convolution_.pack(transposed_ ? Product::kBackwardData : Product::kForward);
    norm_pool_.prepare(threads);
    if (static_cast<int>(scratch_.size()) < threads) scratch_.resize(static_cast<size_t>(threads));
  }

  // --- forward ------------------------------------------------------------------------------

  at::Tensor bind_input(const Activations& x) {
    // Bytes and raw values whose normalization is deferred are N×H×W×C already.
    const bool as_it_is = x.norm() != nullptr || x.is_bytes();
    input_ = as_it_is ? x : Activations(x.stored().permute({0, 2, 3, 1}).contiguous());
    return input_.stored();
  }

  /// Raw outputs of `count` images, which are bordered_input()'s.
  template <typename O>
  void multiply(const T* bordered, int64_t count, O* out, int thread) {
    if (!transposed_) {
      convolution_.forward(bordered, 0, count * geometry().cells(), out, thread);
      return;
    }
    float* summed = scratch(thread).summed.zeros(group_ * geometry().numel());
    convolution_.backward_data(bordered, count, summed, thread);
    border_.remove(summed, count, out);
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
                          const DeferredBatchNorm* norm = nullptr) {
    // Borders are zero from the beginning, and nobody writes there.
    T* bordered = scratch(thread).input.zeros(border_.inputs_size(group_));
    border_.insert(images, count, bordered, scratch(thread).lines, norm);
    return bordered;
  }

  /// The same of images of three planes.
  const T* bordered_planes(const float* images, int64_t count, int thread) {
    T* bordered = scratch(thread).input.zeros(border_.inputs_size(group_));
    border_.insert_planes(images, count, bordered, scratch(thread).lines);
    return bordered;
  }

  // --- evaluation -----------------------------------------------------------------------------

  Activations infer_batch(const at::Tensor& input) {
    const int64_t images = input.size(0);
    prepare_inference(at::get_num_threads());
    const at::Tensor out = evaluated_.view({images, out_shape_.h, out_shape_.w, out_shape_.c});
    for_each_group(images, group_, [&](int64_t first, int64_t count, int thread) {
      infer(input.const_data_ptr<float>() + first * in_.numel(), count,
            out.mutable_data_ptr<float>() + first * out_shape_.numel(), thread);
    });
    input_ = Activations();
    return Activations(out.permute({0, 3, 1, 2}));
  }

  void infer_groups(const float* images, int64_t count, float* out, int thread, bool planes) {
    for (int64_t first = 0; first < count; first += group_) {
      const int64_t group = std::min(group_, count - first);
      const float* in = images + first * in_.numel();
      float* to = out + first * out_shape_.numel();
      const T* bordered =
          planes ? bordered_planes(in, group, thread) : bordered_input(in, group, thread);
      // For the BLAS, a few rows are too little for one product, and Winograd takes whole images.
      using Algorithm = typename Convolution<T>::Algorithm;
      const Algorithm algorithm = convolution_.algorithm();
      if (!transposed_ && (algorithm == Algorithm::kInPlace || algorithm == Algorithm::kLines)) {
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
      convolution_.forward(bordered, begin * raw_shape_.w, end * raw_shape_.w, to, thread);
    };
    if (!norm_pool_.pools()) {
      const int64_t block = std::max<int64_t>(kRowsBytes / (line * int64_t{sizeof(float)}), 1);
      const int64_t end = count * raw_shape_.h;
      for (int64_t row = 0; row < end; row += block) {
        const int64_t last = std::min(row + block, end);
        rows(row, last, out + row * line);
        norm_pool_.activate(out + row * line, (last - row) * line);
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
          norm_pool_.pool_row(lines + 2 * (row - first) * line, row, out);
        }
      }
    }
  }

  void infer_whole(const T* bordered, int64_t count, float* out, int thread) {
    float* raw = norm_pool_.pools() ? scratch(thread).raw.get(group_ * raw_shape_.numel()) : out;
    multiply(bordered, count, raw, thread);
    if (!norm_pool_.pools()) return norm_pool_.activate(raw, count * raw_shape_.numel());
    const int64_t line = raw_shape_.w * raw_shape_.c;
    const int64_t out_line = out_shape_.w * out_shape_.c;
    for (int64_t i = 0; i < count * out_shape_.h; ++i) {
      const int64_t row = i % out_shape_.h;
      const int64_t begin = i / out_shape_.h * raw_shape_.h + 2 * row;
      norm_pool_.pool_row(raw + begin * line, row, out + i * out_line);
    }
  }

  // --- backward -------------------------------------------------------------------------------

  void back_through_gather(const at::Tensor& dy, int64_t first, int64_t count, T* dimages,
                           float* dw, bool fresh, int thread) {
    T* dgrid =
        scratch(thread).gradient.zeros(group_ * geometry().grid_numel() + geometry().slack());
    for (int64_t i = 0; i < count; ++i) {
      norm_pool_.raw_gradient(dy, first + i,
                              dgrid + i * geometry().grid_numel() + geometry().grid_start(),
                              geometry().grid_line(), thread);
    }
    const T* bordered = bordered_batch(first, count, thread);
    convolution_.backward_weights(dgrid, bordered, count, dw, fresh, thread);
    if (dimages == nullptr) return;
    float* summed = scratch(thread).summed.zeros(group_ * geometry().numel());
    convolution_.backward_data(dgrid, count, summed, thread);
    border_.remove(summed, count, dimages);
  }

  void back_through_scatter(const at::Tensor& dy, int64_t first, int64_t count, T* dgrid, float* dw,
                            bool fresh, int thread) {
    T* bordered = scratch(thread).gradient.zeros(group_ * geometry().numel() + geometry().slack());
    for (int64_t i = 0; i < count; ++i) {
      bordered_gradient(dy, first + i, bordered + i * geometry().numel(), thread);
    }
    const T* grid = bordered_batch(first, count, thread);
    convolution_.backward_weights(grid, bordered, count, dw, fresh, thread);
    if (dgrid == nullptr) return;
    convolution_.forward(bordered, 0, count * geometry().cells(), dgrid, thread);
  }

  /// The gradient of image `n`'s raw output in its border, of an upsampled input added up where its
  /// copies came from.
  void bordered_gradient(const at::Tensor& dy, int64_t n, T* bordered, int thread) {
    if (!border_.adds_copies()) {
      norm_pool_.raw_gradient(dy, n, bordered + border_.image_line(0), geometry().line(), thread);
      return;
    }
    T* apart = scratch(thread).apart.zeros(border_.apart_size());
    norm_pool_.raw_gradient(dy, n, apart + border_.apart_start(), border_.apart_line(), thread);
    border_.add_copies(apart, bordered);
  }

  std::string conv_;  ///< Names of the layers whose weights it has.
  std::string norm_;
  Shape in_;
  Shape raw_shape_;  ///< of the convolution's output
  Shape out_shape_;
  bool transposed_;
  Border<T> border_;
  Convolution<T> convolution_;
  NormPool<T> norm_pool_;
  int64_t group_ = 1;  ///< images at a time
  int prepared_ = 0;   ///< threads that frozen weights have been prepared for

  std::vector<Scratch> scratch_;
  ScratchBuffer<T> raw_, input_grad_;
  ScratchBuffer<float> evaluated_, weight_sums_;
  int64_t weight_parts_ = 0;  ///< of the images, each with its own weight_sums_
  Activations input_;
};

}  // namespace

size_t conv_stage_length(const std::vector<LayerSpec>& specs, size_t first) {
  return match_conv_stage(specs, first).length;
}

std::unique_ptr<Layer> make_conv_stage(const std::vector<LayerSpec>& specs,
                                       const ModelConfig& config, Precision precision,
                                       uint64_t bits) {
  const StageMatch match = match_conv_stage(specs, 0);
  if (match.length != specs.size()) {
    throw Error(ErrorCode::kInternal, "no stage computes these layers");
  }
  if (precision == Precision::kBf16) {
    return std::make_unique<ConvStage<Bf16>>(specs, match, config, bits);
  }
  return std::make_unique<ConvStage<float>>(specs, match, config, bits);
}

}  // namespace flexae

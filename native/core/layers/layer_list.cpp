#include "core/layers/layer_list.h"

#include <algorithm>
#include <utility>

#include "core/base/error.h"
#include "core/base/math.h"
#include "core/layers/kinds.h"
#include "core/loss/loss.h"

namespace flexae {
namespace {

Shape flat(int64_t n) {
  return {n, 1, 1, true};
}

// No machine holds a layer of more values or weights, or computes so many products for an image.
// What is below stays in int64 when it is added up.
constexpr double kMostValues = 0x1p40;
constexpr double kMostMacs = 0x1p52;

double product(const std::vector<int64_t>& sizes) {
  double values = 1;
  for (const int64_t size : sizes) values *= static_cast<double>(size);
  return values;
}

void require_possible(const LayerSpec& layer) {
  LayerSpec backward = layer;
  std::swap(backward.in, backward.out);
  const double macs = std::max(layer.kind->macs(layer), layer.kind->macs(backward));
  bool possible = product(layer.out.sizes()) <= kMostValues && macs <= kMostMacs;
  for (const WeightSpec& weight : layer.kind->weights(layer)) {
    possible = possible && product(weight.sizes) <= kMostValues;
  }
  if (possible) return;
  throw Error(ErrorCode::kConfig, "Layer " + layer.full_name() +
                                      " would be larger than any machine can hold." +
                                      "\nUse smaller images, fewer filters or narrower dims.");
}

class Builder {
 public:
  explicit Builder(const ModelConfig& config) : config_(config) {
    shape_ = {config.channels, config.height, config.width};
  }

  std::vector<LayerSpec> build() {
    convolve();
    if (config_.mlp) {
      encode_dense();
      part_ = Part::kDecoder;
      decode_dense();
    }
    part_ = Part::kDecoder;
    deconvolve();
    for (const LayerSpec& layer : layers_) require_possible(layer);
    return std::move(layers_);
  }

 private:
  LayerSpec& add(const LayerKind& kind, std::string name, Shape out) {
    LayerSpec& layer = layers_.emplace_back();
    layer.kind = &kind;
    layer.part = part_;
    layer.name = std::move(name);
    layer.in = shape_;
    layer.out = out;
    shape_ = out;
    return layer;
  }

  void batch_norm(const std::string& of, Activation activation) {
    add(kinds::kBatchNorm, of + "_bn", shape_).activation = activation;
  }

  void dropout(const std::string& name) {
    if (config_.drop_rate > 0) {
      add(kinds::kDropout, name, shape_).drop_rate = config_.drop_rate;
    }
  }

  void dense(const std::string& name, int64_t units, Activation activation) {
    LayerSpec& layer = add(kinds::kDense, name, flat(units));
    layer.activation = activation;
    layer.use_bias = config_.use_bias;
  }

  void convolve() {
    for (size_t i = 0; i < config_.filters.size(); ++i) {
      const std::string index = std::to_string(i);
      const int64_t stride = config_.strides[i];
      // A map of one pixel passes any stride unchanged; a larger one that is smaller than its
      // stride would lose most of its pixels unseen.
      if (shape_.h > 1 || shape_.w > 1) require_room("conv_" + index, stride, "stride", index);
      LayerSpec& layer =
          add(kinds::kConv, "conv_" + index,
              {config_.filters[i], ceil_div(shape_.h, stride), ceil_div(shape_.w, stride)});
      layer.kernel = config_.kernel_size[i];
      layer.stride = stride;
      batch_norm("conv_" + index, config_.activation);
      conv_out_.push_back(shape_);
      if (config_.pooling[i] != Pooling::kNone) {
        require_room("pool_" + index, 2, "pooling", index);
        add(kinds::kPool, "pool_" + index, {shape_.c, ceil_div(shape_.h, 2), ceil_div(shape_.w, 2)})
            .pooling = config_.pooling[i];
      }
    }
    before_flatten_ = shape_;
    add(kinds::kFlatten, "flatten", flat(shape_.numel()));
    dropout("flatten_dropout");
  }

  void require_room(const std::string& name, int64_t factor, const char* what,
                    const std::string& index) const {
    if (std::min(shape_.h, shape_.w) >= factor) return;
    throw Error(ErrorCode::kConfig,
                "imageShape [" + std::to_string(config_.height) + ", " +
                    std::to_string(config_.width) + "] is too small at encoder layer " + index +
                    " (" + name + "): " + what + " " + std::to_string(factor) +
                    " meets an image of only " + std::to_string(shape_.h) + "×" +
                    std::to_string(shape_.w) +
                    ".\nUse larger images, fewer filters, smaller strides or less pooling.");
  }

  void encode_dense() {
    const auto& dims = config_.dims;
    for (size_t i = 0; i + 1 < dims.size(); ++i) {
      const std::string name = "dense_" + std::to_string(i);
      dense(name, dims[i], Activation::kLinear);
      batch_norm(name, config_.activation);
      dropout(name + "_dropout");
    }
    dense("dense_" + std::to_string(dims.size() - 1), dims.back(), config_.last_activation);
  }

  void decode_dense() {
    // One width is mirrored by itself, several by the reverse of all but the embedding's.
    std::vector<int64_t> widths(config_.dims.rbegin(), config_.dims.rend());
    if (widths.size() > 1) widths.erase(widths.begin());
    for (size_t i = 0; i < widths.size(); ++i) {
      const std::string name = "dense_" + std::to_string(i);
      const bool last = i + 1 == widths.size();
      dense(name, widths[i], last ? config_.last_activation : Activation::kLinear);
      if (!last) batch_norm(name, config_.activation);
    }
    dense("dense_" + std::to_string(widths.size()), before_flatten_.numel(),
          config_.last_activation);
  }

  void deconvolve() {
    const int last = static_cast<int>(config_.filters.size()) - 1;
    add(kinds::kReshape, "reshape", before_flatten_);
    if (config_.pooling[last] != Pooling::kNone) upsample(last, conv_out_[last]);
    for (int i = last - 1; i >= 0; --i) {
      if (config_.pooling[i] != Pooling::kNone) {
        upsample(i, {shape_.c, shape_.h * 2, shape_.w * 2});
      }
      deconv("deconv_" + std::to_string(i), config_.filters[i], i + 1, conv_out_[i],
             config_.activation);
    }
    deconv("deconv_end", config_.channels, 0, {config_.channels, config_.height, config_.width},
           loss_of(config_).output);
  }

  void upsample(int i, Shape out) { add(kinds::kUpsample, "upsample_" + std::to_string(i), out); }

  void deconv(const std::string& name, int64_t filters, int setting, Shape size,
              Activation activation) {
    LayerSpec& layer = add(kinds::kConvTranspose, name, {filters, size.h, size.w});
    layer.kernel = config_.kernel_size[setting];
    layer.stride = config_.strides[setting];
    batch_norm(name, activation);
  }

  const ModelConfig& config_;
  std::vector<LayerSpec> layers_;
  Part part_ = Part::kEncoder;
  Shape shape_;
  Shape before_flatten_;
  std::vector<Shape> conv_out_;
};

}  // namespace

std::vector<LayerSpec> make_layers(const ModelConfig& config) {
  validate(config);
  return Builder(config).build();
}

}  // namespace flexae

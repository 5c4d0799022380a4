#include "core/cpu/dense_layer.h"

#include <ATen/ATen.h>

#include "core/cpu/dense.h"
#include "core/layers/dense.h"

namespace flexae {
namespace {

class DenseLayer : public Dense {
 public:
  using Dense::Dense;

 protected:
  at::Tensor product(const at::Tensor& x) override {
    return by_kernels(
        x,
        [&](auto& products) {
          const at::Tensor vectors = x.contiguous();
          return frozen_ ? products.infer(vectors, weight()) : products.forward(vectors, weight());
        },
        [&] { return Dense::product(x); });
  }

  Gradient weight_gradient(const at::Tensor& dz, const at::Tensor& x) override {
    return by_kernels(
        dz,
        [&](auto& products) {
          return Gradient{{}, &products.weight_gradient(dz.contiguous(), x.contiguous())};
        },
        [&] { return Dense::weight_gradient(dz, x); });
  }

  at::Tensor input_gradient(const at::Tensor& dz) override {
    return by_kernels(
        dz, [&](auto& products) { return products.input_gradient(dz.contiguous(), weight()); },
        [&] { return Dense::input_gradient(dz); });
  }

 private:
  /// kernel(products) where the products of `t`'s type are this program's, aten() elsewhere.
  template <typename Kernel, typename Aten>
  auto by_kernels(const at::Tensor& t, Kernel kernel, Aten aten) -> decltype(aten()) {
    // Of a batch that is shared out, a process may have no image.
    const bool fits =
        t.is_cpu() && t.scalar_type() == at::kFloat && weight().is_contiguous() && t.size(0) > 0;
    if (fits && precision_ == Precision::kFp32 && DenseProducts<float>::available()) {
      return kernel(fp32_products_);
    }
    if (fits && precision_ == Precision::kBf16 && DenseProducts<Bf16>::available()) {
      return kernel(bf16_products_);
    }
    return aten();
  }

  DenseProducts<float> fp32_products_;
  DenseProducts<Bf16> bf16_products_;
};

}  // namespace

std::unique_ptr<Layer> make_dense_layer(const LayerSpec& spec, const ModelConfig& config,
                                        uint64_t bits) {
  return std::make_unique<DenseLayer>(spec, config, bits);
}

}  // namespace flexae

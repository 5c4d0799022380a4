#include "core/cpu/dense_layer.h"

#include <ATen/ATen.h>

#include "core/cpu/dense.h"
#include "core/layers/dense.h"

namespace flexae {
namespace {

class DenseLayer : public Dense {
 public:
  using Dense::Dense;

  void freeze() override {
    Dense::freeze();
    by_kernels(
        weight(),
        [&](auto& products) {
          products.keep(weight());
          // It would be in memory twice.
          parameter("weight").value.reset();
          return true;
        },
        [] { return false; });
  }

 protected:
  at::Tensor product(const at::Tensor& x) override {
    if (fp32_products_.kept()) return fp32_products_.infer(x.contiguous());
    if (bf16_products_.kept()) return bf16_products_.infer(x.contiguous());
    return by_kernels(
        x, [&](auto& products) { return products.forward(x.contiguous(), weight()); },
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

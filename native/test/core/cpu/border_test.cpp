#include "core/cpu/border.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <utility>

#include "core/layers/kinds.h"
#include "core/spec/layer_spec.h"

namespace flexae {
namespace {

LayerSpec conv(const LayerKind& kind, const Shape& in, const Shape& out, int64_t kernel,
               int64_t stride) {
  LayerSpec spec;
  spec.kind = &kind;
  spec.in = in;
  spec.out = out;
  spec.kernel = kernel;
  spec.stride = stride;
  return spec;
}

/// Images N×H×W×C put into the borders of a 5×5 convolution at a stride of 2.
class InsertTest : public testing::Test {
 protected:
  static constexpr int64_t kImages = 2;
  const Shape in{3, 7, 9};
  const Border<float> border{conv(kinds::kConv, in, {4, 4, 5}, 5, 2), in, /*upsampled=*/false};

  at::Tensor inserted(const at::Tensor& images, const DeferredBatchNorm* norm = nullptr) {
    return views(border, [&](float* to) {
      if (images.scalar_type() == at::kByte) {
        border.insert(images.const_data_ptr<uint8_t>(), kImages, to, line_);
      } else {
        border.insert(values<float>(images), kImages, to, line_, norm);
      }
    });
  }
  template <typename Insert>
  static at::Tensor views(const Border<float>& border, Insert insert) {
    at::Tensor bordered = at::zeros({border.inputs_size(kImages)});
    insert(mutable_values<float>(bordered));
    const ConvGeometry& w = border.geometry();
    EXPECT_EQ(bordered.slice(0, kImages * w.numel()).count_nonzero().item<int64_t>(), 0);
    return bordered.slice(0, 0, kImages * w.numel())
        .view({kImages, w.image_h, w.image_w, w.channels});
  }
  /// As TensorFlow's "same" pads 7×9 pixels: 2 before, 2 behind.
  static at::Tensor padded(const at::Tensor& images) {
    return at::constant_pad_nd(images, {0, 0, 2, 2, 2, 2});
  }

  ScratchBuffer<float> line_;
};

TEST_F(InsertTest, SurroundsImagesByZeros) {
  at::manual_seed(1);
  const at::Tensor images = at::rand({kImages, in.h, in.w, in.c}) + 1;
  EXPECT_TRUE(inserted(images).equal(padded(images)));
  const at::Tensor planes = images.permute({0, 3, 1, 2}).contiguous();
  const at::Tensor got = views(
      border, [&](float* to) { border.insert_planes(values<float>(planes), kImages, to, line_); });
  EXPECT_TRUE(got.equal(padded(images)));
}

TEST_F(InsertTest, ScalesBytesAndFinishesWhatIsDue) {
  at::manual_seed(2);
  const at::Tensor bytes = at::randint(256, {kImages, in.h, in.w, in.c}, at::kByte);
  EXPECT_TRUE(inserted(bytes).equal(padded(bytes.to(at::kFloat) / 255)));

  const at::Tensor images = at::randn({kImages, in.h, in.w, in.c});
  DeferredBatchNorm norm;
  norm.activation = Activation::kRelu;
  for (int i = 0; i < 96; ++i) {
    norm.scale.push_back(static_cast<float>(1 + i % 3));
    norm.shift.push_back(0.5F);
  }
  // The border is zero behind the activation.
  const at::Tensor finished = at::relu(images * at::tensor({1.0F, 2.0F, 3.0F}) + 0.5F);
  EXPECT_TRUE(at::allclose(inserted(images, &norm), padded(finished)));
}

TEST(BorderTest, RemovesTheBorderOfATransposedConvolution) {
  at::manual_seed(3);
  const Shape in{2, 4, 5};
  const Shape out{3, 8, 10};
  const Border<float> border(conv(kinds::kConvTranspose, in, out, 5, 2), in, false);
  EXPECT_FALSE(border.adds_copies());
  const ConvGeometry& w = border.geometry();
  const at::Tensor bordered = at::randn({2, w.image_h, w.image_w, out.c});
  at::Tensor images = at::empty({2, out.h, out.w, out.c});
  border.remove(values<float>(bordered), 2, mutable_values<float>(images));
  // ⌊(5 − 2)/2⌋
  EXPECT_TRUE(images.equal(bordered.slice(1, 1, 1 + out.h).slice(2, 1, 1 + out.w)));
}

/// Upsampled pixels are taken once: a transposed convolution at a double stride, whose result is
/// added to itself a stride further, is that of the larger image.
TEST(BorderTest, AddsUpTheCopiesOfUpsampledPixels) {
  at::manual_seed(4);
  for (const auto& [kernel, stride] : {std::pair{3, 1}, std::pair{5, 2}, std::pair{2, 2}}) {
    const Shape in{2, 4, 5};
    const Shape out{3, 2 * 4 * stride, 2 * 5 * stride};
    const Border<float> border(conv(kinds::kConvTranspose, {2, 8, 10}, out, kernel, stride), in,
                               /*upsampled=*/true);
    ASSERT_TRUE(border.adds_copies());
    const ConvGeometry& w = border.geometry();
    const at::Tensor x = at::randn({1, in.c, in.h, in.w}, at::kDouble);
    const at::Tensor weight = at::randn({in.c, out.c, kernel, kernel}, at::kDouble);
    at::Tensor bordered = at::zeros({1, out.c, w.image_h, w.image_w}, at::kDouble);
    const at::Tensor full = at::conv_transpose2d(x, weight, {}, w.stride);
    bordered.slice(2, w.lead, w.lead + full.size(2))
        .slice(3, w.lead, w.lead + full.size(3))
        .copy_(full);
    const at::Tensor scattered = bordered.permute({0, 2, 3, 1}).to(at::kFloat).contiguous();
    at::Tensor got = at::empty({1, out.h, out.w, out.c});
    border.remove(values<float>(scattered), 1, mutable_values<float>(got));

    const at::Tensor larger = x.repeat_interleave(2, 2).repeat_interleave(2, 3);
    const int64_t crop = same_transpose_crop(kernel, stride);
    const at::Tensor expected = at::conv_transpose2d(larger, weight, {}, stride)
                                    .slice(2, crop, crop + out.h)
                                    .slice(3, crop, crop + out.w)
                                    .permute({0, 2, 3, 1});
    EXPECT_LT((got - expected).abs().max().item<double>(), 1e-5) << kernel << " at " << stride;

    // Backwards, <remove(a), g> = <a, add_copies(g)>.
    const at::Tensor a = at::randn_like(scattered);
    at::Tensor removed = at::empty_like(got);
    border.remove(values<float>(a), 1, mutable_values<float>(removed));
    const at::Tensor g = at::randn_like(got);
    at::Tensor apart = at::zeros({border.apart_size()});
    apart.as_strided({out.h, out.w * out.c}, {border.apart_line(), 1}, border.apart_start())
        .copy_(g.view({out.h, out.w * out.c}));
    at::Tensor back = at::zeros_like(a);
    border.add_copies(values<float>(apart), mutable_values<float>(back));
    const double forward = (removed.to(at::kDouble) * g).sum().item<double>();
    const double backward = (a.to(at::kDouble) * back).sum().item<double>();
    EXPECT_NEAR(forward, backward, 1e-3) << kernel << " at " << stride;
  }
}

}  // namespace
}  // namespace flexae

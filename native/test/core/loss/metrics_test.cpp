#include "core/loss/metrics.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <memory>

#include "core/loss/bce.h"
#include "core/tensor/scale_images.h"

namespace flexae {
namespace {

struct Sums {
  Metrics::Values values{};
  at::Tensor loss, grad;
};

Sums sums(const Activations& logits, const Activations& target) {
  Metrics metrics(at::kCPU);
  Sums s;
  const at::Tensor sums = kBinaryCrossEntropy.sums(logits, target, &s.grad);
  s.loss = metrics.accumulate(sums, logits.stored().size(0), {});
  metrics.count(logits.stored().size(0), logits.stored().numel());
  s.values = metrics.values();
  return s;
}

class PendingLogits : public ::testing::TestWithParam<std::tuple<int64_t, at::ScalarType>> {
 protected:
  void SetUp() override {
    at::manual_seed(31);
    const auto [channels, type] = GetParam();
    // More than one stretch of an image, and an odd end.
    raw_ = at::randn({3, 71, 97, channels}).to(type);
    bytes_ = at::randint(256, {3, 71, 97, channels}, at::kByte);
    DeferredBatchNorm norm;
    for (int64_t i = 0; i < 32 * channels; ++i) {
      norm.scale.push_back(0.5F + 0.25F * static_cast<float>(i % channels));
      norm.shift.push_back(0.125F * static_cast<float>(i % channels));
    }
    norm.activation = Activation::kSelu;
    logits_ = Activations(raw_, std::make_shared<const DeferredBatchNorm>(norm));
  }

  at::Tensor raw_, bytes_;
  Activations logits_;
};

TEST_P(PendingLogits, GiveTheSameAsFinishedOnes) {
  const Sums got = sums(logits_, bytes_);
  const Sums expected = sums(logits_.materialize(), to_images(bytes_));
  EXPECT_TRUE(got.loss.equal(expected.loss));
  EXPECT_EQ(got.values.accuracy, expected.values.accuracy);
  EXPECT_EQ(got.values.mse, expected.values.mse);
  ASSERT_EQ(got.grad.scalar_type(), raw_.scalar_type());
  EXPECT_TRUE(got.grad.equal(expected.grad.to(raw_.scalar_type())));
  const Sums of_floats = sums(logits_, to_images(bytes_));
  EXPECT_TRUE(of_floats.loss.equal(expected.loss));
  EXPECT_TRUE(of_floats.grad.equal(got.grad));
}

TEST_P(PendingLogits, GiveWhatAtenGives) {
  const Sums got = sums(logits_, bytes_);
  const at::Tensor z = logits_.materialize().to(at::kDouble).set_requires_grad(true);
  const at::Tensor loss =
      at::binary_cross_entropy_with_logits(z, to_images(bytes_).to(at::kDouble));
  loss.backward();
  EXPECT_NEAR(got.values.loss, loss.item<double>(), 1e-6);
  const at::Tensor difference = got.grad.to(at::kDouble) - z.grad();
  const double tolerance = raw_.scalar_type() == at::kFloat ? 1e-6 : 1e-2;
  EXPECT_LT(difference.abs().max().item<double>(), tolerance * z.grad().abs().max().item<double>());
}

INSTANTIATE_TEST_SUITE_P(Types, PendingLogits,
                         testing::Combine(testing::Values<int64_t>(1, 3),
                                          testing::Values(at::kFloat, at::kBFloat16)));

TEST(Loss, OfBytesAndFinishedLogitsIsThatOfImages) {
  at::manual_seed(32);
  const at::Tensor bytes = at::randint(256, {2, 9, 7, 3}, at::kByte);
  const at::Tensor logits = at::randn({2, 9, 7, 3}).permute({0, 3, 1, 2});
  const Sums got = sums(logits, bytes);
  const Sums expected = sums(logits, to_images(bytes));
  EXPECT_TRUE(got.loss.equal(expected.loss));
  EXPECT_TRUE(got.grad.equal(expected.grad));
}

TEST(BinaryCrossEntropy, OfImagesHasTheSameMeanAsOfTheBatch) {
  at::manual_seed(32);
  const at::Tensor logits = 4 * at::randn({5, 2, 9, 7});
  const at::Tensor target = at::rand({5, 2, 9, 7});
  const at::Tensor losses = kBinaryCrossEntropy.of_images(logits, target);
  ASSERT_EQ(losses.sizes(), at::IntArrayRef({5}));
  EXPECT_EQ(losses.scalar_type(), at::kDouble);
  for (int64_t i = 0; i < 5; ++i) {
    const Sums one = sums(logits.narrow(0, i, 1), target.narrow(0, i, 1));
    EXPECT_NEAR(losses[i].item<double>(), one.values.loss, 1e-6) << i;
  }
}

}  // namespace
}  // namespace flexae

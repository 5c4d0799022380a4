#include "core/cpu/kernels/kernels.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <array>
#include <limits>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/layers/activation.h"
#include "core/tensor/scratch_buffer.h"

namespace flexae {
namespace {

constexpr Activation kActivations[] = {
    Activation::kLinear,   Activation::kRelu,        Activation::kElu,
    Activation::kSelu,     Activation::kGelu,        Activation::kTanh,
    Activation::kSigmoid,  Activation::kSoftplus,    Activation::kHardSigmoid,
    Activation::kSoftsign, Activation::kExponential, Activation::kSilu,
    Activation::kLeakyRelu};

/// Each set that this processor can run, against ATen in fp64.
class KernelsTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    at::manual_seed(11);
    const std::string name = GetParam();
    if (name == "baseline") set_ = baseline_kernels();
    if (name == "avx2") set_ = avx2_kernels();
    if (name == "avx512") set_ = avx512_kernels();
    if (name == "avx512bf16") set_ = avx512bf16_kernels();
    if (set_ == nullptr) GTEST_SKIP() << "this processor has no " << name;
  }
  const Kernels& k() { return *set_; }

 private:
  const Kernels* set_ = nullptr;
};

at::Tensor as_double(const at::Tensor& t) {
  return t.to(at::kDouble);
}

/// The largest error, absolute below 1 and relative above.
double error(const at::Tensor& got, const at::Tensor& expected) {
  return ((as_double(got) - expected).abs() / expected.abs().clamp_min(1.0)).max().item<double>();
}

constexpr int64_t kRows = 37;
constexpr int64_t kPeriod = 96;
// Beyond whole periods and whole vectors.
constexpr int64_t kCount = kRows * kPeriod + 41;

at::Tensor by_channel(const at::Tensor& values) {
  return values.repeat({kRows + 1}).slice(0, 0, kCount);
}

TEST_P(KernelsTest, AffineActivateIsAccurateOverTheWholeRange) {
  at::Tensor x = at::cat({at::linspace(-100, 85, kCount - 2000), at::linspace(-1, 1, 2000)});
  const at::Tensor scale = at::rand({kPeriod}) + 0.5;
  const at::Tensor shift = at::rand({kPeriod}) * 1e-3;
  for (const Activation activation : kActivations) {
    at::Tensor y = at::empty_like(x);
    k().fp32.norm.affine_activate(x.data_ptr<float>(), y.data_ptr<float>(), kCount,
                                  scale.data_ptr<float>(), shift.data_ptr<float>(), kPeriod,
                                  activation);
    // z in fp32, as the kernel has it: a large exponent magnifies the rounding of z itself.
    const at::Tensor z = x * by_channel(scale) + by_channel(shift);
    const at::Tensor expected = activate(as_double(z), activation);
    const at::Tensor finite = expected.abs() < 1e30;
    EXPECT_LT(error(y.masked_select(finite), expected.masked_select(finite)),
              activation == Activation::kExponential ? 2e-5 : 1e-6)
        << static_cast<int>(activation);
  }
}

TEST_P(KernelsTest, ConvolveIsTheSumOverTheWindow) {
  constexpr int64_t lines = 3;
  constexpr int64_t line = 7;
  constexpr int64_t line_stride = 40;
  const at::Tensor image = at::randn({2000});
  // Fewer cells than fit into the registers, just as many, and more; the same for channels.
  for (const int64_t count : {1, 6, 12, 29}) {
    for (const int64_t channels : {1, 4, 8, 16, 19, 32, 57}) {
      const at::Tensor weight = at::randn({channels, lines * line});
      const int64_t panel = 2 * k().lanes;
      std::vector<float> packed;
      for (int64_t first = 0; first < channels; first += panel) {
        const int64_t width = channels - first > k().lanes ? panel : k().lanes;
        for (int64_t i = 0; i < lines * line; ++i) {
          for (int64_t c = first; c < first + width; ++c) {
            packed.push_back(c < channels ? weight[c][i].item<float>() : 0.0F);
          }
        }
      }
      std::vector<const float*> cells;
      at::Tensor windows = at::empty({count, lines * line});
      for (int64_t i = 0; i < count; ++i) {
        const int64_t offset = (i * 613) % 1800;
        cells.push_back(image.data_ptr<float>() + offset);
        windows[i] = image.slice(0, offset).as_strided({lines, line}, {line_stride, 1}).flatten();
      }
      at::Tensor out = at::full({count + 1, channels}, 7.0F);
      std::vector<float*> rows;
      for (int64_t i = 0; i < count; ++i) rows.push_back(out.data_ptr<float>() + i * channels);
      k().fp32.products.convolve(cells.data(), rows.data(), count, lines, line, line_stride,
                                 packed.data(), channels);
      const at::Tensor expected = as_double(windows).matmul(as_double(weight).t());
      EXPECT_LT(error(out.narrow(0, 0, count), expected), 2e-6) << count << " × " << channels;
      EXPECT_TRUE(out[count].eq(7.0F).all().item<bool>()) << count << " × " << channels;
    }
  }
}

TEST_P(KernelsTest, DotsAreTheSumsOverTheWindow) {
  constexpr int64_t lines = 2;
  constexpr int64_t line_stride = 900;
  const at::Tensor image = at::randn({4000});
  for (const int64_t step : {1, 5, 32}) {
    for (const int64_t count : {1, 3, 16, 29}) {
      const auto expect_dots = [&]<typename T>(T, const ValueKernels<T>& loops, double tolerance) {
        if (loops.products.dots == nullptr) return;
        const int64_t width = 2 * Factor<T>::kValues * k().lanes;
        const at::Tensor x = image.to(kScalarType<T>);
        const at::Tensor weight = at::randn({lines, width}).to(kScalarType<T>);
        at::Tensor out = at::full({2 * count}, 7.0F);
        loops.products.dots(values<T>(x), step, count, lines, width, line_stride, values<T>(weight),
                            out.data_ptr<float>(), 2);
        const at::Tensor windows =
            as_double(x).as_strided({count, lines, width}, {step, line_stride, 1});
        const at::Tensor expected = (windows * as_double(weight)).sum({1, 2});
        EXPECT_LT(error(out.view({count, 2}).select(1, 0), expected), tolerance);
        EXPECT_TRUE(out.view({count, 2}).select(1, 1).eq(7.0F).all().item<bool>());
      };
      expect_dots(0.0F, k().fp32, 1e-5);
      expect_dots(Bf16{}, k().bf16, 1e-5);
    }
  }
}

TEST_P(KernelsTest, AddWeightGradientIsTheSumOverTheCells) {
  constexpr int64_t line_stride = 40;
  const at::Tensor image = at::randn({2000});
  for (const int64_t count : {1, 29}) {
    for (const auto& [lines, line] : {std::pair{1, 1}, std::pair{2, 3}, std::pair{3, 7}}) {
      for (const int64_t registers : {1, 2, 5}) {
        const int64_t channels = registers * k().lanes;
        const at::Tensor grid = at::randn({count, channels});
        std::vector<const float*> cells;
        std::vector<const float*> rows;
        at::Tensor windows = at::empty({count, lines * line});
        for (int64_t i = 0; i < count; ++i) {
          const int64_t offset = (i * 613) % 1800;
          cells.push_back(image.data_ptr<float>() + offset);
          rows.push_back(grid.data_ptr<float>() + i * channels);
          windows[i] = image.slice(0, offset).as_strided({lines, line}, {line_stride, 1}).flatten();
        }
        const at::Tensor before = at::randn({lines * line, channels});
        const at::Tensor added = as_double(windows).t().matmul(as_double(grid));
        for (const bool fresh : {false, true}) {
          at::Tensor sums = before.clone();
          k().fp32.products.add_weight_gradient(cells.data(), count, lines, line, line_stride,
                                                rows.data(), channels, sums.data_ptr<float>(),
                                                fresh);
          EXPECT_LT(error(sums, fresh ? added : as_double(before) + added), 2e-6)
              << count << " × " << channels;
        }
      }
    }
  }
}

TEST_P(KernelsTest, NormBackwardSumsAndApplyFollowTheirDefinition) {
  const at::Tensor x = at::randn({kCount}) * 3;
  const at::Tensor dy = at::randn({kCount});
  const at::Tensor scale = at::rand({kPeriod}) + 0.5;
  const at::Tensor shift = at::randn({kPeriod});
  const at::Tensor center = at::randn({kPeriod});
  for (const Activation activation : kActivations) {
    const at::Tensor z = as_double(x) * as_double(by_channel(scale)) + as_double(by_channel(shift));
    const at::Tensor dz = activate_backward(as_double(dy), z, activate(z, activation), activation);
    at::Tensor s1 = at::ones({kPeriod});
    at::Tensor s2 = at::ones({kPeriod});
    k().fp32.norm.backward_sums(x.data_ptr<float>(), dy.data_ptr<float>(), kCount,
                                scale.data_ptr<float>(), shift.data_ptr<float>(),
                                center.data_ptr<float>(), kPeriod, activation, s1.data_ptr<float>(),
                                s2.data_ptr<float>());
    const at::Tensor padded = at::constant_pad_nd(dz, {0, (kRows + 1) * kPeriod - kCount});
    const at::Tensor centered = at::constant_pad_nd(
        dz * (as_double(x) - as_double(by_channel(center))), {0, (kRows + 1) * kPeriod - kCount});
    const at::Tensor e1 = padded.view({-1, kPeriod}).sum(0) + 1;
    const at::Tensor e2 = centered.view({-1, kPeriod}).sum(0) + 1;
    EXPECT_LT(error(s1, e1), 1e-4) << static_cast<int>(activation);
    EXPECT_LT(error(s2, e2), 1e-4) << static_cast<int>(activation);

    at::Tensor dx = at::empty_like(x);
    k().fp32.norm.backward_apply(x.data_ptr<float>(), dy.data_ptr<float>(), dx.data_ptr<float>(),
                                 kCount, scale.data_ptr<float>(), shift.data_ptr<float>(),
                                 center.data_ptr<float>(), scale.data_ptr<float>(),
                                 shift.data_ptr<float>(), kPeriod, activation);
    const at::Tensor expected = as_double(by_channel(center)) * dz +
                                as_double(by_channel(scale)) * as_double(x) +
                                as_double(by_channel(shift));
    EXPECT_LT(error(dx, expected), 2e-5) << static_cast<int>(activation);
  }
}

TEST_P(KernelsTest, MomentsFollowTheirDefinition) {
  const at::Tensor x = at::randn({kCount}) + 5;
  const at::Tensor center = at::full({kPeriod}, 5.0F);
  at::Tensor s1 = at::zeros({kPeriod});
  at::Tensor s2 = at::zeros({kPeriod});
  k().fp32.norm.moments(x.data_ptr<float>(), kCount, center.data_ptr<float>(), kPeriod,
                        s1.data_ptr<float>(), s2.data_ptr<float>());
  const at::Tensor d = at::constant_pad_nd(as_double(x) - 5, {0, (kRows + 1) * kPeriod - kCount})
                           .view({-1, kPeriod});
  EXPECT_LT(error(s1, d.sum(0)), 1e-4);
  EXPECT_LT(error(s2, d.square().sum(0)), 1e-4);
}

TEST_P(KernelsTest, BceAgreesWithAtenIncludingItsTails) {
  const int64_t n = 10007;
  const at::Tensor z = at::cat({at::randn({n - 2000}) * 4, at::linspace(-120, 120, 2000)});
  at::Tensor t = at::rand({n});
  t.slice(0, 0, n / 2).round_();
  at::Tensor grad = at::empty({n});
  double sums[3] = {};
  k().loss.bce(z.data_ptr<float>(), t.data_ptr<float>(), grad.data_ptr<float>(), n, 0.5F, sums);
  const at::Tensor zd = as_double(z);
  const at::Tensor td = as_double(t);
  const at::Tensor p = at::sigmoid(zd);
  const double loss =
      at::binary_cross_entropy_with_logits(zd, td, {}, {}, at::Reduction::Sum).item<double>();
  EXPECT_NEAR(sums[0] / loss, 1.0, 1e-6);
  EXPECT_EQ(sums[1], at::eq(at::gt(at::sigmoid(z), 0.5).to(at::kFloat), t).sum().item<double>());
  EXPECT_NEAR(sums[2] / (p - td).square().sum().item<double>(), 1.0, 1e-6);
  EXPECT_LT(error(grad, (p - td) * 0.5), 1e-6);
}

TEST_P(KernelsTest, NotANumberGoesThrough) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> one(32, 1.0F);
  const std::vector<float> zero(32, 0.0F);
  std::vector<float> x(32, nan);
  std::vector<float> y(32);
  for (const Activation activation : kActivations) {
    k().fp32.norm.affine_activate(x.data(), y.data(), 32, one.data(), zero.data(), 32, activation);
    EXPECT_TRUE(std::isnan(y[7])) << static_cast<int>(activation);
  }
  double sums[3] = {};
  k().loss.bce(x.data(), zero.data(), y.data(), 32, 1.0F, sums);
  EXPECT_TRUE(std::isnan(sums[0]));
  EXPECT_TRUE(std::isnan(y[7]));
}

TEST_P(KernelsTest, OptimizersFindABadGradientAnywhere) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  constexpr float kMax = std::numeric_limits<float>::max();
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  // Longer than a few vectors of any set, and all lengths of a rest.
  for (int64_t n = 0; n < 80; ++n) {
    std::vector<float> g(static_cast<size_t>(n), -kMax);
    std::vector<float> p(g.size());
    std::vector<float> u(g.size());
    std::vector<float> v(g.size());
    const OptimizerKernels& optimizers = k().optimizers;
    const auto finds = [&] {
      return std::array<bool, 7>{
          optimizers.sgd(p.data(), g.data(), n, 0.1F),
          optimizers.adadelta(p.data(), g.data(), u.data(), v.data(), n, 0.1F, 0.9F, 1e-7F),
          optimizers.adam(p.data(), g.data(), u.data(), v.data(), n, 0.1F, 0.9F, 0.99F, 1e-7F,
                          1.0F),
          optimizers.rmsprop(p.data(), g.data(), v.data(), n, 0.1F, 0.9F, 1e-7F),
          optimizers.adagrad(p.data(), g.data(), v.data(), n, 0.1F, 1e-7F),
          optimizers.adamax(p.data(), g.data(), u.data(), v.data(), n, 0.1F, 0.9F, 0.99F, 1e-7F),
          optimizers.nadam(p.data(), g.data(), u.data(), v.data(), n, 0.1F, 0.1F, 1.0F, 0.9F, 0.99F,
                           1e-7F)};
    };
    const std::array<bool, 7> all{true, true, true, true, true, true, true};
    EXPECT_EQ(finds(), all) << n;
    for (float& place : g) {
      for (const float bad : {kInf, -kInf, kNan, -kNan}) {
        place = bad;
        EXPECT_EQ(finds(), (std::array<bool, 7>{})) << n;
      }
      place = std::numeric_limits<float>::denorm_min();
    }
    EXPECT_EQ(finds(), all) << n;
  }
}

TEST_P(KernelsTest, StoringAsBf16RoundsAsPyTorch) {
  const at::Tensor x = at::cat({at::randn({1000}) * 1e3, at::tensor({0.0F, -0.0F, 1e38F, 3.4e38F}),
                                at::full({1}, std::numeric_limits<float>::infinity())});
  at::Tensor y = at::empty(x.sizes(), at::kBFloat16);
  k().bf16.elementwise.store(values<float>(x), mutable_values<Bf16>(y), x.numel());
  EXPECT_TRUE(y.equal(x.to(at::kBFloat16)));
  const at::Tensor nan = at::full({100}, std::numeric_limits<float>::quiet_NaN());
  y = at::zeros({100}, at::kBFloat16);
  k().bf16.elementwise.store(values<float>(nan), mutable_values<Bf16>(y), 100);
  EXPECT_TRUE(y.isnan().all().item<bool>());
}

/// What loops over bf16 compute is what those over fp32 compute of the same values, rounded at the
/// end if bf16 is what they write. Their exponentials may be off by 2⁻¹³, far less than bf16 is.
TEST_P(KernelsTest, LoopsOverBf16ComputeInFp32) {
  const at::Tensor x = (at::randn({kCount}) * 3).to(at::kBFloat16);
  const at::Tensor wide = x.to(at::kFloat);
  const at::Tensor dy16 = at::randn({kCount}).to(at::kBFloat16);
  const at::Tensor dy = dy16.to(at::kFloat);
  const at::Tensor scale = at::rand({kPeriod}) + 0.5;
  const at::Tensor shift = at::randn({kPeriod});
  const auto* a = values<float>(scale);
  const auto* b = values<float>(shift);
  const auto expect_same = [](const at::Tensor& got, const at::Tensor& expected) {
    EXPECT_LT(error(got, as_double(expected)), 1e-5);
  };
  // A value on the edge may round to either side, which is at most 2⁻⁸.
  const auto expect_rounded = [](const at::Tensor& got, const at::Tensor& expected) {
    const at::Tensor size = as_double(expected).abs();
    const at::Tensor edge = (as_double(got) - as_double(expected)).abs() - size * 0x1p-8;
    EXPECT_LT(edge.max().item<double>(), 0x1p-13 * size.max().item<double>());
  };
  for (const Activation activation : {Activation::kElu, Activation::kTanh}) {
    at::Tensor expected = at::empty({kCount});
    at::Tensor got = at::empty({kCount});
    at::Tensor narrow = at::empty({kCount}, at::kBFloat16);
    k().fp32.norm.affine_activate(values<float>(wide), mutable_values<float>(expected), kCount, a,
                                  b, kPeriod, activation);
    k().bf16.norm.affine_activate_wide(values<Bf16>(x), mutable_values<float>(got), kCount, a, b,
                                       kPeriod, activation);
    k().bf16.norm.affine_activate(values<Bf16>(x), mutable_values<Bf16>(narrow), kCount, a, b,
                                  kPeriod, activation);
    expect_same(got, expected);
    expect_rounded(narrow, expected);

    k().fp32.norm.backward_apply(values<float>(wide), values<float>(dy),
                                 mutable_values<float>(expected), kCount, a, b, a, b, a, kPeriod,
                                 activation);
    k().bf16.norm.backward_apply(values<Bf16>(x), values<Bf16>(dy16), mutable_values<Bf16>(narrow),
                                 kCount, a, b, a, b, a, kPeriod, activation);
    expect_rounded(narrow, expected);

    at::Tensor sums = at::zeros({2, kPeriod});
    at::Tensor wide_sums = at::zeros({2, kPeriod});
    const auto half = [](const at::Tensor& t, int64_t i) { return mutable_values<float>(t[i]); };
    k().fp32.norm.backward_sums(values<float>(wide), values<float>(dy), kCount, a, b, a, kPeriod,
                                activation, half(wide_sums, 0), half(wide_sums, 1));
    k().bf16.norm.backward_sums(values<Bf16>(x), values<Bf16>(dy16), kCount, a, b, a, kPeriod,
                                activation, half(sums, 0), half(sums, 1));
    EXPECT_LT(error(sums, as_double(wide_sums)), 1e-3);
    k().fp32.norm.moments(values<float>(wide), kCount, a, kPeriod, half(wide_sums, 0),
                          half(wide_sums, 1));
    k().bf16.norm.moments(values<Bf16>(x), kCount, a, kPeriod, half(sums, 0), half(sums, 1));
    EXPECT_LT(error(sums, as_double(wide_sums)), 1e-4);
  }
  at::Tensor four = at::empty({kCount - 7}, at::kBFloat16);
  at::Tensor wide_four = at::empty({kCount - 7});
  k().fp32.elementwise.add_four(values<float>(wide), values<float>(dy),
                                mutable_values<float>(wide_four), kCount - 7, 7);
  k().bf16.elementwise.add_four(values<Bf16>(x), values<Bf16>(dy16), mutable_values<Bf16>(four),
                                kCount - 7, 7);
  expect_rounded(four, wide_four);
  k().bf16.elementwise.add_four_of_wide(values<float>(wide), values<float>(dy),
                                        mutable_values<Bf16>(four), kCount - 7, 7);
  expect_rounded(four, wide_four);
}

TEST_P(KernelsTest, SpreadRowsDividesByFour) {
  constexpr int64_t width = 3;
  for (const int64_t channels : {1, 16, 37}) {
    const at::Tensor grad = at::randn({width, channels}).to(at::kBFloat16);
    const at::Tensor wide = grad.to(at::kFloat);
    at::Tensor rows = at::empty({2, 2 * width, channels});
    at::Tensor narrow = at::empty({2, 2 * width, channels}, at::kBFloat16);
    k().fp32.elementwise.spread_rows(values<float>(wide), mutable_values<float>(rows),
                                     mutable_values<float>(rows[1]), width, channels);
    k().bf16.elementwise.spread_rows(values<Bf16>(grad), mutable_values<Bf16>(narrow),
                                     mutable_values<Bf16>(narrow[1]), width, channels);
    const at::Tensor expected = (wide / 4).repeat_interleave(2, 0).expand({2, -1, -1});
    EXPECT_TRUE(rows.equal(expected));
    EXPECT_TRUE(narrow.equal(expected.to(at::kBFloat16)));
  }
}

/// What goes through a mean over four pixels at once is what goes through one loop after the other.
TEST_P(KernelsTest, MeansAreWhatActivatingAndPoolingGive) {
  constexpr int64_t width = 5;
  const int64_t channels = 3 * k().lanes;
  const int64_t period = 2 * channels;
  const int64_t row = 2 * width * channels;
  const at::Tensor x = at::randn({2, row}) * 2;
  const at::Tensor grad = at::randn({width, channels});
  // Two periods in a row, of which the means take the first.
  const auto periodic = [&](const at::Tensor& t) { return t.repeat({2}); };
  const at::Tensor a = periodic(at::rand({channels}) + 0.5);
  const at::Tensor b = periodic(at::randn({channels}));
  const at::Tensor c = periodic(at::randn({channels}));
  const auto* scale = values<float>(a);
  const auto* shift = values<float>(b);
  const auto* k3 = values<float>(c);
  for (const Activation activation : {Activation::kElu, Activation::kRelu, Activation::kTanh}) {
    at::Tensor lines = at::empty_like(x);
    k().fp32.norm.affine_activate(values<float>(x), mutable_values<float>(lines), 2 * row, scale,
                                  shift, period, activation);
    at::Tensor pooled = at::empty({width, channels});
    k().sums.average_rows(values<float>(lines), values<float>(lines[1]),
                          mutable_values<float>(pooled), width, channels, 0.25F);
    at::Tensor got = at::empty_like(pooled);
    k().fp32.norm.average_activated(values<float>(x), values<float>(x[1]),
                                    mutable_values<float>(got), width, channels, scale, shift,
                                    activation);
    EXPECT_LT(error(got, as_double(pooled)), 1e-6);

    at::Tensor spread = at::empty_like(x);
    k().fp32.elementwise.spread_rows(values<float>(grad), mutable_values<float>(spread),
                                     mutable_values<float>(spread[1]), width, channels);
    at::Tensor sums = at::ones({2, period});
    at::Tensor expected_sums = at::ones({2, period});
    k().fp32.norm.backward_sums(values<float>(x), values<float>(spread), 2 * row, scale, shift, k3,
                                period, activation, mutable_values<float>(expected_sums),
                                mutable_values<float>(expected_sums[1]));
    k().fp32.norm.averaged_backward_sums(
        values<float>(x), values<float>(x[1]), values<float>(grad), width, channels, scale, shift,
        k3, activation, mutable_values<float>(sums), mutable_values<float>(sums[1]));
    const auto by_channels = [&](const at::Tensor& t) { return t.view({2, 2, channels}).sum(1); };
    EXPECT_LT(error(by_channels(sums), as_double(by_channels(expected_sums))), 1e-5);

    at::Tensor dx = at::empty_like(x);
    at::Tensor expected_dx = at::empty_like(x);
    k().fp32.norm.backward_apply(values<float>(x), values<float>(spread),
                                 mutable_values<float>(expected_dx), 2 * row, scale, shift, scale,
                                 shift, k3, period, activation);
    k().fp32.norm.averaged_backward_apply(
        values<float>(x), values<float>(x[1]), values<float>(grad), mutable_values<float>(dx),
        mutable_values<float>(dx[1]), width, channels, scale, shift, scale, shift, k3, activation);
    EXPECT_LT(error(dx, as_double(expected_dx)), 1e-6);
  }
}

TEST_P(KernelsTest, InterleaveMakesPixelsOfPlanes) {
  for (const int64_t pixels : {1, 15, 16, 53}) {
    const at::Tensor wider = at::randn({3, pixels + 5});
    const at::Tensor planes = wider.narrow(1, 0, pixels);
    at::Tensor out = at::full({3 * pixels + 1}, 7.0F);
    k().images.interleave(values<float>(wider), pixels + 5, pixels, mutable_values<float>(out));
    EXPECT_TRUE(out.narrow(0, 0, 3 * pixels).view({pixels, 3}).equal(planes.t()));
    EXPECT_EQ(out[3 * pixels].item<float>(), 7.0F);
  }
}

/// One-dimensional: the cells of a tile from its sums, and the transposed.
TEST_P(KernelsTest, SumsAndCellsAreTransposedOfEachOther) {
  constexpr int64_t channels = 37;
  const at::Tensor matrix = at::tensor({1.0, 1.0, 1.0, 0.0, 0.0, 1.0, -1.0, -1.0}).view({2, 4});
  const at::Tensor sums = at::randn({4, 4, channels});
  at::Tensor cells = at::full({2, 2, channels}, 7.0F);
  std::array<float*, 4> places{};
  for (int i = 0; i < 4; ++i)
    places[static_cast<size_t>(i)] = mutable_values<float>(cells[i / 2][i % 2]);
  k().fp32.winograd_2d.sums_to_cells(values<float>(sums), channels, places.data(), channels);
  const at::Tensor expected = at::einsum("ia,abc,jb->ijc", {matrix, as_double(sums), matrix});
  EXPECT_LT(error(cells, expected), 1e-6);

  places[3] = nullptr;
  cells[1][1].fill_(7.0F);
  k().fp32.winograd_2d.sums_to_cells(values<float>(sums), channels, places.data(), channels);
  EXPECT_TRUE(cells[1][1].eq(7.0F).all().item<bool>());

  const std::array<const float*, 4> from{values<float>(cells[0][0]), values<float>(cells[0][1]),
                                         values<float>(cells[1][0]), values<float>(cells[1][1])};
  at::Tensor back = at::empty({4, 4, channels});
  k().fp32.winograd_2d.cells_to_sums(from.data(), mutable_values<float>(back), channels, channels);
  EXPECT_LT(error(back, at::einsum("ia,ijc,jb->abc", {matrix, as_double(cells), matrix})), 1e-6);
}

TEST_P(KernelsTest, PairUpPutsTheFirstIntoTheLowerHalf) {
  for (const int64_t n : {3, 32, 77}) {
    // Rows of pairs as cells have them: a[t], b[t], a[t + 1], ...
    const at::Tensor cells = at::randn({3, 2, n}).to(at::kBFloat16);
    at::Tensor pairs = at::empty({3, n, 2}, at::kBFloat16);
    k().pairs.pair_up(values<Bf16>(cells), values<Bf16>(cells) + n, mutable_values<Bf16Pair>(pairs),
                      3, 2 * n, n);
    EXPECT_TRUE(pairs.equal(cells.transpose(1, 2)));
  }
}

TEST_P(KernelsTest, AddUpAndAddScaledAddRows) {
  // Columns 5 to 5 + n of two parts of 3 rows of 60.
  const at::Tensor parts = at::randn({2, 3, 60});
  for (const int64_t n : {1, 16, 55}) {
    at::Tensor sums = at::empty({3, n});
    k().sums.add_up(parts.const_data_ptr<float>() + 5, 2, 180, 3, 60, n,
                    sums.mutable_data_ptr<float>());
    EXPECT_TRUE(sums.equal(parts.narrow(2, 5, n).sum(0)));
    at::Tensor scaled = sums.clone();
    k().sums.add_scaled(scaled.mutable_data_ptr<float>(), parts.const_data_ptr<float>(), 0.5F,
                        3 * n);
    EXPECT_LT(error(scaled, as_double(sums) +
                                0.5 * as_double(parts.flatten().narrow(0, 0, 3 * n)).view({3, n})),
              1e-6);
  }
}

TEST_P(KernelsTest, AddFourAddsValuesAShiftApart) {
  const at::Tensor a = at::randn({200});
  const at::Tensor b = at::randn({200});
  for (const int64_t n : {1, 5, 16, 97}) {
    for (const int64_t shift : {1, 6, 64}) {
      at::Tensor out = at::full({n + 1}, 7.0F);
      k().fp32.elementwise.add_four(a.data_ptr<float>(), b.data_ptr<float>(), out.data_ptr<float>(),
                                    n, shift);
      const at::Tensor both = as_double(a) + as_double(b);
      EXPECT_LT(error(out.narrow(0, 0, n), both.narrow(0, 0, n) + both.narrow(0, shift, n)), 1e-6);
      EXPECT_EQ(out[n].item<float>(), 7.0F);
    }
  }
}

TEST_P(KernelsTest, PairUpWideNarrowsFirst) {
  const at::Tensor a = at::randn({77});
  const at::Tensor b = at::randn({77});
  const at::Tensor expected = at::stack({a, b}, 1).to(at::kBFloat16);
  at::Tensor pairs = at::empty({77}, at::kInt);
  k().pairs.pair_up_wide(a.const_data_ptr<float>(), b.const_data_ptr<float>(),
                         mutable_values<Bf16Pair>(pairs), 77);
  EXPECT_TRUE(pairs.view(at::kBFloat16).view({77, 2}).equal(expected));
}

TEST_P(KernelsTest, ReversePixelsTurnsRowsOver) {
  for (const int64_t channels : {1, 3}) {
    for (const int64_t width : {1, 2, 31, 64, 131}) {
      const at::Tensor row = at::randint(256, {width, channels}, at::kByte);
      at::Tensor out = at::zeros({width + 1, channels}, at::kByte);
      k().images.reverse_pixels(row.const_data_ptr<uint8_t>(), out.mutable_data_ptr<uint8_t>(),
                                width, channels);
      EXPECT_TRUE(out.narrow(0, 0, width).equal(row.flip({0}))) << width;
      EXPECT_EQ(out[width].count_nonzero().item<int64_t>(), 0);
    }
  }
}

TEST_P(KernelsTest, ScaleBytesRoundsEveryQuotientCorrectly) {
  std::vector<uint8_t> bytes(256);
  std::iota(bytes.begin(), bytes.end(), uint8_t{0});
  std::vector<float> out(256);
  k().images.scale_bytes(bytes.data(), out.data(), 256);
  for (size_t i = 0; i < 256; ++i) {
    EXPECT_EQ(out[i], static_cast<float>(static_cast<double>(i) / 255.0)) << i;
  }
}

TEST(ChooseKernelsTest, TakesTheSetOfTheNameAndTheBestWithoutOne) {
  EXPECT_STREQ(choose_kernels("baseline").name, "baseline");
  const Kernels* best = baseline_kernels();
  for (const Kernels* set : {avx2_kernels(), avx512_kernels(), avx512bf16_kernels()}) {
    if (set == nullptr) continue;
    EXPECT_EQ(&choose_kernels(set->name), set);
    best = set;
  }
  EXPECT_EQ(&choose_kernels(""), best);
}

TEST(ChooseKernelsTest, RefusesWhatIsNoSetOfThisProcessor) {
  const auto refusal = [](const char* asked) -> std::string {
    try {
      (void)choose_kernels(asked);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kConfig);
      return error.what();
    }
    return "";
  };
  for (const char* asked : {"avx3", "AVX2", "avx2 ", "avx51", "none"}) {
    const std::string message = refusal(asked);
    EXPECT_NE(message.find("baseline, avx2, avx512 or avx512bf16 but received '" +
                           std::string(asked) + "'"),
              std::string::npos)
        << message;
    EXPECT_NE(message.find("This processor has baseline"), std::string::npos) << message;
  }
  // Known, but beyond this processor: whoever asks for a set is to get that one.
  const std::string here = refusal("none").substr(refusal("none").find('\n'));
  for (const auto& [name, set] :
       {std::pair{"avx2", avx2_kernels()}, std::pair{"avx512", avx512_kernels()},
        std::pair{"avx512bf16", avx512bf16_kernels()}}) {
    EXPECT_EQ(refusal(name).empty(), set != nullptr) << name;
    EXPECT_EQ(here.find(std::string(" ") + name) != std::string::npos, set != nullptr) << here;
  }
}

INSTANTIATE_TEST_SUITE_P(Sets, KernelsTest,
                         testing::Values("baseline", "avx2", "avx512", "avx512bf16"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace flexae

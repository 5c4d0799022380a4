#include "core/cuda/passes.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "core/cuda/host_threads.h"
#include "core/optim/optimizer.h"
#include "test/core/gradients.h"

// The kernels of loss.cu.h and optimizer.cu.h as plain C++.

namespace flexae::cuda {
namespace {

#define STORAGE_BF16 0
namespace fp32 {
#include "core/cuda/kernels/common.cu.h"
#include "core/cuda/kernels/loss.cu.h"
}  // namespace fp32
#define OPTIMIZER 0
namespace sgd {
#include "core/cuda/kernels/common.cu.h"
#include "core/cuda/kernels/optimizer.cu.h"
}  // namespace sgd
#undef OPTIMIZER
#define OPTIMIZER 1
namespace rmsprop {
#include "core/cuda/kernels/common.cu.h"
#include "core/cuda/kernels/optimizer.cu.h"
}  // namespace rmsprop
#undef OPTIMIZER
#define OPTIMIZER 2
namespace adagrad {
#include "core/cuda/kernels/common.cu.h"
#include "core/cuda/kernels/optimizer.cu.h"
}  // namespace adagrad
#undef OPTIMIZER
#define OPTIMIZER 3
namespace adadelta {
#include "core/cuda/kernels/common.cu.h"
#include "core/cuda/kernels/optimizer.cu.h"
}  // namespace adadelta
#undef OPTIMIZER
#define OPTIMIZER 4
namespace adam {
#include "core/cuda/kernels/common.cu.h"
#include "core/cuda/kernels/optimizer.cu.h"
}  // namespace adam
#undef OPTIMIZER
#define OPTIMIZER 5
namespace adamw {
#include "core/cuda/kernels/common.cu.h"
#include "core/cuda/kernels/optimizer.cu.h"
}  // namespace adamw
#undef OPTIMIZER
#define OPTIMIZER 6
namespace adamax {
#include "core/cuda/kernels/common.cu.h"
#include "core/cuda/kernels/optimizer.cu.h"
}  // namespace adamax
#undef OPTIMIZER
#define OPTIMIZER 7
namespace nadam {
#include "core/cuda/kernels/common.cu.h"
#include "core/cuda/kernels/optimizer.cu.h"
}  // namespace nadam
#undef OPTIMIZER
#undef STORAGE_BF16
#define STORAGE_BF16 1
namespace bf16 {
#include "core/cuda/kernels/common.cu.h"
#include "core/cuda/kernels/loss.cu.h"
}  // namespace bf16
#undef STORAGE_BF16

using host_threads::launch;

template <typename Kernel>
void compare_loss(at::ScalarType type, double bound, Kernel kernel) {
  constexpr int64_t kCount = 3001;
  const at::Tensor z = (at::randn({kCount}) * 4).to(type);
  at::Tensor t = at::randint(256, {kCount}).to(at::kFloat) / 255;
  t.slice(0, 0, 1000).copy_(at::randint(2, {1000}));
  const at::Tensor grad = at::full({kCount}, std::numeric_limits<double>::quiet_NaN(), z.options());
  const unsigned blocks = pass_blocks(kCount);
  const at::Tensor partials = at::full({blocks, 3}, std::nan(""), at::kFloat);
  launch({blocks, 1, 1}, 256, [&] {
    kernel(z.data_ptr(), t.data_ptr<float>(), grad.data_ptr(), kCount, partials.data_ptr<float>());
  });
  const at::Tensor got = partials.sum(0, false, at::kDouble);
  const at::Tensor wide = z.to(at::kDouble);
  const at::Tensor target = t.to(at::kDouble);
  const at::Tensor p = wide.sigmoid();
  EXPECT_NEAR(got[0].item<double>(),
              at::binary_cross_entropy_with_logits(wide, target).item<double>() * kCount, 1e-2);
  EXPECT_EQ(got[1].item<double>(), p.gt(0.5).to(at::kDouble).eq(target).sum().item<double>());
  EXPECT_NEAR(got[2].item<double>(), (p - target).square().sum().item<double>(), 1e-2);
  const at::Tensor expected = (p - target) * 0.125;
  EXPECT_LT((grad.to(at::kDouble) - expected).norm().item<double>(),
            bound * expected.norm().item<double>());
}

TEST(PassKernels, LossIsAtensInFp64) {
  at::manual_seed(1);
  compare_loss(at::kFloat, 1e-6, [](void* z, float* t, void* g, long long n, float* sums) {
    fp32::bce(static_cast<float*>(z), t, static_cast<float*>(g), n, 0.125F, sums);
  });
  compare_loss(at::kBFloat16, 4e-3, [](void* z, float* t, void* g, long long n, float* sums) {
    bf16::bce(static_cast<uint16_t*>(z), t, static_cast<uint16_t*>(g), n, 0.125F, sums);
  });
}

using Step = void (*)(float*, const float*, float*, float*, long long, const float*);

TEST(PassKernels, OptimizersTakeTheStepsOfTheCpusLoops) {
  at::manual_seed(2);
  const Step steps[] = {sgd::optimizer_step,      rmsprop::optimizer_step, adagrad::optimizer_step,
                        adadelta::optimizer_step, adam::optimizer_step,    adamw::optimizer_step,
                        adamax::optimizer_step,   nadam::optimizer_step};
  for (int kind = 0; kind < 8; ++kind) {
    SCOPED_TRACE(kind);
    const at::Tensor start = at::randn({777});
    const at::Tensor reference = start.clone();
    Optimizer expected(static_cast<OptimizerKind>(kind), 0.01, {reference});
    Optimizer state(static_cast<OptimizerKind>(kind), 0.01, {start.clone()});
    const at::Tensor parameter = start.clone();
    const auto slot = [&](size_t k) {
      return k < state.slots().size() ? state.slots()[k][0].data_ptr<float>() : nullptr;
    };
    for (int step = 0; step < 12; ++step) {
      const at::Tensor g = at::randn({777});
      test::step(expected, test::gradients({g}));
      const auto scalars = state.begin_step();
      float device_scalars[Optimizer::kScalars];
      for (size_t i = 0; i < scalars.size(); ++i) {
        device_scalars[i] = static_cast<float>(scalars[i]);
      }
      launch({pass_blocks(777), 1, 1}, 256, [&] {
        steps[kind](parameter.data_ptr<float>(), g.data_ptr<float>(), slot(0), slot(1), 777,
                    device_scalars);
      });
    }
    for (size_t k = 0; k < state.slots().size(); ++k) {
      const at::Tensor& slot = expected.slots()[k][0];
      EXPECT_LT((state.slots()[k][0] - slot).norm().item<float>(),
                1e-6 * slot.norm().item<float>());
    }
    EXPECT_FALSE(parameter.equal(start));
    EXPECT_TRUE(at::allclose(parameter, reference, 1e-5, 1e-6));
  }
}

}  // namespace
}  // namespace flexae::cuda

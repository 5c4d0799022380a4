#include "core/optim/optimizer.h"
#include "test/core/gradients.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <vector>

namespace flexae {
namespace {

constexpr OptimizerKind kOptimizers[] = {OptimizerKind::kSgd,     OptimizerKind::kRmsprop,
                                         OptimizerKind::kAdagrad, OptimizerKind::kAdadelta,
                                         OptimizerKind::kAdam,    OptimizerKind::kAdamw,
                                         OptimizerKind::kAdamax,  OptimizerKind::kNadam};

std::vector<at::Tensor> drawn(double size) {
  return {at::randn({50, 3, 4, 4}).mul_(size).contiguous(at::MemoryFormat::ChannelsLast),
          at::randn({211}).mul_(size)};
}

TEST(Optimizer, TheOperatorsComputeWhatTheLoopsCompute) {
  for (const OptimizerKind kind : kOptimizers) {
    SCOPED_TRACE(static_cast<int>(kind));
    at::manual_seed(23);
    const std::vector<at::Tensor> loops = drawn(1);
    std::vector<at::Tensor> operators;
    for (const at::Tensor& p : loops) operators.push_back(p.clone());
    Optimizer by_loops(kind, 0.01, loops);
    Optimizer by_operators(kind, 0.01, operators, /*by_kernels=*/false);
    for (int step = 0; step < 30; ++step) {
      if (step == 15) {
        by_loops.set_learning_rate(0.002);
        by_operators.set_learning_rate(0.002);
      }
      const auto gradients = test::gradients(drawn(step % 7 == 0 ? 1e-6 : 0.1));
      EXPECT_TRUE(test::step(by_loops, gradients));
      EXPECT_TRUE(test::step(by_operators, gradients));
    }
    EXPECT_EQ(by_loops.iterations(), by_operators.iterations());
    for (size_t i = 0; i < loops.size(); ++i) {
      EXPECT_TRUE(at::allclose(operators[i], loops[i], /*rtol=*/1e-5, /*atol=*/1e-6)) << i;
      for (size_t k = 0; k < by_loops.slots().size(); ++k) {
        EXPECT_TRUE(at::allclose(by_operators.slots()[k][i], by_loops.slots()[k][i], 1e-5, 1e-7))
            << k << " " << i;
      }
    }
  }
}

TEST(Optimizer, AllFiniteLooksAtEveryTensor) {
  const std::vector<at::Tensor> tensors = drawn(1e30);
  EXPECT_TRUE(all_finite(tensors).item<bool>());
  for (const double bad : {1.0 / 0.0, -1.0 / 0.0, 0.0 / 0.0}) {
    for (const at::Tensor& tensor : tensors) {
      at::Tensor last = tensor;
      while (last.dim() > 0) last = last.select(0, -1);
      const at::Tensor kept = last.clone();
      last.fill_(bad);
      EXPECT_FALSE(all_finite(tensors).item<bool>()) << bad;
      last.copy_(kept);
    }
  }
  EXPECT_TRUE(all_finite(tensors).item<bool>());
}

}  // namespace
}  // namespace flexae

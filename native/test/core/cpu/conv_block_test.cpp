#include "core/cpu/conv_block.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <iostream>
#include <random>
#include <thread>
#include <vector>

#include "core/layers/activation.h"
#include "core/model/autoencoder.h"
#include "test/core/training_pass.h"

namespace flexae {
namespace {

constexpr Activation kActivations[] = {
    Activation::kLinear,      Activation::kRelu,     Activation::kElu,     Activation::kSelu,
    Activation::kGelu,        Activation::kTanh,     Activation::kSigmoid, Activation::kSoftplus,
    Activation::kHardSigmoid, Activation::kSoftsign, Activation::kSilu,    Activation::kLeakyRelu};
// Not the exponential: layers of it magnify every rounding. kernels_test.cpp has it.

/// The largest difference, relative to the largest value.
double difference(const at::Tensor& a, const at::Tensor& b) {
  const double size = std::max(b.abs().max().item<double>(), 1e-6);
  return (a - b).abs().max().item<double>() / size;
}

/// The norm of the difference, relative to b's: one jump changes few values much, an error all.
double distance(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).norm().item<double>() / std::max(b.norm().item<double>(), 1e-12);
}

/// One training pass through stages and through single layers of ATen's operators.
void compare(const ModelConfig& config, int64_t images, uint64_t seed) {
  const c10::NoGradGuard no_grad;
  // The reference is ATen's own convolution: oneDNN's backward pass for a transposed convolution
  // with a 1×1 kernel never returns (torch 2.13, AVX2).
  at::globalContext().setUserEnabledMkldnn(false);
  Autoencoder stages(config, seed, at::kCPU, Precision::kFp32, /*stages=*/true);
  Autoencoder layers(config, seed, at::kCPU, Precision::kFp32, /*stages=*/false);
  layers.load_state(stages.state());
  const at::Tensor x =
      at::rand({images, config.height, config.width, config.channels}).permute({0, 3, 1, 2});
  const at::Tensor got = test::training_pass(stages, x, seed, 1).materialize();
  const at::Tensor expected = test::training_pass(layers, x, seed, 1).materialize();
  ASSERT_LT(difference(got, expected), 1e-4);
  const at::Tensor grad = (at::rand_like(got) - 0.5) / static_cast<double>(got.numel());
  stages.backward(grad);
  layers.backward(grad);
  const auto names = stages.parameter_names();
  ASSERT_EQ(names, layers.parameter_names());
  const auto g1 = stages.whole_gradients();
  const auto g2 = layers.whole_gradients();
  // Where a derivative jumps, a difference in the last digit can become another gradient.
  const bool jumps = config.activation == Activation::kRelu ||
                     config.activation == Activation::kSelu ||
                     config.activation == Activation::kLeakyRelu ||
                     config.activation == Activation::kHardSigmoid ||
                     std::count(config.pooling.begin(), config.pooling.end(), Pooling::kMax) > 0;
  const double tolerance = jumps ? 0.1 : 2e-3;
  double largest = 0;
  for (const at::Tensor& g : g2) largest = std::max(largest, g.abs().max().item<double>());
  for (size_t i = 0; i < names.size(); ++i) {
    // Gradients that cancel to nothing hold rounding only.
    const double absolute = (g1[i] - g2[i]).abs().max().item<double>();
    EXPECT_TRUE(absolute < (jumps ? 1e-3 : 1e-4) * largest || distance(g1[i], g2[i]) < tolerance)
        << names[i] << " differs by " << absolute << ", largest gradient " << largest;
  }
  const auto s1 = stages.state();
  const auto s2 = layers.state();
  for (size_t i = 0; i < s1.size(); ++i) {
    EXPECT_EQ(s1[i].first, s2[i].first);
    const double absolute = (s1[i].second - s2[i].second).abs().max().item<double>();
    EXPECT_TRUE(absolute < 1e-5 || difference(s1[i].second, s2[i].second) < 1e-4) << s1[i].first;
  }
  EXPECT_LT(difference(stages.decode(stages.encode(x)), layers.decode(layers.encode(x))), 1e-4);
}

TEST(ConvStage, ComputesWhatTheSingleLayersComputeForTheDefaultNetwork) {
  at::manual_seed(3);
  ModelConfig config;
  config.drop_rate = 0;
  config.height = 64;
  config.width = 96;
  // More images than an evaluation takes at a time.
  compare(config, 50, 7);
}

TEST(ConvStage, ComputesInBf16WhatFp32ComputesButForRounding) {
  const c10::NoGradGuard no_grad;
  at::manual_seed(4);
  for (const auto& [pooling, kernels] :
       {std::pair{Pooling::kAvg, std::vector<int64_t>{5, 5, 3}},
        std::pair{Pooling::kMax, std::vector<int64_t>{4, 3, 2}},
        std::pair{Pooling::kNone, std::vector<int64_t>{3, 3, 3}}}) {
    ModelConfig config;
    config.drop_rate = 0;
    config.height = 50;
    config.width = 71;
    config.channels = 3;
    config.filters = {11, 32, 40};
    config.kernel_size = kernels;
    config.strides = {2, 2, 1};
    config.pooling = {pooling, Pooling::kNone, Pooling::kNone};
    config.dims = {50};
    config.last_activation = Activation::kTanh;
    Autoencoder wide(config, 7, at::kCPU, Precision::kFp32);
    Autoencoder narrow(config, 7, at::kCPU, Precision::kBf16);
    const at::Tensor x = at::rand({9, 50, 71, 3}).permute({0, 3, 1, 2});
    const at::Tensor expected = test::training_pass(wide, x, 7, 1).materialize();
    const at::Tensor got = test::training_pass(narrow, x, 7, 1).materialize();
    EXPECT_LT(distance(got, expected), 0.02);
    const at::Tensor grad = (at::rand_like(got) - 0.5) / static_cast<double>(got.numel());
    wide.backward(grad);
    narrow.backward(grad);
    const auto g1 = narrow.whole_gradients();
    const auto g2 = wide.whole_gradients();
    double largest = 0;
    for (const at::Tensor& g : g2) largest = std::max(largest, g.norm().item<double>());
    for (size_t i = 0; i < g1.size(); ++i) {
      EXPECT_TRUE((g1[i] - g2[i]).norm().item<double>() < 1e-3 * largest ||
                  distance(g1[i], g2[i]) < 0.1)
          << wide.parameter_names()[i] << " " << distance(g1[i], g2[i]);
    }
    EXPECT_LT(distance(narrow.decode(narrow.encode(x)), wide.decode(wide.encode(x))), 0.02);
  }
}

TEST(ConvStage, ComputesWhatTheSingleLayersComputeForRandomNetworks) {
  const auto seed = static_cast<uint32_t>(std::random_device()());
  std::cout << "seed " << seed << "\n";
  std::mt19937 random(seed);
  at::manual_seed(seed);
  const auto pick = [&](int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random);
  };
  for (int round = 0; round < 40; ++round) {
    ModelConfig config;
    const int64_t count = pick(1, 3);
    config.height = pick(17, 40);
    config.width = pick(17, 40);
    config.channels = pick(0, 1) == 0 ? 1 : 3;
    config.filters.clear();
    config.pooling.clear();
    config.kernel_size.clear();
    config.strides.clear();
    std::string text = std::to_string(config.height) + "x" + std::to_string(config.width) + "x" +
                       std::to_string(config.channels);
    for (int64_t i = 0; i < count; ++i) {
      config.filters.push_back(pick(1, 40));
      config.pooling.push_back(static_cast<Pooling>(pick(0, 2)));
      config.kernel_size.push_back(pick(1, 6));
      config.strides.push_back(pick(1, i < 2 ? 2 : 1));
      text += " f" + std::to_string(config.filters.back()) + " k" +
              std::to_string(config.kernel_size.back()) + " s" +
              std::to_string(config.strides.back()) + " p" +
              std::to_string(static_cast<int>(config.pooling.back()));
    }
    config.activation = kActivations[pick(0, std::size(kActivations) - 1)];
    config.mlp = pick(0, 1) == 1;
    config.dims = {pick(2, 20)};
    config.drop_rate = 0;
    config.last_activation = Activation::kTanh;  // smooth; selu's derivative jumps at 0
    SCOPED_TRACE(text + " activation " + std::to_string(static_cast<int>(config.activation)) +
                 " seed " + std::to_string(seed));
    compare(config, pick(2, 5), static_cast<uint64_t>(round));
    if (HasFatalFailure()) return;
  }
}

/// Threads that others hold up leave images to each other; sums must not show it.
template <typename Body>
void while_cores_are_busy(Body body) {
  std::atomic<bool> done{false};
  std::vector<std::thread> busy;
  for (unsigned i = 0; i < std::thread::hardware_concurrency(); ++i) {
    busy.emplace_back([&done] {
      while (!done) {
        const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(3);
        while (std::chrono::steady_clock::now() < until) {
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
      }
    });
  }
  body();
  done = true;
  for (std::thread& thread : busy) thread.join();
}

TEST(ConvStage, ComputesTheSameBitsOnBusyCores) {
  const c10::NoGradGuard no_grad;
  ModelConfig config;
  config.height = config.width = 64;
  for (const Precision precision : {Precision::kFp32, Precision::kBf16}) {
    Autoencoder model(config, 5, at::kCPU, precision);
    const at::Tensor x =
        at::rand({32, config.height, config.width, config.channels}).permute({0, 3, 1, 2});
    const auto pass = [&] {
      const at::Tensor y = test::training_pass(model, x, 5, 1).materialize();
      model.backward((y - 0.5) / static_cast<double>(y.numel()));
      std::vector<at::Tensor> results = model.whole_gradients();
      results.push_back(y);
      return results;
    };
    const std::vector<at::Tensor> first = pass();
    while_cores_are_busy([&] {
      for (int i = 0; i < 12; ++i) {
        const std::vector<at::Tensor> again = pass();
        for (size_t j = 0; j < first.size(); ++j) EXPECT_TRUE(again[j].equal(first[j])) << j;
      }
    });
  }
}

}  // namespace
}  // namespace flexae

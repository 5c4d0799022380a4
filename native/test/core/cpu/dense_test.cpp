#include "core/cpu/dense.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <utility>

namespace flexae {
namespace {

/// The three products against ATen's in fp64, relative to the largest value.
template <typename T>
void compare(int64_t images, int64_t inputs, int64_t outputs, double tolerance) {
  SCOPED_TRACE(std::to_string(images) + " images, " + std::to_string(inputs) + " inputs, " +
               std::to_string(outputs) + " outputs");
  DenseProducts<T> products;
  const at::Tensor x = at::randn({images, inputs});
  const at::Tensor dz = at::randn({images, outputs});
  const at::Tensor weight = at::randn({outputs, inputs});
  const auto expect_close = [tolerance](const at::Tensor& got, const at::Tensor& expected) {
    ASSERT_EQ(got.sizes(), expected.sizes());
    EXPECT_LT((got.to(at::kDouble) - expected).abs().max().item<double>(),
              tolerance * expected.abs().max().item<double>());
  };
  const at::Tensor x64 = x.to(at::kDouble);
  const at::Tensor dz64 = dz.to(at::kDouble);
  const at::Tensor weight64 = weight.to(at::kDouble);
  expect_close(products.forward(x, weight), x64.mm(weight64.t()));
  products.keep(weight);
  expect_close(products.infer(x), x64.mm(weight64.t()));
  expect_close(products.input_gradient(dz, weight), dz64.mm(weight64));
  expect_close(products.weight_gradient(dz, x).all_rows(weight), dz64.t().mm(x64));
}

template <typename T>
void compare_all(double tolerance) {
  at::manual_seed(8);
  // Odd sizes, less and more than a block of rows, of columns and of images.
  for (const int64_t images : {1, 7, 16, 17, 32, 45, 130}) {
    for (const auto& [inputs, outputs] :
         {std::pair<int64_t, int64_t>{1, 1}, {5, 3}, {33, 100}, {1501, 64}, {2080, 49}}) {
      compare<T>(images, inputs, outputs, tolerance);
    }
  }
}

TEST(DenseProducts, AreAtens) {
  compare_all<float>(2e-6);
}

TEST(DenseProducts, OfBf16AreAtens) {
  if (!DenseProducts<Bf16>::available()) GTEST_SKIP() << "this processor does not multiply bf16";
  compare_all<Bf16>(2e-2);
}

TEST(DenseProducts, DoNotDependOnTheOtherImagesOrTheThreads) {
  at::manual_seed(9);
  DenseProducts<float> products;
  const at::Tensor x = at::randn({70, 301});
  const at::Tensor weight = at::randn({83, 301});
  const at::Tensor dz = at::randn({70, 83});
  const at::Tensor all = products.forward(x, weight);
  products.keep(weight);
  const at::Tensor inferred = products.infer(x);
  const at::Tensor gradient = products.input_gradient(dz, weight);
  for (const int64_t count : {1, 9, 33}) {
    EXPECT_TRUE(products.forward(x.narrow(0, 20, count), weight).equal(all.narrow(0, 20, count)));
    EXPECT_TRUE(products.infer(x.narrow(0, 20, count)).equal(inferred.narrow(0, 20, count)));
    EXPECT_TRUE(products.input_gradient(dz.narrow(0, 20, count), weight)
                    .equal(gradient.narrow(0, 20, count)));
  }
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  EXPECT_TRUE(products.forward(x, weight).equal(all));
  EXPECT_TRUE(products.infer(x).equal(inferred));
  EXPECT_TRUE(products.input_gradient(dz, weight).equal(gradient));
  at::set_num_threads(threads);
}

TEST(DenseProducts, OfAnImageWithNanLeaveTheOthersAlone) {
  if (!DenseProducts<Bf16>::available()) GTEST_SKIP() << "this processor does not multiply bf16";
  at::manual_seed(10);
  DenseProducts<Bf16> products;
  const at::Tensor x = at::randn({5, 33});
  const at::Tensor weight = at::randn({7, 33});
  products.keep(weight);
  const at::Tensor alone = products.infer(x);
  x[3].fill_(std::numeric_limits<float>::quiet_NaN());
  const at::Tensor beside = products.infer(x);
  EXPECT_TRUE(beside[3].isnan().all().item<bool>());
  for (const int64_t i : {0, 1, 2, 4}) EXPECT_TRUE(beside[i].equal(alone[i])) << i;
}

TEST(DenseProducts, OfNoImagesAreEmpty) {
  DenseProducts<float> products;
  const at::Tensor weight = at::randn({3, 7});
  EXPECT_EQ(products.forward(at::empty({0, 7}), weight).sizes(), at::IntArrayRef({0, 3}));
  products.keep(weight);
  EXPECT_EQ(products.infer(at::empty({0, 7})).sizes(), at::IntArrayRef({0, 3}));
}

}  // namespace
}  // namespace flexae

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "core/base/math.h"
#include "core/tensor/scratch_buffer.h"
#include "test/core/cpu/kernels/kernels_support.h"

namespace flexae {
namespace {

using namespace test;  // NOLINT(google-build-using-namespace)

class ProductKernelsTest : public KernelsTest {};

TEST_P(ProductKernelsTest, ConvolveIsTheSumOverTheWindow) {
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

TEST_P(ProductKernelsTest, DotsAreTheSumsOverTheWindow) {
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

TEST_P(ProductKernelsTest, FetchingWhatComesNextChangesNothing) {
  constexpr int64_t count = 7;
  const at::Tensor image = at::randn({count, 64});
  const at::Tensor others = at::randn({9, 200});
  for (const int64_t line : {1, 5, 33}) {
    for (const int64_t channels : {1, 16, 40, 64, 100}) {
      const auto expect_same = [&]<typename T>(T, const ValueKernels<T>& loops) {
        if (loops.products.convolve_before == nullptr) return;
        const at::Tensor x = image.to(kScalarType<T>);
        const int64_t steps = ceil_div(line, Factor<T>::kValues);
        const int64_t items = round_up(channels, k().lanes) * steps * Factor<T>::kValues;
        const at::Tensor packed = at::randn({items}).to(kScalarType<T>);
        const at::Tensor expected = at::zeros({count, channels});
        std::vector<const T*> cells;
        std::vector<float*> results;
        for (int64_t i = 0; i < count; ++i) {
          cells.push_back(values<T>(x) + i * 64);
          results.push_back(expected.mutable_data_ptr<float>() + i * channels);
        }
        const auto* weight = reinterpret_cast<const typename Factor<T>::Item*>(values<T>(packed));
        loops.products.convolve_wide(cells.data(), results.data(), count, 1, line, 0, weight,
                                     channels);
        for (const int64_t rows : {0, 1, 9}) {
          std::vector<const float*> next;
          for (int64_t i = 0; i < rows; ++i) next.push_back(values<float>(others) + i * 200);
          const at::Tensor got = at::zeros({count, channels});
          for (int64_t i = 0; i < count; ++i) {
            results[static_cast<size_t>(i)] = got.mutable_data_ptr<float>() + i * channels;
          }
          loops.products.convolve_before(cells.data(), results.data(), count, line, weight,
                                         channels, next.data(), rows);
          EXPECT_TRUE(got.equal(expected)) << line << ", " << channels << ", " << rows;
        }
      };
      expect_same(0.0F, k().fp32);
      expect_same(Bf16{}, k().bf16);
    }
  }
}

TEST_P(ProductKernelsTest, AddWeightGradientIsTheSumOverTheCells) {
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

/// One-dimensional: the cells of a tile from its sums, and the transposed.
TEST_P(ProductKernelsTest, SumsAndCellsAreTransposedOfEachOther) {
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

INSTANTIATE_TEST_SUITE_P(Sets, ProductKernelsTest, sets(), set_name);

}  // namespace
}  // namespace flexae

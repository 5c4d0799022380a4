#include "core/cpu/conv_geometry.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <vector>

#include "core/tensor/scratch_buffer.h"

namespace flexae {
namespace {

ConvGeometry some(int64_t kernel, int64_t stride, int64_t lead) {
  ConvGeometry g;
  g.grid_h = 3;
  g.grid_w = 5;
  g.grid_channels = 4;
  g.bordered_w = 5;
  g.channels = 6;
  g.kernel = kernel;
  g.stride = stride;
  g.lead = lead;
  g.image_h = lead + 2 * stride + kernel + 1;
  g.image_w = lead + 4 * stride + kernel + 2;
  return g;
}

/// The windows of images N×H×W×C as rows of k·k·C values, by ATen, in fp64.
at::Tensor rows_of(const ConvGeometry& g, const at::Tensor& images) {
  const at::Tensor seen = images.narrow(1, g.lead, (g.grid_h - 1) * g.stride + g.kernel)
                              .narrow(2, g.lead, (g.grid_w - 1) * g.stride + g.kernel)
                              .permute({0, 3, 1, 2})
                              .to(at::kDouble);
  const at::Tensor columns =
      at::im2col(seen, {g.kernel, g.kernel}, {1, 1}, {0, 0}, {g.stride, g.stride});
  return columns.view({images.size(0), g.channels, g.kernel * g.kernel, g.cells()})
      .permute({0, 3, 2, 1})
      .reshape({images.size(0) * g.cells(), g.size()});
}

TEST(ConvGeometry, UnfoldCopiesTheWindows) {
  at::manual_seed(2);
  for (const auto& g : {some(3, 2, 0), some(5, 1, 2), some(2, 3, 1)}) {
    const at::Tensor images = at::randn({3, g.image_h, g.image_w, g.channels}).to(at::kBFloat16);
    const at::Tensor expected = rows_of(g, images);
    // A stretch that begins and ends in the middle of images.
    const int64_t begin = 7;
    const int64_t end = 2 * g.cells() + 4;
    at::Tensor rows = at::empty({end - begin, g.size()}, at::kBFloat16);
    unfold(g, values<Bf16>(images), begin, end, mutable_values<Bf16>(rows));
    EXPECT_TRUE(rows.to(at::kDouble).equal(expected.slice(0, begin, end)));
  }
}

TEST(ConvGeometry, FoldAddIsTheTransposeOfUnfold) {
  at::manual_seed(3);
  for (const auto& g : {some(3, 2, 0), some(5, 1, 2), some(2, 3, 1)}) {
    const at::Tensor rows = at::randn({2 * g.cells(), g.size()});
    const at::Tensor start = at::randn({2, g.image_h, g.image_w, g.channels});
    const at::Tensor images = start.clone();
    // In two stretches.
    fold_add(g, values<float>(rows), 0, 9, mutable_values<float>(images));
    fold_add(g, values<float>(rows) + 9 * g.size(), 9, 2 * g.cells(),
             mutable_values<float>(images));
    // ⟨fold(rows), x⟩ = ⟨rows, unfold(x)⟩ for any x.
    const at::Tensor x = at::randn(start.sizes(), at::kDouble);
    const double folded = ((images - start).to(at::kDouble) * x).sum().item<double>();
    const double unfolded = (rows.to(at::kDouble) * rows_of(g, x)).sum().item<double>();
    EXPECT_NEAR(folded, unfolded, 1e-3);
  }
}

TEST(Lattice, CountsPlacesThroughTheImages) {
  const ConvGeometry g = some(3, 2, 1);
  for (const Lattice& lattice : {g.windows(), g.grid()}) {
    std::vector<int64_t> offsets;
    lattice.for_each(4, 40, [&](int64_t i, int64_t offset) {
      EXPECT_EQ(i, static_cast<int64_t>(offsets.size()));
      offsets.push_back(offset);
    });
    ASSERT_EQ(offsets.size(), 36U);
    for (size_t i = 0; i < offsets.size(); ++i) {
      EXPECT_EQ(offsets[i], lattice.offset(4 + static_cast<int64_t>(i)));
    }
  }
  // Cell (1, 2) of the second image.
  EXPECT_EQ(g.windows().offset(g.cells() + 7),
            g.numel() + (1 + 2) * g.line() + (1 + 2 * 2) * g.channels);
}

}  // namespace
}  // namespace flexae

#include "analysis/umap_curve.h"

#include "test/analysis/map_expected.h"
#include "test/analysis/map_points.h"

namespace flexae {
namespace {

TEST(UmapCurve, IsUmapLearns) {
  const at::Tensor curves = test::expected(test::kCurves, {-1, 4});
  for (int64_t i = 0; i < curves.size(0); ++i) {
    const auto* row = curves.const_data_ptr<double>() + 4 * i;
    const UmapCurve curve = fit_umap_curve(/*min_dist=*/row[0], /*spread=*/row[1]);
    EXPECT_NEAR(curve.a, row[2], 1e-5 * row[2]) << row[0];
    EXPECT_NEAR(curve.b, row[3], 1e-5 * row[3]) << row[0];
  }
}

}  // namespace
}  // namespace flexae

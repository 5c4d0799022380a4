#include "analysis/point_checks.h"

#include <limits>

#include "test/analysis/map_points.h"

namespace flexae {
namespace {

TEST(PointChecks, NamesTheRowThatIsNotFinite) {
  for (const float bad :
       {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(),
        std::numeric_limits<float>::quiet_NaN()}) {
    const at::Tensor points = test::uniform_points(5, 3, 1);
    EXPECT_NO_THROW(checked_points(points, "the points"));
    points[3][2] = bad;
    test::expect_error(ErrorCode::kData, "row 3", [&] { checked_points(points, "the points"); });
  }
}

TEST(PointChecks, RefusesWhatIsNoTableOfNumbers) {
  const at::Tensor points = test::uniform_points(4, 6, 1);
  const auto refuse = [](const at::Tensor& wrong) {
    test::expect_error(ErrorCode::kData, "the points must be N×D",
                       [&] { checked_points(wrong, "the points"); });
  };
  refuse(at::Tensor());
  refuse(points.view({24}));
  refuse(points.view({2, 2, 6}));
  refuse(points.to(at::kDouble));
  refuse(points.narrow(0, 0, 0));
  refuse(points.narrow(1, 0, 0));
}

TEST(PointChecks, LaysRowsOutOneAfterTheOther) {
  const at::Tensor points = test::uniform_points(4, 6, 1);
  const at::Tensor rows = checked_points(points.t(), "the points");
  EXPECT_TRUE(rows.is_contiguous());
  EXPECT_TRUE(at::equal(rows, points.t()));
}

}  // namespace
}  // namespace flexae

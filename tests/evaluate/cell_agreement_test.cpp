#include "evaluate/cell_agreement.h"

#include <gtest/gtest.h>

#include <vector>

namespace espalier::evaluate {
namespace {

TEST(CellAgreement, CountsCellsOfBothAndOfEither) {
  const std::vector<Cell> got{{0, 0, 0}, {5, 5, 5}, {9, 9, 9}}, want{{5, 5, 5}, {0, 0, 0}};
  EXPECT_DOUBLE_EQ(cell_agreement(got, want).iou, 2.0 / 3);
  EXPECT_DOUBLE_EQ(cell_agreement(got, want).f1, 2 * (2.0 / 3) / (2.0 / 3 + 1));
}

TEST(CellAgreement, ToleratesOneCellAlsoDiagonally) {
  const std::vector<Cell> got{{3, 3, 3}}, diagonal{{4, 2, 4}}, far{{5, 3, 3}};
  EXPECT_EQ(cell_agreement(got, diagonal).iou, 0);
  EXPECT_EQ(cell_agreement(got, diagonal).f1, 1);
  EXPECT_EQ(cell_agreement(got, far).f1, 0);
}

TEST(CellAgreement, TakesNothingForNoAgreementUnlessNothingWasWanted) {
  const std::vector<Cell> some{{1, 2, 3}};
  EXPECT_EQ(cell_agreement({}, some).iou, 0);
  EXPECT_EQ(cell_agreement({}, some).f1, 0);
  EXPECT_EQ(cell_agreement({}, {}).iou, 1);
}

}  // namespace
}  // namespace espalier::evaluate

#include "nano/evaluation.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include "nano/corpus.h"
#include "nano/objects.h"

namespace espalier::nano {
namespace {

at::Tensor empty_grid() { return at::zeros({1, 16, 16, 16}, at::TensorOptions(at::kBool)); }

double only(const at::Tensor& values) { return values.item<double>(); }

TEST(Iou, IsOneForEqualGridsAndZeroForDisjointOnes) {
  at::Tensor a = empty_grid(), b = empty_grid();
  EXPECT_DOUBLE_EQ(only(iou(a, b)), 1) << "nothing asked for, nothing made";
  a[0].slice(0, 0, 4).fill_(true);
  b[0].slice(0, 8, 12).fill_(true);
  EXPECT_DOUBLE_EQ(only(iou(a, a)), 1);
  EXPECT_DOUBLE_EQ(only(iou(a, b)), 0);
}

TEST(Iou, CountsSharedCellsOverAllCells) {
  at::Tensor a = empty_grid(), b = empty_grid();
  a[0].slice(0, 0, 4).fill_(true);
  b[0].slice(0, 3, 9).fill_(true);
  EXPECT_NEAR(only(iou(a, b)), 1.0 / 9, 1e-6);
}

TEST(F1WithinOne, ForgivesOneCellAndNoMore) {
  at::Tensor a = empty_grid();
  a[0][5][5][5] = true;
  for (const auto& [distance, expected] : {std::pair<int, double>{0, 1}, {1, 1}, {2, 0}}) {
    at::Tensor b = empty_grid();
    b[0][5 + distance][5 + distance][5] = true;
    EXPECT_NEAR(only(f1_within_one(a, b)), expected, 1e-6) << distance;
  }
  EXPECT_NEAR(only(f1_within_one(a, empty_grid())), 0, 1e-6);
}

TEST(BestConstant, IsTheCommonShapeOfEqualExamples) {
  at::Tensor example = empty_grid();
  example[0][3][4][5] = true;
  EXPECT_TRUE(best_constant(example.expand({5, 16, 16, 16})).equal(example[0]));
}

TEST(NearestPictures, FindsEachPictureAmongItsLikes) {
  const at::Tensor known = at::arange(6).view({6, 1, 1, 1}).expand({6, 3, 64, 64}).to(at::kFloat);
  const at::Tensor asked = at::stack({known[4] + 0.3, known[0] - 1, known[2]});
  EXPECT_TRUE(nearest_pictures(asked, known).equal(at::tensor({4, 0, 2}, at::TensorOptions(at::kLong))));
}

TEST(SceneOccupancy, OfEveryFamilyIsNeitherEmptyNorFull) {
  for (uint32_t index = 0; index < 20; ++index) {
    const Object object = make_object(9, index);
    const auto cells = scene_occupancy(object.scene);
    ASSERT_TRUE(cells.ok()) << cells.status();
    const double share = cells->to(at::kFloat).mean().item<double>();
    EXPECT_GT(share, 0.02) << object.family;
    EXPECT_LT(share, 0.6) << object.family;
  }
}

TEST(SceneOccupancy, OfTheMirroredObjectIsTheMirroredOccupancy) {
  for (uint32_t index = 0; index < 10; ++index) {
    Object object = make_object(13, index);
    const at::Tensor cells = *scene_occupancy(object.scene);
    const int axis = mirrors_in_y(object.scene) ? 1 : 0;
    for (mesh::Mesh& part : object.scene.meshes) {
      for (mesh::Vec3& p : part.positions) p[axis] = -p[axis];
      for (mesh::Triangle& t : part.triangles) std::swap(t[1], t[2]);
    }
    turn_to_canonical_pose(object.scene);
    const at::Tensor both = *scene_occupancy(object.scene) > 0, expected = cells.flip({axis}) > 0;
    EXPECT_GT(only(iou(both.unsqueeze(0), expected.unsqueeze(0))), 0.9) << object.family;
  }
}

}  // namespace
}  // namespace espalier::nano

#include "ovoxel/occupancy.h"

#include <gtest/gtest.h>

#include <numeric>

namespace espalier::ovoxel {
namespace {

TEST(Occupancy, MarksTheBlockOfEachVoxelWithXSlowest) {
  const std::vector<Voxel> voxels = {{0, 0, 0}, {7, 0, 0}, {0, 7, 0}, {0, 0, 7}, {0, 0, 6}};
  const auto volume = occupancy(voxels, 8, 4).value();
  ASSERT_EQ(volume.size(), 64u);
  EXPECT_EQ(volume[0], 1);
  EXPECT_EQ(volume[3 * 16], 1);
  EXPECT_EQ(volume[3 * 4], 1);
  EXPECT_EQ(volume[3], 1);
  EXPECT_EQ(std::accumulate(volume.begin(), volume.end(), 0), 4);
  EXPECT_EQ(occupied_cells(volume, 4), (std::vector<Voxel>{{0, 0, 0}, {0, 0, 3}, {0, 3, 0}, {3, 0, 0}}));
}

TEST(Occupancy, RejectsVoxelsOutsideAndSidesThatDoNotDivide) {
  EXPECT_FALSE(occupancy(std::vector<Voxel>{{0, 8, 0}}, 8, 4).ok());
  EXPECT_FALSE(occupancy(std::vector<Voxel>{{-1, 0, 0}}, 8, 4).ok());
  EXPECT_FALSE(occupancy(std::vector<Voxel>{}, 8, 3).ok());
  EXPECT_FALSE(occupancy(std::vector<Voxel>{}, 8, 16).ok());
  EXPECT_FALSE(occupancy(std::vector<Voxel>{}, 8, 0).ok());
}

}  // namespace
}  // namespace espalier::ovoxel

#include "train/gradient_checkpointing.h"

#include <gtest/gtest.h>

namespace espalier::train {
namespace {

nn::FlowConfig official() {
  nn::FlowConfig config;
  config.model_channels = 1536;
  config.num_blocks = 30;
  config.mlp_ratio = 5.3334;
  config.dtype = at::kBFloat16;
  return config;
}

TEST(GradientCheckpointing, TakesWhatItNames) {
  for (const char* good : {"auto", "all", "none", "1", "30", "1000"}) {
    EXPECT_TRUE(check_gradient_checkpointing(good).ok()) << good;
  }
  for (const char* bad : {"", "0", "-1", "1001", "some", "1.5", "All"}) {
    EXPECT_FALSE(check_gradient_checkpointing(bad).ok()) << bad;
  }
}

TEST(GradientCheckpointing, CountsFirstBlocks) {
  EXPECT_EQ(recomputed_blocks("none", official(), 1 << 20), 0);
  EXPECT_EQ(recomputed_blocks("all", official(), 1), 30);
  EXPECT_EQ(recomputed_blocks("7", official(), 1), 7);
  EXPECT_EQ(recomputed_blocks("99", official(), 1), 30);
}

TEST(GradientCheckpointing, IsChosenWhereActivationsAreLarge) {
  EXPECT_EQ(recomputed_blocks("auto", official(), 4096), 0) << "a sparse-structure sample in bfloat16";
  EXPECT_EQ(recomputed_blocks("auto", official(), 8192), 30) << "the largest object at 512";
  EXPECT_EQ(recomputed_blocks("auto", official(), 32768), 30) << "the largest object at 1024";
}

}  // namespace
}  // namespace espalier::train

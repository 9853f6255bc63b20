#include "render/filmic.h"

#include <gtest/gtest.h>

namespace espalier::render {
namespace {

TEST(Filmic, EqualsBlendersCurve) {
  const float rows[][2] = {{0, 0},          {0.001f, .0162f}, {0.01f, .1011f}, {0.05f, .2731f},
                           {0.18f, .5002f}, {0.5f, .6950f},   {1.0f, .8072f},  {2, .8923f},
                           {4, .9494f},     {8, .9832f},      {16.3f, 1},      {1e6f, 1}};
  for (const auto& [linear, display] : rows) EXPECT_NEAR(filmic(linear), display, 3e-4) << linear;
}

TEST(Filmic, NeverFalls) {
  float last = 0;
  for (float x = 1e-5f; x < 20; x *= 1.01f) {
    EXPECT_GE(filmic(x), last) << x;
    last = filmic(x);
  }
}

}  // namespace
}  // namespace espalier::render

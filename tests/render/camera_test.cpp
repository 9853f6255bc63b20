#include "render/camera.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace espalier::render {
namespace {

constexpr double kPi = std::numbers::pi;

double quantile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  return values[static_cast<size_t>(share * static_cast<double>(values.size() - 1))];
}

TEST(CameraToWorld, EqualsTheMatrixBlenderReports) {
  const Matrix4 got = camera_to_world({8.297999177478214, -0.1211968286374896, 2.492026310654814, 0.7});
  const Matrix4 want = {{{-0.903033435344696, -0.051935259252786636, -0.4264199435710907, -1.0626494884490967},
                         {-0.4295710027217865, 0.10917681455612183, 0.8964092135429382, 2.233875036239624},
                         {0, 0.9926648139953613, -0.1209004819393158, -0.30128684639930725},
                         {0, 0, 0, 1}}};
  for (int r = 0; r < 4; ++r)
    for (int c = 0; c < 4; ++c) EXPECT_NEAR(got[r][c], want[r][c], 1e-6) << r << "," << c;
}

TEST(SampleCameras, FollowTheShiftedLowDiscrepancySequence) {
  constexpr int kViews = 16;
  const double inverse[] = {0, 1 / 2., 1 / 4., 3 / 4., 1 / 8., 5 / 8., 3 / 8., 7 / 8.};
  const auto cameras = sample_cameras(object_key(3, "ab"), kViews);
  ASSERT_EQ(cameras.size(), kViews);
  const auto share = [](const Camera& camera) {  // of the sequence, before the equator is weighted
    const double u = (1 - std::cos(camera.pitch + kPi / 2)) / 2;
    return u < 0.5 ? u / 2 : (3 * u - 1) / 2;
  };
  for (int n = 0; n < 8; ++n) {
    EXPECT_NEAR(share(cameras[n]) - share(cameras[0]), n / 16.0, 1e-9);
    EXPECT_NEAR((cameras[n].yaw - cameras[0].yaw) / (2 * kPi), inverse[n], 1e-9);
  }
  EXPECT_GE(cameras[0].yaw, 0);
  EXPECT_LT(cameras[0].yaw, 2 * kPi);
  EXPECT_LT(share(cameras[0]), 1 / 16.0);
}

TEST(SampleCameras, SpreadTheFieldOfViewAsTheReference) {
  std::vector<double> fov, radius;
  int below = 0;
  for (uint64_t key = 0; key < 500; ++key) {
    for (const Camera& camera : sample_cameras(key, 16)) {
      EXPECT_NEAR(camera.radius * std::sin(camera.fov / 2), std::sqrt(3.0) / 2, 1e-12);
      fov.push_back(camera.fov * 180 / kPi);
      radius.push_back(camera.radius);
      below += camera.pitch < 0;
    }
  }
  const double wanted[][2] = {{0.05, 17.7}, {0.25, 34.5}, {0.5, 48.4}, {0.75, 59.8}, {0.95, 68.0}};
  for (const auto& [share, degrees] : wanted) EXPECT_NEAR(quantile(fov, share), degrees, 1) << share;
  EXPECT_NEAR(quantile(radius, 0.5), 2.11, 0.05);
  EXPECT_GE(*std::min_element(fov.begin(), fov.end()), 10);
  EXPECT_LE(*std::max_element(fov.begin(), fov.end()), 70);
  EXPECT_NEAR(below / 8000.0, 0.25, 0.01);
}

TEST(SampleCameras, DependOnKeyAndAttemptOnly) {
  EXPECT_EQ(sample_cameras(7, 4)[2].yaw, sample_cameras(7, 4)[2].yaw);
  EXPECT_NE(sample_cameras(7, 4)[2].yaw, sample_cameras(8, 4)[2].yaw);
  EXPECT_NE(sample_cameras(7, 4)[2].yaw, sample_cameras(7, 4, 1)[2].yaw);
  EXPECT_NE(object_key(1, "ab"), object_key(2, "ab"));
  EXPECT_NE(object_key(1, "ab"), object_key(1, "ac"));
}

TEST(SampleLighting, SpendsTheBudgetExactly) {
  for (uint64_t key = 0; key < 300; ++key) {
    const Camera camera = sample_cameras(key, 16)[key % 16];
    const Matrix4 m = camera_to_world(camera);
    const Lighting lighting = sample_lighting(key, static_cast<int>(key % 16), camera);
    ASSERT_GE(lighting.lights.size(), 1u);
    ASSERT_LE(lighting.lights.size(), 3u);
    double spent = lighting.environment;
    for (const PointLight& light : lighting.lights) {
      const auto [x, y, z] = light.position;
      const double distance = std::sqrt(x * x + y * y + z * z);
      EXPECT_GE(distance, 10 - 1e-4);
      EXPECT_LE(distance, 100 + 1e-3);
      EXPECT_GE(light.radius, 0.1f);
      EXPECT_LE(light.radius, 0.1 * distance + 1e-4);
      const double c = (m[0][2] * x + m[1][2] * y + m[2][2] * z) / distance;
      spent += (0.5 * c + 0.5) * light.power / (distance * distance * 31.4);
    }
    EXPECT_NEAR(spent, 1.5, 1e-4);
    EXPECT_GE(lighting.environment, 0);
  }
}

TEST(SampleLighting, LeavesTheSurroundingsWhatTheReferenceLeaves) {
  std::vector<double> left;
  double total = 0;
  for (uint64_t key = 0; key < 1000; ++key) {
    const auto cameras = sample_cameras(key, 16);
    for (int view = 0; view < 16; ++view)
      total += left.emplace_back(sample_lighting(key, view, cameras[view]).environment);
  }
  EXPECT_NEAR(total / 16000, 0.346, 0.015);
  EXPECT_NEAR(quantile(left, 0.25), 0.078, 0.01);
  EXPECT_NEAR(quantile(left, 0.5), 0.225, 0.015);
  EXPECT_NEAR(quantile(left, 0.95), 1.08, 0.03);
}

TEST(PointLight, RadiatesItsPowerEvenly) {
  const PointLight light{{0, 0, 10}, 0.5f, 40};
  // Radiance times the sphere's area times pi is the power.
  EXPECT_NEAR(light.radiance() * 4 * kPi * 0.25 * kPi, 40, 1e-4);
}

}  // namespace
}  // namespace espalier::render

#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "mesh/scene.h"

// Cameras and lights of the condition views. Pure functions of (seed, object, view): the same on every machine.
// Reference: TRELLIS.2 data_toolkit/render_cond.py and data_toolkit/blender_script/render_cond.py.
namespace espalier::render {

using mesh::Vec3;

// A square pinhole camera that looks at the origin, world up +Z.
struct Camera {
  double yaw = 0;     // radians, not wrapped
  double pitch = 0;   // radians, (-pi/2, pi/2)
  double radius = 2;  // distance from the origin
  double fov = 0.8;   // radians, horizontal = vertical
};

// Row lists of the camera-to-world matrix; the camera looks along its -Z, +Y is up (OpenGL convention).
using Matrix4 = std::array<std::array<double, 4>, 4>;
Matrix4 camera_to_world(const Camera& camera);

// A white sphere that emits evenly; invisible to camera rays.
struct PointLight {
  Vec3 position{0, 0, 10};
  float radius = 1;  // > 0
  float power = 0;   // W; irradiance at distance r is power / (4 pi r^2)
  float radiance() const;
};

struct Lighting {
  std::vector<PointLight> lights;
  float environment = 0;  // radiance of the uniform white surroundings
};

// One 64-bit key for all draws of an object of a dataset. `sha256` is the object's hex digest, or any text.
uint64_t object_key(uint64_t seed, std::string_view sha256);

// The cameras of all `views` (> 0). `attempt` > 0 gives independent fresh draws.
std::vector<Camera> sample_cameras(uint64_t key, int views, int attempt = 0);

// One to three lights; what is left of the budget of 1.5 becomes the environment.
Lighting sample_lighting(uint64_t key, int view, const Camera& camera, int attempt = 0);

}  // namespace espalier::render

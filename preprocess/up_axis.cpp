#include "preprocess/up_axis.h"

#include <array>
#include <string>

#include "absl/strings/ascii.h"

namespace espalier::preprocess {
namespace {

using mesh::Vec3;

// The rotation by a quarter or half turn that brings `axis` to +Z.
Vec3 turned(std::string_view axis, const Vec3& v) {
  const auto [x, y, z] = v;
  if (axis == "x") return {-z, y, x};
  if (axis == "-x") return {z, y, -x};
  if (axis == "y") return {x, -z, y};
  if (axis == "-y") return {x, z, -y};
  if (axis == "-z") return {x, -y, -z};
  return v;
}

}  // namespace

void turn_up(std::string_view axis, std::string_view file_name, mesh::Scene& scene) {
  if (axis.empty()) return;
  const std::string lower = absl::AsciiStrToLower(std::string(file_name));
  const bool y_up = lower.ends_with(".glb") || lower.ends_with(".gltf") || lower.ends_with(".obj");
  const auto turn = [&](Vec3& v) {
    if (y_up) v = {v[0], v[2], -v[1]};  // back to the file's frame
    v = turned(axis, v);
  };
  for (mesh::Mesh& mesh : scene.meshes) {
    for (Vec3& v : mesh.positions) turn(v);
    for (Vec3& v : mesh.normals) turn(v);
  }
}

}  // namespace espalier::preprocess

#pragma once

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "common/files.h"
#include "image/codec.h"
#include "mesh/import.h"
#include "mesh/normalize.h"
#include "render/scene_view.h"

// Views rendered by Blender Cycles: a folder with scene.json (cameras, lights, tolerances), the model and the pictures.
namespace espalier::render {

// The model of the case in the frame it was rendered in.
inline Result<mesh::Scene> load_reference_model(const std::filesystem::path& folder, const nlohmann::json& scene) {
  ESP_ASSIGN(mesh::Scene model, mesh::import_scene(folder / scene.at("model").get<std::string>()));
  // world = scale * v + offset, without a detour over a centre.
  const auto scale = scene.at("scale").get<float>();
  const auto offset = scene.at("offset").get<mesh::Vec3>();
  for (mesh::Mesh& m : model.meshes)
    for (mesh::Vec3& p : m.positions)
      for (int i = 0; i < 3; ++i) p[i] = p[i] * scale + offset[i];
  return model;
}

inline Camera reference_camera(const nlohmann::json& frame) {
  const auto m = frame.at("transform_matrix").get<Matrix4>();
  Camera camera;
  camera.radius = std::sqrt(m[0][3] * m[0][3] + m[1][3] * m[1][3] + m[2][3] * m[2][3]);
  camera.pitch = std::asin(m[2][3] / camera.radius);
  camera.yaw = std::atan2(m[1][3], m[0][3]);
  camera.fov = frame.at("camera_angle_x").get<double>();
  return camera;
}

inline Lighting reference_lighting(const nlohmann::json& frame) {
  Lighting lighting;
  for (const auto& light : frame.at("lights"))
    lighting.lights.push_back(
        {light.at("position").get<Vec3>(), light.at("radius").get<float>(), light.at("power_w").get<float>()});
  lighting.environment = frame.at("environment_radiance").get<float>();
  return lighting;
}

inline Result<image::Image> reference_picture(const std::filesystem::path& folder, const nlohmann::json& frame) {
  ESP_ASSIGN(const std::string bytes, read_file(folder / frame.at("file_path").get<std::string>()));
  ESP_ASSIGN(image::DecodedImage decoded, image::decode(bytes));
  if (decoded.image.channels != 4) return absl::InvalidArgumentError("the reference picture is not RGBA");
  return std::move(decoded.image);
}

}  // namespace espalier::render

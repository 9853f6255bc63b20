#pragma once

#include <bit>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/files.h"
#include "mesh/import.h"

namespace espalier::mesh {

// A temporary folder that test assets are written to and imported from.
class AssetFolder {
 public:
  AssetFolder() : folder_(TempDir::create("espalier-mesh-test").value()) {}

  std::filesystem::path write(const std::string& name, const std::string& bytes) const {
    const auto path = folder_.path() / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }
  Result<Scene> import(const std::string& name, const std::string& bytes, const ImportOptions& options = {}) const {
    return import_scene(write(name, bytes), options);
  }
  std::filesystem::path path() const { return folder_.path(); }

 private:
  TempDir folder_;
};

inline std::string little(uint32_t value) {
  std::string out;
  for (int i = 0; i < 4; ++i) out += static_cast<char>(value >> (8 * i) & 0xFF);
  return out;
}

inline std::string floats(const std::vector<float>& values) {
  std::string out;
  for (const float v : values) out += little(std::bit_cast<uint32_t>(v));
  return out;
}

inline std::string shorts(const std::vector<uint16_t>& values) {
  std::string out;
  for (const uint16_t v : values) out += {static_cast<char>(v & 0xFF), static_cast<char>(v >> 8)};
  return out;
}

inline std::string glb(const nlohmann::json& json, std::string binary) {
  std::string text = json.dump();
  text.resize((text.size() + 3) / 4 * 4, ' ');
  binary.resize((binary.size() + 3) / 4 * 4, '\0');
  std::string out = "glTF" + little(2) + little(static_cast<uint32_t>(28 + text.size() + binary.size()));
  out += little(static_cast<uint32_t>(text.size())) + "JSON" + text;
  return out + little(static_cast<uint32_t>(binary.size())) + std::string("BIN\0", 4) + binary;
}

// One triangle (0,0,0) (1,0,0) (0,2,0): accessor 0 positions, accessor 1 indices.
inline std::string triangle_bytes() { return floats({0, 0, 0, 1, 0, 0, 0, 2, 0}) + shorts({0, 1, 2}); }

inline nlohmann::json triangle_json() {
  return nlohmann::json::parse(R"({
    "asset": {"version": "2.0"}, "scene": 0, "scenes": [{"nodes": [0]}], "nodes": [{"mesh": 0, "name": "node"}],
    "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1}]}],
    "buffers": [{"byteLength": 42}],
    "bufferViews": [{"buffer": 0, "byteLength": 36}, {"buffer": 0, "byteOffset": 36, "byteLength": 6}],
    "accessors": [
      {"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3", "min": [0, 0, 0], "max": [1, 2, 0]},
      {"bufferView": 1, "componentType": 5123, "count": 3, "type": "SCALAR"}]})");
}

}  // namespace espalier::mesh

#include "infer/server/message_values.h"

#include <array>
#include <utility>

#include "absl/strings/str_cat.h"

namespace espalier::infer {
namespace {

constexpr std::array<std::pair<FileFormat, FileKind>, 8> kKinds = {{
    {FileFormat::kGlb, {v1::OUTPUT_FORMAT_GLB, "model", ".glb", "model/gltf-binary"}},
    {FileFormat::kObj, {v1::OUTPUT_FORMAT_OBJ, "model", ".obj", "model/obj"}},
    {FileFormat::kPly, {v1::OUTPUT_FORMAT_PLY, "model", ".ply", "application/octet-stream"}},
    {FileFormat::kStl, {v1::OUTPUT_FORMAT_STL, "model", ".stl", "model/stl"}},
    {FileFormat::kVxz, {v1::OUTPUT_FORMAT_VXZ, "model", ".vxz", "application/octet-stream"}},
    {FileFormat::kNpz, {v1::OUTPUT_FORMAT_NPZ, "model", ".npz", "application/zip"}},
    {FileFormat::kOccupancy, {v1::OUTPUT_FORMAT_OCCUPANCY, "occupancy", ".npz", "application/zip"}},
    {FileFormat::kPreview, {v1::OUTPUT_FORMAT_PREVIEW, "preview", ".png", "image/png"}},
}};

constexpr std::pair<v1::PipelineType, const char*> kPipelineNames[] = {
    {v1::PIPELINE_TYPE_UNSPECIFIED, ""},
    {v1::PIPELINE_TYPE_512, "512"},
    {v1::PIPELINE_TYPE_1024, "1024"},
    {v1::PIPELINE_TYPE_1024_CASCADE, "1024_cascade"},
    {v1::PIPELINE_TYPE_1536_CASCADE, "1536_cascade"},
};

constexpr std::pair<v1::Preset, const char*> kPresetNames[] = {
    {v1::PRESET_UNSPECIFIED, ""}, {v1::PRESET_MAX, "max"},       {v1::PRESET_WEB, "web"},
    {v1::PRESET_GAME, "game"},    {v1::PRESET_MOBILE, "mobile"}, {v1::PRESET_LOWPOLY, "lowpoly"},
};

}  // namespace

std::optional<std::string> from_message(v1::Preset preset) {
  for (const auto& [known, name] : kPresetNames) {
    if (known == preset) return name;
  }
  return std::nullopt;
}

v1::Representation to_message(Representation representation) {
  switch (representation) {
    case Representation::kOccupancy:
      return v1::REPRESENTATION_OCCUPANCY;
    case Representation::kDualGrid:
      return v1::REPRESENTATION_DUAL_GRID;
    case Representation::kGivenMesh:
      return v1::REPRESENTATION_GIVEN_MESH;
  }
  return v1::REPRESENTATION_UNSPECIFIED;
}

std::optional<std::string> from_message(v1::PipelineType type) {
  for (const auto& [known, name] : kPipelineNames) {
    if (known == type) return name;
  }
  return std::nullopt;
}

v1::PipelineType to_message(const std::string& pipeline) {
  for (const auto& [type, name] : kPipelineNames) {
    if (name == pipeline) return type;
  }
  return v1::PIPELINE_TYPE_UNSPECIFIED;
}

std::optional<FileFormat> from_message(v1::OutputFormat format) {
  for (const auto& [own, kind] : kKinds) {
    if (kind.format == format) return own;
  }
  return std::nullopt;
}

const FileKind& kind_of(FileFormat format) {
  size_t i = 0;
  while (kKinds[i].first != format) ++i;  // the table has every format
  return kKinds[i].second;
}

std::string file_name(const FileKind& kind, int sample, int samples) {
  return absl::StrCat(kind.stem, samples > 1 ? absl::StrCat("_", sample) : "", kind.extension);
}

}  // namespace espalier::infer

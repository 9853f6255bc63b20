#include "preprocess/prepare_object.h"

#include <algorithm>
#include <new>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "common/files.h"
#include "dataset/layout.h"
#include "dataset/npz.h"
#include "image/codec.h"
#include "mesh/normalize.h"
#include "ovoxel/active_voxels.h"
#include "ovoxel/occupancy.h"
#include "preprocess/import_asset.h"
#include "preprocess/up_axis.h"
#include "render/condition_views.h"

namespace espalier::preprocess {
namespace {

namespace fs = std::filesystem;

// A status of a stage that knows no codes, made the asset's.
Status coded(const Status& status, std::string_view code) {
  if (status.ok() || !asset_error_code(status).empty()) return status;
  return annotate(status, code);
}

// The stages of one object, in order.
class Preparation {
 public:
  Preparation(const Asset& asset, const ObjectSettings& settings, const StructureEncoder& encoder,
              const ObjectStore& store, std::stop_token stop, std::string& stage)
      : asset_(asset), settings_(settings), encoder_(encoder), store_(store), stop_(std::move(stop)), stage_(stage) {}

  Result<dataset::ObjectRecord> run(std::vector<std::string>& warnings) {
    ESP_TRY(load(warnings));
    ESP_TRY(voxelize());
    ESP_ASSIGN(folder_, store_.begin(asset_));
    ESP_TRY(encode());
    ESP_TRY(render());
    record_.sha256 = asset_.sha256;
    record_.bundle_sha256 = asset_.bundle_sha256;
    record_.status = "ok";
    record_.stages = {{"sparse_structure", "ok"}};
    ESP_TRY(store_.commit(asset_, paths_, record_));
    return std::move(record_);
  }

 private:
  Status load(std::vector<std::string>& warnings) {
    stage_ = "load";
    ESP_ASSIGN(scene_, import_asset(settings_.root, asset_.path, settings_.importer, settings_.sandbox,
                                    settings_.scratch, stop_));
    warnings = scene_.warnings;
    record_.faces = static_cast<int64_t>(mesh::face_count(scene_));
    record_.vertices = static_cast<int64_t>(mesh::vertex_count(scene_));
    turn_up(asset_.up_axis, asset_.path, scene_);
    const auto map = mesh::normalize(scene_);
    if (!map.ok()) return coded(map.status(), "EMPTY_MESH");
    normalization_ = *map;
    return next();
  }

  Status voxelize() {
    stage_ = "voxelize";
    const auto voxels = ovoxel::active_voxels(scene_, settings_.voxel_resolution, settings_.threads);
    if (!voxels.ok()) return coded(voxels.status(), "VOXELIZE_FAILED");
    if (voxels->empty()) return absl::InvalidArgumentError("VOXELIZE_FAILED: the surface touches no voxel");
    auto occupancy = ovoxel::occupancy(*voxels, settings_.voxel_resolution, settings_.ss_resolution);
    if (!occupancy.ok()) return coded(occupancy.status(), "VOXELIZE_FAILED");
    occupancy_ = *std::move(occupancy);
    record_.voxels[settings_.voxel_resolution] = static_cast<int64_t>(voxels->size());
    return next();
  }

  Status encode() {
    stage_ = "encode";
    ESP_ASSIGN(const StructureLatent latent, encoder_.encode(occupancy_, settings_.ss_resolution));
    const std::vector<ovoxel::Voxel> cells = ovoxel::occupied_cells(occupancy_, settings_.ss_resolution);
    record_.tokens["ss"] = static_cast<int64_t>(cells.size());
    std::vector<uint8_t> coords;  // [M, 3]
    coords.reserve(cells.size() * 3);
    for (const ovoxel::Voxel& cell : cells) {
      for (const int32_t c : cell) coords.push_back(static_cast<uint8_t>(c));
    }
    const int64_t r = latent.side;
    ESP_ASSIGN(const std::string z,
               dataset::write_npz({{"z", dataset::make_array(std::span(latent.z), {latent.channels, r, r, r})}}));
    ESP_ASSIGN(const std::string occupied,
               dataset::write_npz({{"coords", dataset::make_array(std::span<const uint8_t>(coords),
                                                                  {static_cast<int64_t>(cells.size()), 3})}}));
    ESP_TRY(write(absl::StrCat(settings_.latent_folder, "/", asset_.sha256, ".npz"), z));
    ESP_TRY(write(absl::StrCat(settings_.occupancy_folder, "/", asset_.sha256, ".npz"), occupied));
    return next();
  }

  Status render() {
    stage_ = "render";
    render::ConditionViewOptions options;
    options.views = settings_.views;
    options.size = settings_.render_size;
    options.samples = settings_.render_samples;
    options.seed = settings_.seed;
    options.sha256 = asset_.sha256;
    options.threads = settings_.threads;
    const auto views = render::render_condition_views(scene_, options);
    if (!views.ok()) return coded(views.status(), "EMPTY_RENDER");
    const std::string folder = absl::StrCat(settings_.render_folder, "/", asset_.sha256, "/");
    for (size_t i = 0; i < views->size(); ++i) {
      ESP_ASSIGN(const std::string png, image::encode_png((*views)[i].rgba));
      ESP_TRY(write(folder + dataset::view_name(static_cast<int>(i)), png));
    }
    const auto& map = normalization_;
    const mesh::Vec3 offset = {-map.center[0] * map.scale, -map.center[1] * map.scale, -map.center[2] * map.scale};
    ESP_TRY(write(folder + "transforms.json", render::transforms_json(*views, options, map.scale, offset)));
    return next();
  }

  Status write(const std::string& path, std::string_view bytes) {
    std::error_code error;
    fs::create_directories((folder_ / path).parent_path(), error);
    if (error) return absl::UnavailableError(absl::StrCat(path, ": ", error.message()));
    paths_.push_back(path);
    return write_file_atomic(folder_ / path, bytes);
  }

  Status next() const {
    return stop_.stop_requested() ? absl::CancelledError("stopped while preparing an object") : absl::OkStatus();
  }

  const Asset& asset_;
  const ObjectSettings& settings_;
  const StructureEncoder& encoder_;
  const ObjectStore& store_;
  const std::stop_token stop_;
  std::string& stage_;

  mesh::Scene scene_;
  mesh::Normalization normalization_;
  std::vector<uint8_t> occupancy_;  // [side, side, side]
  fs::path folder_;
  std::vector<std::string> paths_;  // written so far, in the dataset
  dataset::ObjectRecord record_;
};

}  // namespace

std::string asset_error_code(const Status& status) {
  const std::string message(status.message());
  const size_t colon = message.find(':');
  if (status.ok() || colon == std::string::npos || colon == 0) return {};
  const bool upper = std::all_of(message.begin(), message.begin() + static_cast<ptrdiff_t>(colon),
                                 [](char c) { return (c >= 'A' && c <= 'Z') || c == '_'; });
  return upper ? message.substr(0, colon) : std::string();
}

Result<dataset::ObjectRecord> prepare_object(const Asset& asset, const ObjectSettings& settings,
                                             const StructureEncoder& encoder, const ObjectStore& store,
                                             std::stop_token stop, std::string& stage,
                                             std::vector<std::string>& warnings) {
  try {
    return Preparation(asset, settings, encoder, store, std::move(stop), stage).run(warnings);
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("OUT_OF_MEMORY: preparing the object needs too much memory");
  }
}

}  // namespace espalier::preprocess

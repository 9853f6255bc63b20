#include "preprocess/prepare_object.h"

#include <algorithm>
#include <functional>
#include <new>
#include <optional>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/files.h"
#include "dataset/layout.h"
#include "dataset/npz.h"
#include "image/codec.h"
#include "mesh/normalize.h"
#include "ovoxel/active_voxels.h"
#include "ovoxel/dual_grid.h"
#include "ovoxel/occupancy.h"
#include "ovoxel/pbr_voxels.h"
#include "ovoxel/stored_dual_grid.h"
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

Status out_of_memory() {
  return absl::ResourceExhaustedError("OUT_OF_MEMORY: preparing the object needs too much memory");
}

// An .npz of cells and, unless there are none, of their features.
Result<std::string> cells_npz(const std::vector<uint8_t>& coords, const std::vector<float>& feats = {}) {
  const auto rows = static_cast<int64_t>(coords.size() / 3);
  std::map<std::string, dataset::Array> arrays;
  arrays["coords"] = dataset::make_array(std::span(coords), {rows, 3});
  if (!feats.empty())
    arrays["feats"] = dataset::make_array(std::span(feats), {rows, static_cast<int64_t>(feats.size()) / rows});
  return dataset::write_npz(arrays);
}

// A face with a material, or vertex colours.
bool has_material(const mesh::Scene& scene) {
  return std::any_of(scene.meshes.begin(), scene.meshes.end(), [](const mesh::Mesh& mesh) {
    const auto& ids = mesh.material_ids;
    return !mesh.colors.empty() || std::any_of(ids.begin(), ids.end(), [](int32_t id) { return id >= 0; });
  });
}

// As ObjectRecord::textures.
std::map<std::string, int64_t> texture_counts(const mesh::Scene& scene) {
  std::map<std::string, int64_t> counts;
  for (const mesh::Material& material : scene.materials) {
    counts["basecolor"] += material.base_color_texture.has_value();
    counts["metallic"] += material.metallic_texture.has_value();
    counts["roughness"] += material.roughness_texture.has_value();
    counts["alpha"] += material.alpha_texture.has_value();
  }
  return counts;
}

// The stages of one object, in order. The structure and the views are needed by all of training: without them the asset
// has failed. Shape and texture may be missing (attempt()), and texture never stands without shape, because its voxels
// must be the shape's.
//
// A fault of the asset carries a code in capitals at the front of its message (asset_error_code()). One without a code
// is a fault of the run, such as a full disk, and ends it: it must not be written down as the asset's.
class Preparation {
 public:
  Preparation(const Asset& asset, const ObjectSettings& settings, const Encoders& encoders, const ObjectStore& store,
              std::stop_token stop, std::string& stage)
      : asset_(asset), settings_(settings), encoders_(encoders), store_(store), stop_(std::move(stop)), stage_(stage) {}

  Result<dataset::ObjectRecord> run(std::vector<std::string>& warnings) {
    ESP_TRY(load(warnings));
    ESP_ASSIGN(folder_, store_.begin(asset_));
    stage_ = "voxelize";
    ESP_TRY(attempt("geometry", encoders_.shape, warnings, [this] { return make_dual_grid(); }));
    ESP_TRY(voxelize());
    stage_ = "encode";
    ESP_TRY(encode_structure());
    ESP_TRY(attempt("geometry", encoders_.shape, warnings, [this] { return encode_shape(); }));
    dual_grid_.reset();
    ESP_TRY(attempt("texture", encoders_.texture, warnings, [this] { return encode_texture(); }));
    ESP_TRY(render());
    record_.sha256 = asset_.sha256;
    record_.bundle_sha256 = asset_.bundle_sha256;
    record_.status = record_.error ? "partial" : "ok";
    record_.stages["sparse_structure"] = "ok";
    ESP_TRY(store_.commit(asset_, paths_, record_));
    return std::move(record_);
  }

 private:
  Status load(std::vector<std::string>& warnings) {
    stage_ = "load";
    ESP_ASSIGN(scene_, import_asset(settings_.root, asset_.path, settings_.importer, settings_.scratch, stop_));
    warnings = scene_.warnings;
    record_.faces = static_cast<int64_t>(mesh::face_count(scene_));
    record_.vertices = static_cast<int64_t>(mesh::vertex_count(scene_));
    record_.textures = texture_counts(scene_);
    turn_up(asset_.up_axis, asset_.path, scene_);
    const auto map = mesh::normalize(scene_);
    if (!map.ok()) return coded(map.status(), "EMPTY_MESH");
    normalization_ = *map;
    return next();
  }

  // A step of a stage that an object may lack, unless there is no encoder for it or an earlier one failed. A fault of
  // the asset in it costs the object that stage only, and with its shape also texture.
  Status attempt(const char* name, const std::unique_ptr<VoxelEncoder>& encoder, std::vector<std::string>& warnings,
                 const std::function<Status()>& step) {
    if (encoder == nullptr || record_.error) return absl::OkStatus();
    Status status;
    try {
      status = step();
    } catch (const std::bad_alloc&) {
      status = out_of_memory();
    }
    const std::string code = asset_error_code(status);
    if (code.empty()) return status;
    record_.error = asset_error(status, stage_);
    record_.stages[name] = absl::AsciiStrToLower(code);
    if (encoders_.texture != nullptr) record_.stages["texture"] = absl::AsciiStrToLower(code);
    warnings.push_back(absl::StrCat("not usable for ", name, ": ", std::string(status.message())));
    return absl::OkStatus();
  }

  Status make_dual_grid() {
    const mesh::Surface surface = ovoxel::welded(scene_);
    ovoxel::DualGridOptions options;
    options.face_weight = static_cast<float>(settings_.voxelizer.face_weight);
    options.boundary_weight = static_cast<float>(settings_.voxelizer.boundary_weight);
    options.regularization_weight = static_cast<float>(settings_.voxelizer.regularization_weight);
    options.threads = settings_.threads;
    const int side = settings_.shape_resolution;
    const auto grid = ovoxel::dual_grid(surface.positions, surface.triangles, ovoxel::Grid::cube(side), options);
    if (!grid.ok()) return coded(grid.status(), "VOXELIZE_FAILED");
    if (grid->voxels.empty()) return absl::InvalidArgumentError("VOXELIZE_FAILED: the surface touches no voxel");
    record_.voxels[side] = static_cast<int64_t>(grid->voxels.size());
    auto packed = ovoxel::pack_dual_grid(*grid, side);
    if (!packed.ok()) return coded(packed.status(), "VOXELIZE_FAILED");
    ESP_TRY(keep_voxels(settings_.dual_grid_folder, *packed));
    dual_grid_ = *std::move(packed);
    return next();
  }

  // The voxels of the occupancy's resolution; a dual grid of that resolution has the same.
  Result<std::vector<ovoxel::Voxel>> surface_voxels() const {
    if (dual_grid_ && settings_.shape_resolution == settings_.voxel_resolution) return dual_grid_->voxels;
    return ovoxel::active_voxels(scene_, settings_.voxel_resolution, settings_.threads);
  }

  Status voxelize() {
    const auto voxels = surface_voxels();
    if (!voxels.ok()) return coded(voxels.status(), "VOXELIZE_FAILED");
    if (voxels->empty()) return absl::InvalidArgumentError("VOXELIZE_FAILED: the surface touches no voxel");
    auto occupancy = ovoxel::occupancy(*voxels, settings_.voxel_resolution, settings_.ss_resolution);
    if (!occupancy.ok()) return coded(occupancy.status(), "VOXELIZE_FAILED");
    occupancy_ = *std::move(occupancy);
    record_.voxels[settings_.voxel_resolution] = static_cast<int64_t>(voxels->size());
    return next();
  }

  Status encode_shape() {
    const int side = settings_.shape_resolution;
    const auto cells = ovoxel::occupancy(dual_grid_->voxels, side, side / dataset::kVoxelsPerCell);
    if (!cells.ok()) return coded(cells.status(), "VOXELIZE_FAILED");
    const int64_t tokens = std::count(cells->begin(), cells->end(), uint8_t{1});
    record_.tokens["shape"] = tokens;
    if (tokens > settings_.max_latent_tokens)
      return absl::InvalidArgumentError(absl::StrCat("TOO_MANY_TOKENS: the surface touches ", tokens,
                                                     " cells of the shape latent; at most ",
                                                     settings_.max_latent_tokens, " can be trained on"));
    ESP_ASSIGN(dataset::StructuredLatent latent, encoders_.shape->encode(*dual_grid_));
    ESP_TRY(write_latent("geometry", settings_.shape_folder, latent));
    shape_cells_ = std::move(latent.coords);
    return next();
  }

  Status encode_texture() {
    if (!settings_.texture_from_default_material && !has_material(scene_)) {
      record_.stages["texture"] = "no_material";
      return absl::OkStatus();
    }
    stage_ = "voxelize";
    ovoxel::PbrVoxelOptions options;
    options.threads = settings_.threads;
    const auto voxels = ovoxel::pbr_voxels(scene_, settings_.shape_resolution, options);
    if (!voxels.ok()) return coded(voxels.status(), "VOXELIZE_FAILED");
    ESP_TRY(keep_voxels(settings_.pbr_voxels_folder, *voxels));
    stage_ = "encode";
    ESP_ASSIGN(const dataset::StructuredLatent latent, encoders_.texture->encode(*voxels));
    if (latent.coords != shape_cells_)
      return absl::InvalidArgumentError("COORD_MISMATCH: the materials' voxels are not those of the shape");
    record_.tokens["pbr"] = static_cast<int64_t>(latent.coords.size() / 3);
    ESP_TRY(write_latent("texture", settings_.texture_folder, latent));
    return next();
  }

  Status keep_voxels(const std::string& folder, const ovoxel::VoxelTable& voxels) {
    if (folder.empty()) return absl::OkStatus();
    ovoxel::VxzOptions options;
    options.threads = settings_.threads;
    const auto vxz = ovoxel::encode_vxz(voxels, options);
    if (!vxz.ok()) return coded(vxz.status(), "VOXELIZE_FAILED");
    return write(absl::StrCat(folder, "/", asset_.sha256, ".vxz"), *vxz);
  }

  Status write_latent(const char* stage, const std::string& folder, const dataset::StructuredLatent& latent) {
    ESP_ASSIGN(const std::string npz, cells_npz(latent.coords, latent.feats));
    ESP_TRY(write(npz_path(folder), npz));
    record_.stages[stage] = "ok";
    return absl::OkStatus();
  }

  Status encode_structure() {
    ESP_ASSIGN(const StructureLatent latent, encoders_.structure->encode(occupancy_, settings_.ss_resolution));
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
    ESP_ASSIGN(const std::string occupied, cells_npz(coords));
    ESP_TRY(write(npz_path(settings_.latent_folder), z));
    ESP_TRY(write(npz_path(settings_.occupancy_folder), occupied));
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

  std::string npz_path(const std::string& folder) const { return absl::StrCat(folder, "/", asset_.sha256, ".npz"); }

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
  const Encoders& encoders_;
  const ObjectStore& store_;
  const std::stop_token stop_;
  std::string& stage_;

  mesh::Scene scene_;
  mesh::Normalization normalization_;
  std::vector<uint8_t> occupancy_;               // [side, side, side]
  std::optional<ovoxel::VoxelTable> dual_grid_;  // packed; absent unless geometry is prepared
  std::vector<uint8_t> shape_cells_;             // [T, 3] of the shape latent
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

dataset::ObjectError asset_error(const Status& status, const std::string& stage) {
  const std::string code = asset_error_code(status);
  return {code, stage, std::string(status.message()).substr(code.size() + 2)};
}

Result<dataset::ObjectRecord> prepare_object(const Asset& asset, const ObjectSettings& settings,
                                             const Encoders& encoders, const ObjectStore& store, std::stop_token stop,
                                             std::string& stage, std::vector<std::string>& warnings) {
  try {
    return Preparation(asset, settings, encoders, store, std::move(stop), stage).run(warnings);
  } catch (const std::bad_alloc&) {
    return out_of_memory();
  }
}

}  // namespace espalier::preprocess

#include "preprocess/pipeline.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "archive/zip_writer.h"
#include "common/cores.h"
#include "common/files.h"
#include "common/installation.h"
#include "common/sha256.h"
#include "common/version.h"
#include "dataset/layout.h"
#include "dataset/reader.h"
#include "nn/io/base_model.h"
#include "preprocess/assembly.h"
#include "preprocess/asset_source.h"
#include "preprocess/blender.h"
#include "preprocess/discovery.h"
#include "preprocess/object_run.h"
#include "preprocess/part.h"

// A run, in order: settings and base -> Plan; input -> assets, sorted by path; each asset -> its files in the object
// store; all records and files -> manifest and archive.
//
// What makes a run repeatable: the store's folder is named by Plan::key(), so a run that goes on finds the objects that
// were made in the same way and no others, and whatever changes an object's files must be part of that key (or raise
// kRecipe). Nothing of the result depends on which thread or shard prepared an object, nor on the order of completion.
namespace espalier::preprocess {
namespace {

namespace fs = std::filesystem;

constexpr int kRecipe = 2;  // raised when the same asset gives other files than before
constexpr int kTopTier = 1024, kOccupancySide = 64;

// A whole number of cells, or INVALID_ARGUMENT naming the base.
Result<int> scaled(int side, const nn::BaseModel& base) {
  const double exact = side * base.grid_scale();
  const int whole = static_cast<int>(std::lround(exact));
  if (whole < 1 || std::abs(exact - whole) > 1e-9)
    return absl::InvalidArgumentError(
        absl::StrCat("base ", base.name(), ": grid_scale ", base.grid_scale(), " does not divide ", side));
  return whole;
}

// Everything about a run that is known before its first asset is read.
struct Plan {
  ObjectSettings settings;
  std::string base_name;
  double grid_scale = 1;
  Encoders encoders;
  std::map<std::string, dataset::NormalizationRecord> normalization;  // by kind of latent
  int threads = 1;

  // Names all that the files of an object depend on besides the asset.
  std::string key() const {
    const auto& s = settings;
    const nlohmann::json parts = {{"recipe", kRecipe},
                                  {"encoder", encoders.structure->checkpoint().sha256},
                                  {"shape_encoder", encoders.shape ? encoders.shape->checkpoint().sha256 : ""},
                                  {"texture_encoder", encoders.texture ? encoders.texture->checkpoint().sha256 : ""},
                                  {"default_material", encoders.texture != nullptr && s.texture_from_default_material},
                                  {"keep_voxels", !s.dual_grid_folder.empty()},
                                  {"shape_voxels", encoders.shape ? s.shape_resolution : 0},
                                  {"views", s.views},
                                  {"size", s.render_size},
                                  {"samples", s.render_samples},
                                  {"seed", s.seed},
                                  {"voxels", s.voxel_resolution},
                                  {"ss", s.ss_resolution}};
    return sha256_hex(parts.dump()).substr(0, 16);
  }
};

// Folders and statistics of the latents that the base has encoders for.
void plan_structured_latents(const nn::BaseModel& base, const PreprocessConfig& config, Plan& plan) {
  const auto normalize = [&](const char* kind, const nn::LatentNormalization& statistics) {
    if (!statistics.mean.empty()) plan.normalization[kind] = {statistics.mean, statistics.std};
  };
  ObjectSettings& settings = plan.settings;
  if (const auto& encoder = plan.encoders.shape) {
    settings.shape_folder = dataset::shape_latent_folder(encoder->checkpoint().name, config.resolution);
    if (config.keep_voxels) settings.dual_grid_folder = dataset::dual_grid_folder(settings.shape_resolution);
    normalize("shape", base.shape_slat_normalization());
  }
  if (const auto& encoder = plan.encoders.texture) {
    settings.texture_folder = dataset::pbr_latent_folder(encoder->checkpoint().name, config.resolution);
    if (config.keep_voxels) settings.pbr_voxels_folder = dataset::pbr_voxels_folder(settings.shape_resolution);
    normalize("pbr", base.tex_slat_normalization());
  }
}

Result<Plan> make_plan(const PreprocessConfig& config) {
  Plan plan;
  ESP_ASSIGN(const nn::BaseModel base, nn::BaseModel::open(config.base));
  if (std::find(base.tiers().begin(), base.tiers().end(), config.resolution) == base.tiers().end())
    return absl::InvalidArgumentError(absl::StrCat("resolution ", config.resolution, ": the base ", base.name(),
                                                   " has only ", absl::StrJoin(base.tiers(), ", ")));
  ObjectSettings& settings = plan.settings;
  ESP_ASSIGN(settings.voxel_resolution, scaled(kTopTier, base));
  ESP_ASSIGN(settings.ss_resolution, scaled(kOccupancySide, base));
  ESP_ASSIGN(const int shape_cells, scaled(config.resolution / dataset::kVoxelsPerCell, base));
  ESP_ASSIGN(plan.encoders, Encoders::load(base));
  plan.base_name = base.name();
  plan.grid_scale = base.grid_scale();
  plan.threads = config.threads > 0 ? config.threads : usable_cores();
  settings.importer = config.importer;
  settings.views = config.views;
  settings.render_size = config.render_resolution > 0 ? config.render_resolution : settings.voxel_resolution;
  settings.render_samples = config.render_samples;
  settings.seed = config.seed;
  settings.shape_resolution = shape_cells * dataset::kVoxelsPerCell;
  settings.max_latent_tokens = dataset::max_latent_tokens(config.resolution);
  settings.texture_from_default_material = config.texture_from_default_material;
  settings.voxelizer.version = version();
  settings.latent_folder =
      dataset::ss_latent_folder(plan.encoders.structure->checkpoint().name, settings.ss_resolution);
  plan_structured_latents(base, config, plan);
  settings.occupancy_folder = dataset::ss_occupancy_folder(settings.ss_resolution);
  settings.render_folder = "renders_cond";
  return plan;
}

dataset::EncoderRecord encoder_record(const Checkpoint& checkpoint) {
  return {checkpoint.name, checkpoint.sha256, "fp32"};
}

// Everything of the manifest that does not depend on the assets.
dataset::Manifest header(const PreprocessConfig& config, const Plan& plan) {
  const ObjectSettings& settings = plan.settings;
  dataset::Manifest manifest;
  manifest.generator_version = version();
  manifest.base = plan.base_name;
  manifest.resolution = config.resolution;
  manifest.grid_scale = plan.grid_scale;
  manifest.ss_resolution = settings.ss_resolution;
  manifest.folders = {{"ss_latent", settings.latent_folder},
                      {"ss_occupancy", settings.occupancy_folder},
                      {"render_cond", settings.render_folder},
                      {"asset_stats", "asset_stats"}};
  manifest.encoders["ss"] = encoder_record(plan.encoders.structure->checkpoint());
  if (plan.encoders.shape) {
    manifest.folders["shape_latent"] = settings.shape_folder;
    manifest.encoders["shape"] = encoder_record(plan.encoders.shape->checkpoint());
    manifest.voxelizer = settings.voxelizer;
  }
  if (plan.encoders.texture) {
    manifest.folders["pbr_latent"] = settings.texture_folder;
    manifest.encoders["pbr"] = encoder_record(plan.encoders.texture->checkpoint());
  }
  if (!settings.dual_grid_folder.empty()) manifest.folders["dual_grid"] = settings.dual_grid_folder;
  if (!settings.pbr_voxels_folder.empty()) manifest.folders["pbr_voxels"] = settings.pbr_voxels_folder;
  manifest.normalization = plan.normalization;
  manifest.render = {settings.views, settings.render_size, settings.render_samples, "espalier-embree",
                     "filmic",       settings.seed};
  return manifest;
}

// Every `shards`-th asset from `shard` on.
std::vector<Asset> assets_of(const std::vector<Asset>& all, int shard, int shards) {
  std::vector<Asset> mine;
  for (size_t i = static_cast<size_t>(shard); i < all.size(); i += static_cast<size_t>(shards)) mine.push_back(all[i]);
  return mine;
}

Part part_of(const PreprocessConfig& config, const Plan& plan) {
  Part part;
  part.shard = config.shard;
  part.shards = config.shards;
  part.recipe = plan.key();
  return part;
}

// The records of this shard's assets as a part; broken and duplicate ones are no error here.
Result<PreprocessResult> finish_part(const PreprocessConfig& config, const Plan& plan, int64_t assets,
                                     const std::string& archive_sha256, std::vector<dataset::ObjectRecord> objects,
                                     const dataset::FilesOnDisk& files) {
  Part part = part_of(config, plan);
  part.assets = assets;
  dataset::Manifest counted = complete(header(config, plan), objects, archive_sha256);
  PreprocessResult result = result_of(counted);
  part.manifest = std::move(counted);
  part.manifest.objects = std::move(objects);  // in the order of discovery
  ESP_TRY(write_part(part, files, config.output));
  return measured(std::move(result), config.output);
}

// One line for all of them: archives without any material are common.
void tell_without_material(const std::vector<dataset::ObjectRecord>& objects, const PreprocessObserver& observer) {
  const auto count = std::count_if(objects.begin(), objects.end(), [](const dataset::ObjectRecord& object) {
    const auto texture = object.stages.find("texture");
    return texture != object.stages.end() && texture->second == "no_material";
  });
  if (count > 0 && observer.warning)
    observer.warning(absl::StrCat(count, " of ", objects.size(), " assets have neither materials nor vertex colours: ",
                                  "texture cannot be trained on them"));
}

Result<PreprocessResult> prepare_assets(const PreprocessConfig& config, const Plan& given, const fs::path& work,
                                        std::stop_token stop, const PreprocessObserver& observer) {
  ESP_ASSIGN(const TempDir scratch, TempDir::create("assets", work));
  ESP_ASSIGN(const AssetSource source, open_assets(config.input, scratch.path(), stop));
  ESP_ASSIGN(const std::vector<Asset> all, discover(source, stop));
  const std::vector<Asset> assets = assets_of(all, config.shard, config.shards);
  if (observer.started) observer.started(static_cast<int64_t>(assets.size()));
  ObjectSettings settings = given.settings;
  settings.root = source.root;
  settings.scratch = scratch.path();
  const int workers = std::clamp<int>(static_cast<int>(assets.size()), 1, given.threads);
  settings.threads = std::max(1, given.threads / workers);
  ESP_ASSIGN(const ObjectStore store, ObjectStore::open(work, given.key()));
  ESP_ASSIGN(auto objects, prepare_all(assets, settings, workers, given.encoders, store, stop, observer));
  tell_without_material(objects, observer);
  dataset::FilesOnDisk files;
  for (size_t i = 0; i < assets.size(); ++i) {
    for (const auto& file : objects[i].files) files[file.path] = store.folder(assets[i]) / file.path;
  }
  if (config.shards > 1)
    return finish_part(config, given, static_cast<int64_t>(all.size()), source.sha256, std::move(objects), files);
  return write_prepared(complete(header(config, given), std::move(objects), source.sha256), files, config.output);
}

// Latents of different encoders do not mix.
Status check_encoders(const dataset::Manifest& manifest, const Plan& plan) {
  const auto differs = [&](const std::string& kind, const Checkpoint& ours) {
    if (!manifest.folders.contains(kind + "_latent")) return false;
    const auto encoder = manifest.encoders.find(kind);
    return encoder == manifest.encoders.end() || encoder->second.sha256 != ours.sha256;
  };
  const char* other = nullptr;
  if (differs("ss", plan.encoders.structure->checkpoint()) || manifest.ss_resolution != plan.settings.ss_resolution)
    other = "sparse-structure";
  else if (plan.encoders.shape && differs("shape", plan.encoders.shape->checkpoint()))
    other = "shape";
  else if (plan.encoders.texture && differs("pbr", plan.encoders.texture->checkpoint()))
    other = "texture";
  if (other == nullptr) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("the dataset was prepared with another ", other,
                                                 " encoder than that of the base ", plan.base_name,
                                                 "; prepare the assets again"));
}

// The denoisers that the usable objects of a dataset have data for.
std::vector<std::string> stages_of(const dataset::PreparedDataset& data) {
  std::vector<std::string> stages;
  const auto any = [&](auto has_data) { return std::any_of(data.objects().begin(), data.objects().end(), has_data); };
  if (any([](const dataset::Object& object) { return object.ss_channels > 0; })) stages.push_back("sparse_structure");
  if (any([](const dataset::Object& object) { return object.shape_tokens > 0; })) stages.push_back("geometry");
  if (any([](const dataset::Object& object) { return object.texture_tokens > 0; })) stages.push_back("texture");
  return stages;
}

// A dataset that was prepared before: checked against this run and passed on unchanged to `output`.
Result<PreprocessResult> reuse(const PreprocessConfig& config, const Plan& plan, const fs::path& output,
                               const PreprocessObserver& observer) {
  ESP_ASSIGN(const auto data, dataset::PreparedDataset::open(config.input, {config.threads, true}));
  const dataset::Manifest& manifest = data.manifest();
  if (manifest.resolution != config.resolution)
    return absl::InvalidArgumentError(absl::StrCat("resolution: the prepared dataset has ", manifest.resolution,
                                                   ", the request ", config.resolution, "; they must agree"));
  ESP_TRY(check_encoders(manifest, plan));
  if (data.objects().empty()) return absl::InvalidArgumentError("the prepared dataset has no data for any stage");
  std::vector<std::string> warnings = data.warnings();
  const auto missing = [&](const auto& encoder, const char* kind) {
    return encoder != nullptr && !manifest.folders.contains(kind);
  };
  if (missing(plan.encoders.shape, "shape_latent"))
    warnings.push_back("the prepared dataset has no shape latents: prepare the assets again to train geometry");
  if (missing(plan.encoders.texture, "pbr_latent"))
    warnings.push_back("the prepared dataset has no texture latents: prepare the assets again to train texture");
  for (const std::string& warning : warnings) {
    if (observer.warning) observer.warning(warning);
  }
  if (observer.started) observer.started(static_cast<int64_t>(data.objects().size()));
  std::error_code error;
  if (fs::is_directory(config.input, error)) {
    ESP_TRY(archive::zip_folder(config.input, output));
  } else if (!fs::equivalent(config.input, output, error)) {
    fs::copy_file(config.input, output, fs::copy_options::overwrite_existing, error);
    if (error) return absl::UnavailableError(absl::StrCat(output.string(), ": ", error.message()));
  }
  PreprocessResult result;
  result.dataset_id = data.id();
  result.resolution = manifest.resolution;
  result.objects = static_cast<int64_t>(data.objects().size());
  result.failed =
      std::count_if(manifest.objects.begin(), manifest.objects.end(), dataset::is_prepared) - result.objects;
  result.stages = stages_of(data);
  result.reused = true;
  return measured(std::move(result), output);
}

fs::path folder_beside(const fs::path& output) { return output.has_parent_path() ? output.parent_path() : "."; }

// As reuse(), as a part: the first shard carries the dataset.
Result<PreprocessResult> reuse_as_part(const PreprocessConfig& config, const Plan& plan,
                                       const PreprocessObserver& observer) {
  ESP_ASSIGN(const TempDir scratch, TempDir::create(".espalier-preprocess", folder_beside(config.output)));
  const fs::path dataset = scratch.path() / kReusedName;
  ESP_ASSIGN(PreprocessResult result, reuse(config, plan, dataset, observer));
  Part part = part_of(config, plan);
  part.reused = {result.sha256, result.dataset_id, result.resolution, result.objects, result.failed, result.stages};
  ESP_TRY(write_part(part, {{kReusedName, dataset}}, config.output));
  return measured(std::move(result), config.output);
}

}  // namespace

Status validate(const PreprocessConfig& config) {
  std::vector<std::string> faults;
  const auto range = [&](const char* name, int64_t value, int64_t low, int64_t high) {
    if (value < low || value > high)
      faults.push_back(absl::StrCat(name, ": ", value, " is not in ", low, " .. ", high));
  };
  if (config.input.empty()) faults.push_back("input: is missing");
  if (config.output.empty()) faults.push_back("output: is missing");
  if (config.base.empty()) faults.push_back("base: is missing");
  if (config.resolution != 512 && config.resolution != 1024)
    faults.push_back(absl::StrCat("resolution: ", config.resolution, " is not 512 or 1024"));
  if (config.seed > uint64_t{INT64_MAX}) faults.push_back("seed: is above 9223372036854775807");
  range("views", config.views, 1, 150);
  if (config.render_resolution != 0) range("render-resolution", config.render_resolution, 64, 2048);
  range("render-samples", config.render_samples, 1, 4096);
  range("threads", config.threads, 0, 1024);
  range("shards", config.shards, 1, 1024);
  range("shard", config.shard, 0, std::max(0, config.shards - 1));
  if (const auto& blender = config.importer.blender; !blender.empty() && blender != "none") {
    if (const auto found = find_blender(blender); !found.ok()) faults.push_back(std::string(found.status().message()));
  }
  if (faults.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrJoin(faults, "\n"));
}

Result<PreprocessResult> preprocess(const PreprocessConfig& config, std::stop_token stop,
                                    const PreprocessObserver& observer) {
  ESP_TRY(validate(config));
  ESP_ASSIGN(const dataset::Detection detection, detect_input(config.input));
  ESP_ASSIGN(const Plan plan, make_plan(config));
  if (detection.kind == dataset::Kind::kPrepared)
    return config.shards > 1 ? reuse_as_part(config, plan, observer) : reuse(config, plan, config.output, observer);
  if (!config.work_dir.empty()) {
    std::error_code error;
    fs::create_directories(config.work_dir, error);
    if (error) return absl::UnavailableError(absl::StrCat(config.work_dir.string(), ": ", error.message()));
    return prepare_assets(config, plan, config.work_dir, stop, observer);
  }
  ESP_ASSIGN(const TempDir work, TempDir::create(".espalier-preprocess", folder_beside(config.output)));
  return prepare_assets(config, plan, work.path(), stop, observer);
}

}  // namespace espalier::preprocess

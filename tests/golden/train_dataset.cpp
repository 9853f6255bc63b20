#include <torch/types.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/files.h"
#include "dataset/csv.h"
#include "dataset/layout.h"
#include "dataset/writer.h"
#include "nn/io/safetensors.h"
#include "tests/golden/golden.h"
#include "train/batch_plan.h"
#include "train/training_data.h"

// A data set as the reference's toolkit leaves it, and what the reference's dataset classes return of it: the same
// files with our manifest, written, opened and read for training, must give the same instances, latents and pictures.
namespace espalier::golden {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using nn::TensorMap;

const std::map<std::string, std::string> kFolders = {
    {"ss_latent", "ss_latents/ss_enc_conv3d_16l8_fp16_64"},
    {"shape_latent", "shape_latents/shape_enc_next_dc_f16c32_fp16_512"},
    {"pbr_latent", "pbr_latents/tex_enc_next_dc_f16c32_fp16_512"},
    {"render_cond", "renders_cond"}};

// The rows of all metadata.csv files, joined by sha256.
using Rows = std::map<std::string, std::map<std::string, std::string>>;

Status join(const fs::path& file, Rows& rows) {
  ESP_ASSIGN(const std::string text, read_file(file));
  ESP_ASSIGN(const auto table, dataset::parse_csv(text));
  const auto key = table.column("sha256");
  if (!key) return absl::InvalidArgumentError(absl::StrCat(file.string(), ": has no column sha256"));
  for (const auto& row : table.rows) {
    for (size_t i = 0; i < row.size(); ++i) rows[row[*key]][table.columns[i]] = row[i];
  }
  return absl::OkStatus();
}

// Why the reference's filters leave an object out of a stage; "ok" when they do not.
std::string verdict(const std::map<std::string, std::string>& row, const json& d, const std::string& stage) {
  const auto value = [&](const std::string& column) {
    const auto found = row.find(column);
    return found == row.end() ? std::string() : found->second;
  };
  double score = 0;
  if (!absl::SimpleAtod(value("aesthetic_score"), &score) || score < d.at("min_aesthetic_score").get<double>())
    return "unaesthetic";
  if (stage == "sparse_structure") return value("ss_latent_encoded") == "True" ? "ok" : "no_latent";
  std::set<std::string> kinds = {"shape"};
  if (stage == "texture") kinds.insert("pbr");
  for (const std::string& kind : kinds) {
    if (value(kind + "_latent_encoded") != "True") return "no_latent";
    if (std::atoi(value(kind + "_latent_tokens").c_str()) > d.at("max_tokens").get<int>()) return "too_many_tokens";
  }
  return "ok";
}

// Our manifest over the reference's files.
class Conversion {
 public:
  explicit Conversion(const Case& c) : d_(c.description), root_(c.folder / "dataset") {
    manifest_.resolution = d_.at("resolution");
    manifest_.folders = kFolders;
  }

  Status write(const fs::path& output) {
    Rows rows;
    ESP_TRY(join(root_ / "metadata.csv", rows));
    for (const auto& [kind, folder] : kFolders) ESP_TRY(join(root_ / folder / "metadata.csv", rows));
    for (const auto& [sha256, row] : rows) {
      if (row.count("cond_rendered") > 0) ESP_TRY(add(sha256, row));
    }
    return dataset::write_dataset(manifest_, files_, output);
  }

 private:
  Status add(const std::string& sha256, const std::map<std::string, std::string>& row) {
    dataset::ObjectRecord object;
    object.sha256 = sha256;
    for (const char* stage : {"sparse_structure", "geometry", "texture"})
      object.stages[stage] = verdict(row, d_, stage);
    for (const char* kind : {"ss_latent", "shape_latent", "pbr_latent"}) {
      const std::string name = absl::StrCat(kFolders.at(kind), "/", sha256, ".npz");
      if (fs::exists(root_ / name)) ESP_TRY(add_file(name, object));
    }
    int views = 0;
    for (;; ++views) {
      const std::string name = absl::StrCat("renders_cond/", sha256, "/", dataset::view_name(views));
      if (!fs::exists(root_ / name)) break;
      ESP_TRY(add_file(name, object));
      ESP_ASSIGN(const std::string png, read_file(root_ / name));
      manifest_.render.size = static_cast<unsigned char>(png.at(18)) * 256 + static_cast<unsigned char>(png.at(19));
    }
    manifest_.render.views = views;
    manifest_.objects.push_back(std::move(object));
    return absl::OkStatus();
  }

  Status add_file(const std::string& name, dataset::ObjectRecord& object) {
    ESP_ASSIGN(object.files.emplace_back(), dataset::record_file(name, root_ / name));
    files_[name] = root_ / name;
    return absl::OkStatus();
  }

  const json& d_;
  const fs::path root_;
  dataset::Manifest manifest_;
  dataset::FilesOnDisk files_;
};

train::LatentForm form_of(const std::string& stage, const json& d) {
  const auto statistics = [&](const char* name) {
    return nn::LatentNormalization{d.at(name).at("mean"), d.at(name).at("std")};
  };
  train::LatentForm form;
  form.channels = 8;
  form.grid = 4;
  if (stage == "sparse_structure") return form;
  form.kind = stage == "geometry" ? train::LatentKind::kShape : train::LatentKind::kTexture;
  form.channels = form.shape_channels = 32;
  form.grid = 32;
  form.shape_normalization = statistics("shape_normalization");
  form.normalization = stage == "geometry" ? form.shape_normalization : statistics("pbr_normalization");
  return form;
}

bool is_item(const dataset::Object& object, train::LatentKind kind) {
  if (kind == train::LatentKind::kStructure) return object.ss_channels > 0;
  return kind == train::LatentKind::kShape ? object.shape_tokens > 0 : object.texture_tokens > 0;
}

// Compares what a stage trains on.
class StageComparison {
 public:
  StageComparison(const std::string& stage, const json& d, const train::TrainingData& data, const TensorMap& expected,
                  Report& report)
      : stage_(stage), d_(d), data_(data), expected_(expected), report_(report) {}

  void instances(train::LatentKind kind) {
    std::vector<std::string> names;
    for (const auto& object : data_.dataset().objects()) {
      if (is_item(object, kind)) names.push_back(object.sha256);
    }
    const json& want = d_.at("stages").at(stage_);
    report_.expect(stage_ + " instances", json(names) == want.at("instances"));
    if (!want.at("loads").empty()) report_.expect(stage_ + " loads", json(data_.training_tokens()) == want.at("loads"));
    for (size_t i = 0; i < names.size() && i < static_cast<size_t>(data_.size()); ++i)
      item(static_cast<int64_t>(i), stage_ + "." + names[i]);
  }

  // The reference's collate makes micro-batches of nearly equal load.
  void packs() {
    const json& want = d_.at("stages").at(stage_);
    if (!want.contains("collate_split_2")) return;
    const auto groups = train::balanced_groups(data_.training_tokens(), 2, data_.size());
    for (size_t g = 0; g < groups.size(); ++g) {
      std::vector<train::SampleRef> refs;
      std::vector<int64_t> loads;
      for (const int64_t item : groups[g]) {
        refs.push_back({0, 0, item});
        loads.push_back(data_.tokens(item));
      }
      report_.expect(absl::StrCat(stage_, " split ", g), json(loads) == want.at("collate_split_2").at(g));
      compare(data_.samples(refs), absl::StrCat(stage_, ".pack", g));
    }
  }

 private:
  void item(int64_t i, const std::string& name) {
    const std::vector<train::SampleRef> refs = {{0, 0, i}};
    compare(data_.samples(refs), name);
    const auto picture = data_.picture(i, d_.at("view"), d_.at("image_size")).squeeze(0);
    report_.compare(name + ".cond", picture, named(expected_, name + ".cond"), d_.at("tolerance").at("cond_abs"), 0);
  }

  // Coordinates may be expected with or without the number of the sample.
  void compare(const train::FlowSamples& samples, const std::string& name) {
    const auto x0 = samples.coords.defined() ? samples.x0 : samples.x0.squeeze(0);
    const double tolerance = d_.at("tolerance").at("x0_abs");
    report_.compare(name + ".x0", x0, named(expected_, name + ".x0"), tolerance, 0);
    const auto beside = expected_.find(name + ".concat_cond");
    if (beside != expected_.end()) report_.compare(beside->first, samples.concat, beside->second, tolerance, 0);
    const auto coords = expected_.find(name + ".coords");
    if (coords == expected_.end()) return;
    const int64_t columns = coords->second.size(1);
    report_.compare(coords->first, samples.coords.narrow(1, 4 - columns, columns), coords->second, 0, 0);
  }

  const std::string stage_;
  const json& d_;
  const train::TrainingData& data_;
  const TensorMap& expected_;
  Report& report_;
};

}  // namespace

Status run_prepared_dataset_case(const Case& c, Report& report) {
  const json& d = c.description;
  ESP_ASSIGN(const auto file, nn::SafetensorsFile::open(c.folder / "expected.safetensors"));
  ESP_ASSIGN(const TensorMap expected, file.tensors());
  ESP_ASSIGN(const TempDir folder, TempDir::create("golden_dataset"));
  train::TrainConfig config;
  config.dataset = folder.path() / "dataset.zip";
  config.resolution = d.at("resolution");
  ESP_TRY(Conversion(c).write(config.dataset));
  for (const char* stage : {"sparse_structure", "geometry", "texture"}) {
    config.denoiser = stage;
    const auto form = form_of(stage, d);
    ESP_ASSIGN(const auto data, train::TrainingData::open(config, form));
    StageComparison comparison(stage, d, data, expected, report);
    comparison.instances(form.kind);
    comparison.packs();
  }
  return absl::OkStatus();
}

}  // namespace espalier::golden

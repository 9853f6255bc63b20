#include "nano/adapter_evaluation.h"

#include <ATen/ATen.h>
#include <torch/types.h>

#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/sha256.h"
#include "dataset/reader.h"
#include "image/codec.h"
#include "image/condition_image.h"
#include "image/foreground.h"
#include "nano/evaluation.h"
#include "nn/io/base_model.h"
#include "nn/io/load_model.h"
#include "nn/lora/adapter_file.h"

namespace espalier::nano {
namespace {

struct Model {
  std::unique_ptr<nn::SparseStructureFlow> flow;
  std::unique_ptr<nn::SparseStructureDecoder> decoder;
  std::unique_ptr<nn::DinoV3> encoder;
  infer::SamplerParams sampler;
  std::string flow_sha256;
  int image_size = 0;
};

Result<Model> load_model(const std::filesystem::path& folder) {
  ESP_ASSIGN(const nn::BaseModel base, nn::BaseModel::open(folder));
  Model model;
  const nn::LoadOptions options{at::kFloat, c10::kCPU};
  ESP_ASSIGN(model.flow, nn::load_ss_flow(base, options));
  ESP_ASSIGN(model.decoder, nn::load_ss_decoder(base, options));
  ESP_ASSIGN(model.encoder, nn::load_image_encoder(base, options));
  model.sampler = sampler_params(base.sparse_structure_sampler());
  model.image_size = static_cast<int>(std::lround(512 * base.grid_scale()));
  ESP_ASSIGN(const nn::ModelFiles files, base.model_files("sparse_structure_flow_model"));
  ESP_ASSIGN(model.flow_sha256, sha256_hex_of_file(files.weights));
  return model;
}

struct Items {
  std::vector<std::string> names;
  at::Tensor occupancy;              // bool [N, S, S, S]
  at::Tensor pictures;               // [N, 3, W, W] float32, the judged view as inference sees it
  at::Tensor other_views;            // [M, 3, W, W] float32
  std::vector<int64_t> other_owner;  // [M]
};

Result<at::Tensor> picture(const dataset::Object& object, size_t view, int size) {
  ESP_ASSIGN(const std::string png, object.view_png(view));
  ESP_ASSIGN(const image::DecodedImage decoded, image::decode(png));
  ESP_ASSIGN(const image::Image square,
             image::preprocess_image(decoded.image, image::BackgroundRemoval::kNone, nullptr));
  ESP_ASSIGN(std::vector<float> planes, image::inference_condition_image(square, size));
  return at::from_blob(planes.data(), {3, size, size}).clone();
}

Result<at::Tensor> stored_occupancy(const dataset::Object& object) {
  ESP_ASSIGN(const auto voxels, object.occupancy());
  if (!voxels.has_value()) {
    return absl::InvalidArgumentError(absl::StrCat("dataset: object ", object.sha256, " has no stored occupancy"));
  }
  const int64_t side = object.ss_resolution;
  at::Tensor cells = at::zeros({side, side, side}, at::TensorOptions(at::kBool));
  auto access = cells.accessor<bool, 3>();
  for (size_t i = 0; i + 2 < voxels->size(); i += 3) access[(*voxels)[i]][(*voxels)[i + 1]][(*voxels)[i + 2]] = true;
  return cells;
}

// What people call the object: its name, else the file it was made from, else the start of its hash.
std::string display_name(const dataset::Object& object, const dataset::Manifest& manifest) {
  if (!object.name.empty()) return object.name;
  for (const dataset::ObjectRecord& record : manifest.objects) {
    if (record.sha256 == object.sha256) return std::filesystem::path(record.path).stem().string();
  }
  return object.sha256.substr(0, 12);
}

Result<Items> load_items(const dataset::PreparedDataset& data, int view, int image_size) {
  Items items;
  std::vector<at::Tensor> cells, pictures, others;
  for (const dataset::Object& object : data.objects()) {
    if (static_cast<size_t>(view) >= object.views()) {
      return absl::InvalidArgumentError(
          absl::StrCat("view ", view, " is not in the dataset: object ", object.sha256, " has ", object.views()));
    }
    items.names.push_back(display_name(object, data.manifest()));
    ESP_ASSIGN(cells.emplace_back(), stored_occupancy(object));
    for (size_t i = 0; i < object.views(); ++i) {
      ESP_ASSIGN(at::Tensor image, picture(object, i, image_size));
      if (i == static_cast<size_t>(view)) {
        pictures.push_back(std::move(image));
        continue;
      }
      others.push_back(std::move(image));
      items.other_owner.push_back(static_cast<int64_t>(items.names.size()) - 1);
    }
  }
  if (cells.empty() || others.empty()) {
    return absl::InvalidArgumentError("dataset: needs an object and at least two views of it");
  }
  items.occupancy = at::stack(cells);
  items.pictures = at::stack(pictures);
  items.other_views = at::stack(others);
  return items;
}

// Adds one answer's scores to the candidate's running sums.
void add_scores(Candidate& candidate, const at::Tensor& got, const at::Tensor& want, double weight) {
  const at::Tensor ious = iou(got, want), f1s = f1_within_one(got, want);
  candidate.objects.resize(static_cast<size_t>(want.size(0)));
  for (size_t i = 0; i < candidate.objects.size(); ++i) {
    const auto row = static_cast<int64_t>(i);
    candidate.objects[i].iou += weight * ious[row].item<double>();
    candidate.objects[i].f1 += weight * f1s[row].item<double>();
  }
}

Candidate averaged(Candidate candidate) {
  for (const Score& score : candidate.objects) {
    candidate.mean.iou += score.iou / static_cast<double>(candidate.objects.size());
    candidate.mean.f1 += score.f1 / static_cast<double>(candidate.objects.size());
  }
  return candidate;
}

Result<Candidate> judge(const std::string& name, const Model& model, const at::Tensor& tokens, const Items& items,
                        int seeds) {
  Candidate candidate{name, {}, {}};
  for (int seed = 0; seed < seeds; ++seed) {
    ESP_ASSIGN(const at::Tensor got,
               sample_occupancy(*model.flow, *model.decoder, tokens, model.sampler, static_cast<uint64_t>(seed)));
    if (got.sizes() != items.occupancy.sizes()) {
      return absl::InvalidArgumentError("dataset: its occupancy grid is not the base's");
    }
    add_scores(candidate, got, items.occupancy, 1.0 / seeds);
  }
  return averaged(std::move(candidate));
}

void add_baselines(const Items& items, EvaluationReport& report) {
  Candidate constant{"constant", {}, {}}, nearest{"nearest_view", {}, {}};
  add_scores(constant, best_constant(items.occupancy).unsqueeze(0).expand_as(items.occupancy), items.occupancy, 1);
  const at::Tensor owner = at::tensor(items.other_owner);
  const at::Tensor answer = owner.index({nearest_pictures(items.pictures, items.other_views)});
  add_scores(nearest, items.occupancy.index({answer}), items.occupancy, 1);
  report.candidates.push_back(averaged(std::move(constant)));
  report.candidates.push_back(averaged(std::move(nearest)));
}

Status check(const EvaluationConfig& config) {
  if (!(config.scale >= 0 && config.scale <= 2)) return absl::InvalidArgumentError("scale: must be 0 to 2");
  if (config.seeds < 1 || config.seeds > 100) return absl::InvalidArgumentError("seeds: must be 1 to 100");
  if (config.view < 0) return absl::InvalidArgumentError("view: must be 0 or more");
  return absl::OkStatus();
}

}  // namespace

Result<EvaluationReport> evaluate(const EvaluationConfig& config) {
  ESP_TRY(check(config));
  const at::NoGradGuard no_grad;
  ESP_ASSIGN(Model model, load_model(config.base));
  ESP_ASSIGN(const auto data, dataset::PreparedDataset::open(config.dataset));
  ESP_ASSIGN(const Items items, load_items(data, config.view, model.image_size));
  const at::Tensor tokens = model.encoder->forward(nn::normalize_pixels(items.pictures));

  EvaluationReport report;
  report.objects = items.names;
  ESP_ASSIGN(report.candidates.emplace_back(), judge("base", model, tokens, items, config.seeds));
  for (const std::filesystem::path& path : config.adapters) {
    const nn::LoraTargets targets = model.flow->lora_targets();
    ESP_ASSIGN(const nn::AdapterFile file, nn::read_adapter(path, targets, {"sparse_structure", 0, model.flow_sha256}));
    ESP_ASSIGN(const nn::AdapterScope scope, nn::AdapterScope::attach(file.adapter, targets, config.scale));
    ESP_ASSIGN(report.candidates.emplace_back(), judge(path.filename().string(), model, tokens, items, config.seeds));
  }
  add_baselines(items, report);
  return report;
}

std::string to_table(const EvaluationReport& report) {
  std::string text = absl::StrFormat("%-28s %8s %8s", "", "IoU", "F1");
  for (const std::string& name : report.objects) absl::StrAppendFormat(&text, "  %14s", name.substr(0, 14));
  text += "\n";
  for (const Candidate& c : report.candidates) {
    absl::StrAppendFormat(&text, "%-28s %8.3f %8.3f", c.name.substr(0, 28), c.mean.iou, c.mean.f1);
    for (const Score& score : c.objects) absl::StrAppendFormat(&text, "  %6.3f / %5.3f", score.iou, score.f1);
    text += "\n";
  }
  return text;
}

std::string to_json(const EvaluationReport& report) {
  nlohmann::json json = {{"objects", report.objects}, {"candidates", nlohmann::json::array()}};
  for (const Candidate& c : report.candidates) {
    nlohmann::json entry = {
        {"name", c.name}, {"iou", c.mean.iou}, {"f1", c.mean.f1}, {"objects", nlohmann::json::array()}};
    for (const Score& score : c.objects) entry["objects"].push_back({{"iou", score.iou}, {"f1", score.f1}});
    json["candidates"].push_back(std::move(entry));
  }
  return json.dump() + "\n";
}

}  // namespace espalier::nano

#include "evaluate/evaluation.h"

#include <memory>

#include "absl/strings/str_cat.h"
#include "dataset/reader.h"
#include "evaluate/decoded_object.h"
#include "evaluate/items.h"
#include "evaluate/object_picture.h"
#include "image/codec.h"

namespace espalier::evaluate {
namespace {

namespace fs = std::filesystem;

// A running mean of scores.
class Mean {
 public:
  void add(const Score& score) {
    ++count_;
    add(sum_.structure.iou, score.structure.iou);
    add(sum_.structure.f1, score.structure.f1);
    if (score.shape) add(sum_.shape.emplace(sum_.shape.value_or(kNoShape)), *score.shape);
    if (score.color) add(sum_.color.emplace(sum_.color.value_or(ColorAgreement{0, 0})), *score.color);
  }
  const Score& value() const { return sum_; }

 private:
  static constexpr SurfaceAgreement kNoShape{0, 0, 0};

  // Keeps each sum divided by the count.
  void add(double& mean, double value) const { mean += (value - mean) / count_; }
  void add(SurfaceAgreement& mean, const SurfaceAgreement& one) const {
    add(mean.chamfer, one.chamfer);
    add(mean.f_score, one.f_score);
    add(mean.normal_consistency, one.normal_consistency);
  }
  void add(ColorAgreement& mean, const ColorAgreement& one) const {
    add(mean.psnr, one.psnr);
    add(mean.psnr_common, one.psnr_common);
  }

  Score sum_{{0, 0}, {}, {}};
  int count_ = 0;
};

// What a candidate made of one picture.
struct Made {
  std::vector<Cell> cells;
  int structure_resolution = 0;
  ColoredSurface object;  // empty without a shape
};

class Evaluation {
 public:
  Evaluation(const EvaluationConfig& config, infer::Engine& engine, Items items)
      : config_(config), engine_(engine), items_(std::move(items)) {}

  Result<EvaluationReport> run() {
    EvaluationReport report;
    report.view = config_.view;
    report.held_out_objects = items_.held_out_objects;
    for (const Item& item : items_.items) {
      ESP_ASSIGN(report.objects.emplace_back(), shown(item));
    }
    ESP_ASSIGN(report.candidates.emplace_back(), judge("base", {}));
    if (config_.each && config_.adapters.size() > 1) {
      for (const fs::path& adapter : config_.adapters) {
        ESP_ASSIGN(report.candidates.emplace_back(), judge(adapter.filename().string(), {adapter}));
      }
    }
    if (!config_.adapters.empty()) {
      ESP_ASSIGN(report.candidates.emplace_back(), judge("adapters", config_.adapters));
    }
    return report;
  }

 private:
  Result<image::Image> picture_of(const ColoredSurface& object) const {
    if (config_.picture_size == 0) return image::Image{};
    return object_picture(object, config_.picture_size);
  }

  Result<EvaluatedObject> shown(const Item& item) const {
    EvaluatedObject object{item.name, {}, {}};
    if (config_.picture_size == 0) return object;
    ESP_ASSIGN(const auto given, image::decode(item.png));
    object.given = given.image;
    if (item.truth) {
      ESP_ASSIGN(object.picture, picture_of(*item.truth));
    }
    return object;
  }

  Result<Candidate> judge(const std::string& name, const std::vector<fs::path>& adapters) const {
    Candidate candidate{name, {}, {}};
    Mean mean;
    const auto count = static_cast<int>(items_.items.size());
    for (int i = 0; i < count; ++i) {
      if (config_.progress) config_.progress(name, i, count);
      ESP_ASSIGN(candidate.answers.emplace_back(), answer(items_.items[static_cast<size_t>(i)], adapters));
      mean.add(candidate.answers.back().score);
    }
    if (config_.progress) config_.progress(name, count, count);
    candidate.mean = mean.value();
    return candidate;
  }

  Result<Answer> answer(const Item& item, const std::vector<fs::path>& adapters) const {
    Answer answer;
    Mean mean;
    for (int seed = 0; seed < config_.seeds; ++seed) {
      ESP_ASSIGN(const Made made, make(item, adapters, static_cast<uint64_t>(seed)));
      ESP_ASSIGN(const Score score, score_of(made, item));
      mean.add(score);
      if (seed == 0 && item.truth) {
        ESP_ASSIGN(answer.picture, picture_of(made.object));
      }
    }
    answer.score = mean.value();
    return answer;
  }

  Result<Made> make(const Item& item, const std::vector<fs::path>& adapters, uint64_t seed) const {
    infer::GenerateRequest request;
    request.image = item.png;
    request.seed = seed;
    request.resolution = items_.resolution;
    request.formats = {item.truth ? infer::FileFormat::kNpz : infer::FileFormat::kOccupancy};
    request.remesh = false;  // what is judged is the decoded grid
    for (const fs::path& adapter : adapters) request.adapters.push_back({adapter, config_.scale});
    infer::GenerateHooks hooks;
    hooks.stop = config_.stop;
    const auto assets = engine_.generate(request, hooks);
    if (absl::IsFailedPrecondition(assets.status())) return Made{};  // no cell, or no surface, came out
    ESP_TRY(assets.status());
    const infer::GeneratedSample& sample = assets->samples.at(0);
    Made made{sample.voxels, assets->structure_resolution, {}};
    if (item.truth) {
      ESP_ASSIGN(made.object, decoded_object(sample.file(infer::FileFormat::kNpz)));
    }
    return made;
  }

  static Result<Score> score_of(const Made& made, const Item& item) {
    Score score{{0, 0}, {}, {}};
    if (made.structure_resolution > 0) {
      const int side = std::min(made.structure_resolution, item.structure_resolution);
      score.structure = cell_agreement(pooled(made.cells, made.structure_resolution, side),
                                       pooled(item.cells, item.structure_resolution, side));
    }
    if (!item.truth) return score;
    ESP_ASSIGN(score.shape, surface_agreement(made.object.surface, item.truth->surface));
    const bool has_colors = !made.object.colors.empty() || made.object.surface.triangles.empty();
    if (!item.truth->colors.empty() && has_colors) {
      ESP_ASSIGN(score.color, color_agreement(made.object, *item.truth));
    }
    return score;
  }

  const EvaluationConfig& config_;
  infer::Engine& engine_;
  Items items_;
};

Status check(const EvaluationConfig& config) {
  const auto outside = [](const char* name, const char* range) {
    return absl::InvalidArgumentError(absl::StrCat(name, ": must be ", range));
  };
  if (!(config.scale >= 0 && config.scale <= 2)) return outside("scale", "0 to 2");
  if (config.seeds < 1 || config.seeds > 100) return outside("seeds", "1 to 100");
  if (config.view < 0) return outside("view", "0 or more");
  if (config.max_objects < 0) return outside("max_objects", "0 or more");
  if (config.picture_size != 0 && (config.picture_size < 16 || config.picture_size > 1024)) {
    return outside("picture_size", "0, or 16 to 1024");
  }
  return absl::OkStatus();
}

}  // namespace

Result<EvaluationReport> evaluate(const EvaluationConfig& config) {
  ESP_TRY(check(config));
  ESP_ASSIGN(const auto data, dataset::PreparedDataset::open(config.dataset));
  ESP_ASSIGN(const auto engine, infer::Engine::open({.base = config.base, .device = config.device}));
  ESP_ASSIGN(Items items, load_items(data, config.view, config.max_objects, *engine));
  return Evaluation(config, *engine, std::move(items)).run();
}

}  // namespace espalier::evaluate

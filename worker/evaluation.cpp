#include "worker/evaluation.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "common/files.h"

namespace espalier::worker {
namespace {

using nlohmann::json;

constexpr uint64_t kMaxBytes = uint64_t{16} << 20;

v1::EvaluationScores scores_of(const json& candidate) {
  const json& mean = candidate.at("mean");
  v1::EvaluationScores scores;
  scores.set_candidate(candidate.at("name").get<std::string>());
  scores.set_iou(mean.at("iou").get<double>());
  scores.set_f1(mean.at("f1").get<double>());
  if (mean.contains("chamfer")) {
    scores.set_chamfer(mean.at("chamfer").get<double>());
    scores.set_f_score(mean.at("f_score").get<double>());
    scores.set_normal_consistency(mean.at("normal_consistency").get<double>());
  }
  if (mean.contains("psnr")) {
    scores.set_psnr(mean.at("psnr").get<double>());
    scores.set_psnr_common(mean.at("psnr_common").get<double>());
  }
  return scores;
}

}  // namespace

Result<v1::Evaluation> read_evaluation(const std::filesystem::path& file) {
  ESP_ASSIGN(const std::string text, read_file(file, kMaxBytes));
  try {
    const json report = json::parse(text);
    v1::Evaluation evaluation;
    evaluation.set_view(report.at("view").get<int>());
    evaluation.set_objects(static_cast<int>(report.at("objects").size()));
    for (const json& candidate : report.at("candidates")) *evaluation.add_candidates() = scores_of(candidate);
    return evaluation;
  } catch (const json::exception& error) {
    return absl::InvalidArgumentError(absl::StrCat(file.filename().string(), ": not an evaluation: ", error.what()));
  }
}

}  // namespace espalier::worker

#include "evaluate/report.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace espalier::evaluate {
namespace {

std::string columns(const Score& score) {
  std::string text = absl::StrFormat(" %7.3f %7.3f", score.structure.iou, score.structure.f1);
  if (score.shape) {
    absl::StrAppendFormat(&text, " %8.4f %7.3f %7.3f", score.shape->chamfer, score.shape->f_score,
                          score.shape->normal_consistency);
  }
  if (score.color) absl::StrAppendFormat(&text, " %7.2f %7.2f", score.color->psnr, score.color->psnr_common);
  return text;
}

std::string heading(const Score& score) {
  std::string text = absl::StrFormat(" %7s %7s", "IoU", "F1");
  if (score.shape) absl::StrAppendFormat(&text, " %8s %7s %7s", "Chamfer", "F-score", "normals");
  if (score.color) absl::StrAppendFormat(&text, " %7s %7s", "PSNR", "common");
  return text;
}

nlohmann::json as_json(const Score& score) {
  nlohmann::json json = {{"iou", score.structure.iou}, {"f1", score.structure.f1}};
  if (score.shape) {
    json["chamfer"] = score.shape->chamfer;
    json["f_score"] = score.shape->f_score;
    json["normal_consistency"] = score.shape->normal_consistency;
  }
  if (score.color) {
    json["psnr"] = score.color->psnr;
    json["psnr_common"] = score.color->psnr_common;
  }
  return json;
}

}  // namespace

std::string to_table(const EvaluationReport& report) {
  std::string text = absl::StrFormat("%-24s %-16s%s\n", "", "", heading(report.candidates.front().mean));
  for (const Candidate& candidate : report.candidates) {
    absl::StrAppendFormat(&text, "%-24s %-16s%s\n", candidate.name.substr(0, 24), "mean", columns(candidate.mean));
    for (size_t i = 0; i < candidate.answers.size(); ++i) {
      absl::StrAppendFormat(&text, "%-24s %-16s%s\n", "", report.objects[i].name.substr(0, 16),
                            columns(candidate.answers[i].score));
    }
  }
  return text;
}

std::string to_json(const EvaluationReport& report) {
  nlohmann::json json = {{"view", report.view},
                         {"held_out", report.held_out_objects ? "objects" : "view"},
                         {"objects", nlohmann::json::array()},
                         {"candidates", nlohmann::json::array()}};
  for (const EvaluatedObject& object : report.objects) json["objects"].push_back(object.name);
  for (const Candidate& candidate : report.candidates) {
    nlohmann::json entry = {{"name", candidate.name}, {"mean", as_json(candidate.mean)}};
    entry["objects"] = nlohmann::json::array();
    for (const Answer& answer : candidate.answers) entry["objects"].push_back(as_json(answer.score));
    json["candidates"].push_back(std::move(entry));
  }
  return json.dump() + "\n";
}

}  // namespace espalier::evaluate

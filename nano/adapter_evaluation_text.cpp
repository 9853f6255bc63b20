#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "nano/adapter_evaluation.h"

namespace espalier::nano {
namespace {

std::string columns(const Score& score) {
  std::string text = absl::StrFormat(" %8.3f %8.3f", score.iou, score.f1);
  for (const auto& shape : {score.shape, score.own_cells}) {
    absl::StrAppend(&text, shape ? absl::StrFormat(" %8.4f %8.3f", shape->chamfer, shape->f_score)
                                 : absl::StrFormat(" %8s %8s", "-", "-"));
  }
  return text;
}

nlohmann::json as_json(const Score& score) {
  nlohmann::json json = {{"iou", score.iou}, {"f1", score.f1}};
  if (score.shape) {
    json["chamfer"] = score.shape->chamfer;
    json["f_score"] = score.shape->f_score;
  }
  if (score.own_cells) {
    json["own_cells_chamfer"] = score.own_cells->chamfer;
    json["own_cells_f_score"] = score.own_cells->f_score;
  }
  return json;
}

}  // namespace

std::string to_table(const EvaluationReport& report) {
  std::string text = absl::StrFormat("%-28s %-14s %8s %8s %8s %8s %17s\n", "", "", "IoU", "F1", "Chamfer", "F-score",
                                     "in its own cells");
  for (const Candidate& c : report.candidates) {
    const std::string name = c.name.substr(0, 28);
    absl::StrAppendFormat(&text, "%-28s %-14s%s\n", name, "mean", columns(c.mean));
    for (size_t i = 0; i < c.objects.size(); ++i) {
      absl::StrAppendFormat(&text, "%-28s %-14s%s\n", "", report.objects[i].substr(0, 14), columns(c.objects[i]));
    }
  }
  return text;
}

std::string to_json(const EvaluationReport& report) {
  nlohmann::json json = {{"objects", report.objects}, {"candidates", nlohmann::json::array()}};
  for (const Candidate& c : report.candidates) {
    nlohmann::json entry = as_json(c.mean);
    entry["name"] = c.name;
    entry["objects"] = nlohmann::json::array();
    for (const Score& score : c.objects) entry["objects"].push_back(as_json(score));
    json["candidates"].push_back(std::move(entry));
  }
  return json.dump() + "\n";
}

}  // namespace espalier::nano

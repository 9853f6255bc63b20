#include "preprocess/manifest_csv.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <set>
#include <unordered_map>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "archive/central_directory.h"
#include "dataset/csv.h"

namespace espalier::preprocess {
namespace {

constexpr size_t kMaxFaults = 20;
constexpr std::array<std::string_view, 6> kAxes = {"x", "-x", "y", "-y", "z", "-z"};

class ManifestReader {
 public:
  ManifestReader(const dataset::CsvTable& table, std::string_view prefix, std::vector<Asset>& assets)
      : table_(table), prefix_(prefix) {
    for (Asset& asset : assets) by_path_.emplace(asset.path, &asset);
  }

  std::vector<std::string> apply() {
    if (!table_.column("path")) return {"line 1: the column \"path\" is missing"};
    for (row_ = 0; row_ < table_.rows.size() && faults_.size() < kMaxFaults; ++row_) apply_row();
    return faults_;
  }

 private:
  std::string field(std::string_view column) const {
    const auto index = table_.column(column);
    return index ? table_.rows[row_][*index] : std::string();
  }

  void fault(std::string_view column, std::string_view what) {
    faults_.push_back(absl::StrCat("line ", table_.lines[row_], ": ", std::string(column), ": ", std::string(what)));
  }

  void apply_row() {
    const std::string written = field("path");
    const auto path = archive::normalize_name(written.starts_with("./") ? written.substr(2) : written);
    const auto found = path.ok() ? by_path_.find(absl::StrCat(std::string(prefix_), *path)) : by_path_.end();
    if (found == by_path_.end()) return fault("path", absl::StrCat("no asset \"", written, "\" in the input"));
    if (!named_.insert(found->first).second) return fault("path", absl::StrCat("\"", written, "\" is named twice"));
    Asset& asset = *found->second;
    asset.name = field("name").substr(0, 256);
    if (const auto text = field("exclude"); !text.empty()) {
      if (text != "0" && text != "1") fault("exclude", "must be 0 or 1");
      asset.excluded = text == "1";
    }
    if (const auto text = field("split"); !text.empty()) {
      if (text != "train" && text != "val") fault("split", "must be train or val");
      asset.split = text;
    }
    if (const auto text = field("repeat"); !text.empty()) {
      if (!absl::SimpleAtoi(text, &asset.repeat) || asset.repeat < 1 || asset.repeat > 1000)
        fault("repeat", "must be an integer from 1 to 1000");
    }
    if (const auto text = field("aesthetic_score"); !text.empty()) {
      if (!absl::SimpleAtod(text, &asset.aesthetic_score) || !std::isfinite(asset.aesthetic_score))
        fault("aesthetic_score", "must be a number");
    }
    if (const auto text = field("up_axis"); !text.empty()) {
      if (std::find(kAxes.begin(), kAxes.end(), text) == kAxes.end()) fault("up_axis", "must be x, -x, y, -y, z or -z");
      asset.up_axis = text;
    }
    keep_extra(asset);
  }

  void keep_extra(Asset& asset) const {
    static const std::set<std::string> kKnown = {"path",    "exclude",         "split", "repeat",
                                                 "up_axis", "aesthetic_score", "name"};
    for (size_t i = 0; i < table_.columns.size(); ++i) {
      if (!kKnown.contains(table_.columns[i])) asset.extra[table_.columns[i]] = table_.rows[row_][i];
    }
  }

  const dataset::CsvTable& table_;
  const std::string_view prefix_;
  std::unordered_map<std::string, Asset*> by_path_;
  std::set<std::string> named_;
  std::vector<std::string> faults_;
  size_t row_ = 0;
};

}  // namespace

Status apply_manifest(std::string_view csv, std::string_view prefix, std::vector<Asset>& assets) {
  const auto table = dataset::parse_csv(csv);
  if (!table.ok()) return annotate(table.status(), "manifest.csv");
  const auto faults = ManifestReader(*table, prefix, assets).apply();
  if (faults.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("manifest.csv: ", absl::StrJoin(faults, "\nmanifest.csv: ")));
}

}  // namespace espalier::preprocess

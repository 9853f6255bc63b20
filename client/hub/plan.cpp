#include "client/hub/plan.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"

namespace espalier::client {
namespace {

using nlohmann::json;

constexpr char kOwnFile[] = "espalier.json";

// Where the official release keeps the encoders; only training needs them, so its pipeline.json does not name them.
const std::map<std::string, std::string> kEncoderStems = {
    {"sparse_structure_encoder", "microsoft/TRELLIS-image-large/ckpts/ss_enc_conv3d_16l8_fp16"},
    {"shape_slat_encoder", "ckpts/shape_enc_next_dc_f16c32_fp16"},
    {"tex_slat_encoder", "ckpts/tex_enc_next_dc_f16c32_fp16"}};

std::set<std::string> keys_of(const BaseSelection& selection) {
  std::set<std::string> keys;
  const auto add_tiers = [&](const char* prefix) {
    for (const int tier : selection.tiers) keys.insert(absl::StrCat(prefix, "_flow_model_", tier));
  };
  for (const Denoiser denoiser : selection.denoisers) {
    if (denoiser == Denoiser::kSparseStructure) {
      keys.insert({"sparse_structure_flow_model", "sparse_structure_decoder", "sparse_structure_encoder"});
    } else if (denoiser == Denoiser::kGeometry) {
      keys.insert({"shape_slat_decoder", "shape_slat_encoder"});
      add_tiers("shape_slat");
    } else {  // conditioned on shape latents
      keys.insert({"tex_slat_decoder", "tex_slat_encoder", "shape_slat_encoder"});
      add_tiers("tex_slat");
    }
  }
  return keys;
}

const json& child(const json& object, const char* field) {
  static const json kEmpty = json::object();
  const auto found = object.find(field);
  return found == object.end() || !found->is_object() ? kEmpty : *found;
}

std::string text_of(const json& object, const std::string& field) {
  const auto found = object.find(field);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

HubRepo without_files(const HubRepo& repo) { return {.id = repo.id, .commit = repo.commit, .licence = repo.licence}; }

// Collects the files of a plan, from the main repository and those it refers to.
class Planner {
 public:
  Planner(const HubRepo& main, const ListRepo& list) : main_(main), list_(list) {}

  // `name` is a path in the main repository or begins with the "owner/name/" of another; adds name + each ending.
  Status add(const std::string& what, const std::string& name, const std::vector<std::string>& endings) {
    if (!is_plain_path(name)) return absl::InvalidArgumentError(absl::StrCat(what, ": bad path ", name));
    const bool own = main_.files.contains(name + endings.back());
    ESP_ASSIGN(const HubRepo* repo, own ? &main_ : other(what, name + endings.back()));
    for (const auto& ending : endings) {
      const std::string place = name + ending;
      ESP_TRY(add_file(what, *repo, own ? place : place.substr(repo->id.size() + 1), place));
    }
    return absl::OkStatus();
  }

  Status add_file(const std::string& what, const HubRepo& repo, const std::string& path, const std::string& place) {
    const auto found = repo.files.find(path);
    if (found == repo.files.end()) {
      return absl::NotFoundError(absl::StrCat(what, ": ", repo.id, " at ", repo.commit, " has no ", path));
    }
    if (place == kOwnFile) return absl::InvalidArgumentError(absl::StrCat(what, ": bad path ", place));
    files_[place] = {.repo = without_files(repo), .file = found->second, .place = place};
    return absl::OkStatus();
  }

  std::vector<BaseFile> files() && {
    std::vector<BaseFile> sorted;
    for (auto& [place, file] : files_) sorted.push_back(std::move(file));
    std::stable_sort(sorted.begin(), sorted.end(),
                     [](const BaseFile& a, const BaseFile& b) { return a.file.size < b.file.size; });
    return sorted;
  }

 private:
  // Of "owner/name/path".
  Result<const HubRepo*> other(const std::string& what, const std::string& place) {
    const size_t end = place.find('/', place.find('/') + 1);
    const std::string id = place.substr(0, end);
    if (end == std::string::npos || !is_repo_id(id)) {
      return absl::NotFoundError(absl::StrCat(what, ": ", main_.id, " at ", main_.commit, " has no ", place));
    }
    if (!others_.contains(id)) {
      auto listed = list_(id);
      ESP_TRY(annotate(listed.status(), what));
      others_.emplace(id, *std::move(listed));
    }
    return &others_.at(id);
  }

  const HubRepo& main_;
  const ListRepo& list_;
  std::map<std::string, HubRepo> others_;
  std::map<std::string, BaseFile> files_;  // by place
};

}  // namespace

Result<BasePlan> plan_base(const HubRepo& main, const std::string& text, const BaseSelection& selection,
                           const ListRepo& list) {
  const json pipeline = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!pipeline.is_object()) return absl::InvalidArgumentError(absl::StrCat(main.id, ": pipeline.json is not JSON"));
  const json& args = child(pipeline, "args");
  const json& named = child(args, "models");
  BasePlan plan;
  Planner planner(main, list);
  ESP_TRY(planner.add_file("pipeline", main, "pipeline.json", "pipeline.json"));
  for (const auto& key : keys_of(selection)) {
    std::string stem = text_of(named, key);
    if (stem.empty() && kEncoderStems.contains(key)) stem = plan.models[key] = kEncoderStems.at(key);
    if (stem.empty()) return absl::NotFoundError(absl::StrCat(main.id, ": pipeline.json names no model ", key));
    ESP_TRY(planner.add(key, stem, {".json", ".safetensors"}));
  }
  plan.image_encoder = selection.image_encoder;
  if (plan.image_encoder.empty()) {
    plan.image_encoder = text_of(child(child(args, "image_cond_model"), "args"), "model_name");
  }
  if (plan.image_encoder.empty()) return absl::NotFoundError(absl::StrCat(main.id, ": names no image encoder"));
  ESP_TRY(planner.add("image encoder", plan.image_encoder, {"/config.json", "/model.safetensors"}));
  plan.files = std::move(planner).files();
  return plan;
}

}  // namespace espalier::client

#include "client/hub/record.h"

#include <algorithm>
#include <set>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/files.h"

namespace espalier::client {
namespace {

using nlohmann::json;

constexpr uint64_t kLargestRecord = uint64_t{4} << 20;

std::string text_at(const json& object, const json::json_pointer& place) {
  return object.contains(place) && object[place].is_string() ? object[place].get<std::string>() : "";
}

// Names may hold '/', which a JSON pointer's push_back takes as it is.
json::json_pointer pointer(std::initializer_list<std::string> names) {
  json::json_pointer place;
  for (const auto& name : names) place.push_back(name);
  return place;
}

// A new base: its name is the repository's without the owner.
json fresh(const std::string& repo) {
  return {{"name", repo.substr(repo.find('/') + 1)},
          {"grid_scale", 1},
          {"tiers", json::array()},
          {"models", json::object()},
          {"sha256", json::object()},
          {"sources", json::object()}};
}

bool is_sound(const json& object) {
  const auto has = [&](const char* field) { return object.contains(field) && object[field].is_object(); };
  return object.is_object() && has("models") && has("sha256") && has("sources") && object.contains("tiers") &&
         object["tiers"].is_array();
}

}  // namespace

Result<BaseRecord> BaseRecord::open(const std::filesystem::path& folder, const std::string& repo) {
  const auto file = folder / "espalier.json";
  std::error_code error;
  if (!std::filesystem::exists(file, error)) return BaseRecord(folder, fresh(repo));
  ESP_ASSIGN(const std::string text, read_file(file, kLargestRecord));
  json object = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (is_sound(object) && object["sources"].contains(repo)) return BaseRecord(folder, std::move(object));
  return absl::FailedPreconditionError(
      absl::StrCat(folder.string(), " holds a base that does not come from ", repo, "; choose another folder with -o"));
}

std::string BaseRecord::revision(const std::string& repo) const {
  return text_at(object_, pointer({"sources", repo, "revision"}));
}

Status BaseRecord::pin(const HubRepo& repo) {
  const std::string before = revision(repo.id);
  if (!before.empty() && before != repo.commit) {
    return absl::FailedPreconditionError(absl::StrCat(folder_.string(), " holds ", repo.id, " at ", before, ", not at ",
                                                      repo.commit, "; choose another folder with -o"));
  }
  object_["sources"][repo.id] = {{"revision", repo.commit}, {"licence", repo.licence}};
  return absl::OkStatus();
}

void BaseRecord::add(const BasePlan& plan, const std::vector<int>& tiers) {
  std::set<json> all(object_["tiers"].begin(), object_["tiers"].end());
  all.insert(tiers.begin(), tiers.end());
  object_["tiers"] = all;
  for (const auto& [key, stem] : plan.models) object_["models"][key] = stem;
  object_["image_encoder"] = plan.image_encoder;
  std::vector<std::string> licences;
  for (const auto& [repo, source] : object_["sources"].items()) {
    const std::string licence = text_at(source, pointer({"licence"}));
    licences.push_back(absl::StrCat(licence.empty() ? "unknown" : licence, " (", repo, ")"));
  }
  object_["licence"] = absl::StrJoin(licences, ", ");
}

void BaseRecord::add_digest(const std::string& place, const std::string& sha256) { object_["sha256"][place] = sha256; }

std::string BaseRecord::digest(const std::string& place) const { return text_at(object_, pointer({"sha256", place})); }

Status BaseRecord::write() const {
  return write_file_atomic(folder_ / "espalier.json",
                           object_.dump(2, ' ', false, json::error_handler_t::replace) + "\n");
}

}  // namespace espalier::client

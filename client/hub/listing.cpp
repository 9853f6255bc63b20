#include "client/hub/listing.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace espalier::client {
namespace {

using nlohmann::json;

constexpr int64_t kLargestFile = int64_t{1} << 50;
constexpr size_t kMostFiles = 100'000;
constexpr size_t kLongestPath = 1024, kLongestName = 200;

Status bad_answer(const HubRepo& repo, std::string_view what) {
  return absl::DataLossError(absl::StrCat(repo.id, ": the hub's answer ", std::string(what)));
}

std::string text_of(const json& object, const char* field) {
  const auto found = object.is_object() ? object.find(field) : object.end();
  return object.is_object() && found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

int64_t size_of(const json& object) {
  const auto found = object.find("size");
  return found != object.end() && found->is_number_unsigned() ? found->get<int64_t>() : -1;
}

bool is_hex(const std::string& text, size_t digits) {
  return text.size() == digits && std::all_of(text.begin(), text.end(), [](unsigned char c) {
           return absl::ascii_isdigit(c) || (c >= 'a' && c <= 'f');
         });
}

bool is_plain_name(std::string_view name) {
  return !name.empty() && name.size() <= kLongestName && name != "." && name != ".." &&
         std::none_of(name.begin(), name.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f || c == '\\'; });
}

Status add_file(const json& entry, HubRepo& repo) {
  HubFile file{.path = text_of(entry, "path"), .size = size_of(entry), .sha256 = "", .git_sha1 = text_of(entry, "oid")};
  if (!is_plain_path(file.path)) return bad_answer(repo, "lists a path that leaves its folder");
  if (const auto lfs = entry.find("lfs"); lfs != entry.end() && lfs->is_object()) {
    file.sha256 = text_of(*lfs, "oid");
    file.size = size_of(*lfs);
  }
  const bool digest = file.sha256.empty() ? is_hex(file.git_sha1, 40) : is_hex(file.sha256, 64);
  if (!digest || file.size < 0 || file.size > kLargestFile) {
    return bad_answer(repo, absl::StrCat("has no usable size and digest of ", file.path));
  }
  if (repo.files.size() == kMostFiles) return bad_answer(repo, "lists too many files");
  repo.files[file.path] = std::move(file);
  return absl::OkStatus();
}

}  // namespace

bool is_repo_id(const std::string& text) {
  const auto allowed = [](unsigned char c) { return absl::ascii_isalnum(c) || c == '.' || c == '_' || c == '-'; };
  return std::count(text.begin(), text.end(), '/') == 1 && is_plain_path(text) &&
         std::all_of(text.begin(), text.end(), [&](unsigned char c) { return c == '/' || allowed(c); });
}

bool is_plain_path(const std::string& text) {
  if (text.size() > kLongestPath) return false;
  for (const auto& name : absl::StrSplit(text, '/')) {
    if (!is_plain_name({name.data(), name.size()})) return false;
  }
  return true;
}

Result<HubRepo> parse_revision(const std::string& id, const std::string& text) {
  const json answer = json::parse(text, nullptr, /*allow_exceptions=*/false);
  HubRepo repo{.id = id, .commit = text_of(answer, "sha"), .licence = ""};
  if (!is_hex(repo.commit, 40)) return bad_answer(repo, "names no commit");
  if (const auto card = answer.find("cardData"); card != answer.end()) repo.licence = text_of(*card, "license");
  return repo;
}

Status parse_tree(const std::string& text, HubRepo& repo) {
  const json answer = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!answer.is_array()) return bad_answer(repo, "is no list of files");
  for (const auto& entry : answer) {
    if (text_of(entry, "type") == "file") ESP_TRY(add_file(entry, repo));
  }
  return absl::OkStatus();
}

}  // namespace espalier::client

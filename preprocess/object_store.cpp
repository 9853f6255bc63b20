#include "preprocess/object_store.h"

#include <algorithm>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "common/files.h"
#include "dataset/writer.h"

namespace espalier::preprocess {
namespace {

namespace fs = std::filesystem;

constexpr const char* kRecord = "record.json";
constexpr const char* kAxis = "up_axis.txt";

Status unavailable(const fs::path& path, const std::error_code& error) {
  return absl::UnavailableError(absl::StrCat(path.string(), ": ", error.message()));
}

fs::path unfinished(const fs::path& folder) { return folder.string() + ".part"; }

bool is_intact(const fs::path& folder, const dataset::ObjectRecord& record) {
  for (const auto& file : record.files) {
    const auto now = dataset::record_file(file.path, folder / file.path);
    if (!now.ok() || now->sha256 != file.sha256) return false;
  }
  return !record.files.empty();
}

}  // namespace

Result<ObjectStore> ObjectStore::open(const fs::path& work, const std::string& key) {
  std::error_code error;
  fs::create_directories(work / key, error);
  if (error) return unavailable(work / key, error);
  return ObjectStore(work / key);
}

std::optional<dataset::ObjectRecord> ObjectStore::find(const Asset& asset) const {
  const auto json = read_file(folder(asset) / kRecord);
  const auto axis = read_file(folder(asset) / kAxis);
  if (!json.ok() || !axis.ok() || *axis != asset.up_axis) return std::nullopt;
  auto record = dataset::parse_object(*json);
  if (!record.ok() || record->bundle_sha256 != asset.bundle_sha256 || !is_intact(folder(asset), *record))
    return std::nullopt;
  return *std::move(record);
}

Result<fs::path> ObjectStore::begin(const Asset& asset) const {
  const fs::path fresh = unfinished(folder(asset));
  std::error_code error;
  fs::remove_all(fresh, error);
  fs::create_directories(fresh, error);
  if (error) return unavailable(fresh, error);
  return fresh;
}

Status ObjectStore::commit(const Asset& asset, const std::vector<std::string>& paths,
                           dataset::ObjectRecord& record) const {
  const fs::path fresh = unfinished(folder(asset));
  for (const std::string& path : paths) {
    ESP_ASSIGN(dataset::FileRecord file, dataset::record_file(path, fresh / path));
    record.files.push_back(std::move(file));
  }
  std::sort(record.files.begin(), record.files.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
  ESP_TRY(write_file_atomic(fresh / kAxis, asset.up_axis));
  ESP_TRY(write_file_atomic(fresh / kRecord, dataset::object_to_json(record)));
  std::error_code error;
  fs::remove_all(folder(asset), error);
  fs::rename(fresh, folder(asset), error);
  return error ? unavailable(folder(asset), error) : absl::OkStatus();
}

}  // namespace espalier::preprocess

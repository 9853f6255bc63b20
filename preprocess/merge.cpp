#include "preprocess/merge.h"

#include <map>
#include <set>
#include <string>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/files.h"
#include "preprocess/assembly.h"
#include "preprocess/part.h"

namespace espalier::preprocess {
namespace {

namespace fs = std::filesystem;

struct NamedPart {
  std::string name;  // of the file
  Part part;
};

// By shard.
using Parts = std::map<int, NamedPart>;

// What all parts of a preparation have in common besides the archive and the counts.
std::string settings_of(const Part& part) {
  dataset::Manifest shared = part.manifest;
  shared.objects.clear();
  shared.source = {};
  shared.stages.clear();
  return absl::StrCat(part.recipe, dataset::to_json(shared));
}

// In words, why two parts do not belong together; empty when they do.
std::string difference(const Part& a, const Part& b) {
  if (a.shards != b.shards) return absl::StrCat("it is one of ", b.shards, " shards, not of ", a.shards);
  if (a.reused != b.reused) return "it was made of another input";
  if (a.manifest.source.archive_sha256 != b.manifest.source.archive_sha256) return "it was made of another input";
  if (a.assets != b.assets) return absl::StrCat("it counts ", b.assets, " assets, not ", a.assets);
  if (settings_of(a) != settings_of(b)) return "it was made with other settings, another base or another version";
  return {};
}

Status add(NamedPart next, Parts& parts) {
  if (!parts.empty()) {
    const NamedPart& first = parts.begin()->second;
    const std::string why = difference(first.part, next.part);
    if (!why.empty())
      return absl::InvalidArgumentError(
          absl::StrCat(next.name, ": does not belong to the same preparation as ", first.name, ": ", why));
  }
  const int shard = next.part.shard;
  const auto [place, fresh] = parts.try_emplace(shard, std::move(next));
  if (fresh) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(next.name, ": is shard ", shard, " again; ", place->second.name, " already is"));
}

Status check_complete(const Parts& parts) {
  if (parts.empty()) return absl::InvalidArgumentError("no part to merge");
  const int shards = parts.begin()->second.part.shards;
  for (int shard = 0; shard < shards; ++shard) {
    if (!parts.contains(shard))
      return absl::InvalidArgumentError(absl::StrCat("shard ", shard, " of ", shards, " is missing"));
  }
  return absl::OkStatus();
}

// The records of all shards in the order of discovery, of which shard s of n has the places s, s + n, s + 2n, …
Result<std::vector<dataset::ObjectRecord>> in_order(Parts& parts) {
  const int64_t assets = parts.begin()->second.part.assets;
  const int64_t shards = static_cast<int64_t>(parts.size());
  for (const auto& [shard, named] : parts) {
    const int64_t expected = (assets - shard + shards - 1) / shards;
    const int64_t found = static_cast<int64_t>(named.part.manifest.objects.size());
    if (found != expected)
      return absl::InvalidArgumentError(
          absl::StrCat(named.name, ": has ", found, " of the ", expected, " objects of shard ", shard));
  }
  std::vector<dataset::ObjectRecord> objects;
  for (int64_t place = 0; place < assets; ++place) {
    NamedPart& named = parts.at(static_cast<int>(place % shards));
    dataset::ObjectRecord& object = named.part.manifest.objects[static_cast<size_t>(place / shards)];
    if (!objects.empty() && !(objects.back().path < object.path))
      return absl::InvalidArgumentError(
          absl::StrCat(named.name, ": ", object.path, " does not stand in the order of the assets"));
    objects.push_back(std::move(object));
  }
  return objects;
}

// Every shard marked duplicates over the whole archive, so each digest is prepared, or failed, by exactly one of them.
Status check_duplicates(const std::vector<dataset::ObjectRecord>& objects) {
  std::set<std::string> handled;
  for (const auto& object : objects) {
    if (object.status == "excluded") continue;
    const bool duplicate = object.status == "duplicate";
    if (duplicate == handled.insert(object.sha256).second)
      return absl::InvalidArgumentError(
          absl::StrCat(object.path, duplicate ? ": is called a duplicate, but no earlier asset is equal to it"
                                              : ": was handled although an earlier asset is equal to it"));
  }
  return absl::OkStatus();
}

Result<PreprocessResult> pass_on(const ReusedDataset& reused, const fs::path& dataset, const fs::path& output) {
  std::error_code error;
  fs::copy_file(dataset, output, fs::copy_options::overwrite_existing, error);
  if (error) return absl::UnavailableError(absl::StrCat(output.string(), ": ", error.message()));
  PreprocessResult result;
  result.dataset_id = reused.dataset_id;
  result.resolution = reused.resolution;
  result.objects = reused.objects;
  result.failed = reused.failed;
  result.stages = reused.stages;
  result.reused = true;
  return measured(std::move(result), output);
}

}  // namespace

Result<PreprocessResult> merge_parts(const std::vector<fs::path>& files, const fs::path& output, std::stop_token stop,
                                     const PreprocessObserver& observer) {
  const fs::path beside = output.has_parent_path() ? output.parent_path() : fs::path(".");
  ESP_ASSIGN(const TempDir scratch, TempDir::create(".espalier-merge", beside));
  Parts parts;
  dataset::FilesOnDisk content;
  for (const fs::path& file : files) {
    const fs::path folder = scratch.path() / absl::StrCat(parts.size());
    ESP_ASSIGN(Part part, unpack_part(file, folder, stop, content));
    ESP_TRY(add({file.filename().string(), std::move(part)}, parts));
  }
  ESP_TRY(check_complete(parts));
  const Part& first = parts.at(0).part;
  if (observer.started) observer.started(first.reused ? first.reused->objects : first.assets);
  if (first.reused) return pass_on(*first.reused, content.at(kReusedName), output);
  dataset::Manifest shared = first.manifest;
  ESP_ASSIGN(auto objects, in_order(parts));
  ESP_TRY(check_duplicates(objects));
  std::string archive = shared.source.archive_sha256;
  return write_prepared(complete(std::move(shared), std::move(objects), std::move(archive)), content, output);
}

}  // namespace espalier::preprocess

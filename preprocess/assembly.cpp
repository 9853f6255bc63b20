#include "preprocess/assembly.h"

#include <algorithm>
#include <system_error>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/sha256.h"

namespace espalier::preprocess {
namespace {

namespace fs = std::filesystem;

dataset::SourceRecord count(const std::vector<dataset::ObjectRecord>& objects, std::string archive_sha256) {
  dataset::SourceRecord source;
  source.archive_sha256 = std::move(archive_sha256);
  source.files_discovered = static_cast<int64_t>(objects.size());
  for (const auto& object : objects) {
    source.prepared += dataset::is_prepared(object) ? 1 : 0;
    source.failed += object.status == "failed" ? 1 : 0;
    source.duplicates += object.status == "duplicate" ? 1 : 0;
    source.excluded += object.status == "excluded" ? 1 : 0;
  }
  source.unique_objects = source.prepared + source.failed;
  return source;
}

dataset::StageSummary summary(const std::vector<dataset::ObjectRecord>& objects, const std::string& stage) {
  dataset::StageSummary out;
  for (const auto& object : objects) {
    if (dataset::is_usable(object, stage)) {
      ++out.objects;
    } else if (const auto why = object.stages.find(stage); out.reason.empty() && why != object.stages.end()) {
      out.reason = why->second;
    }
  }
  out.ready = out.objects > 0;
  if (out.ready)
    out.reason.clear();
  else if (out.reason.empty())
    out.reason = "no_usable_object";
  return out;
}

// Of a stage with structured latents; `encoder`: whose they are.
dataset::StageSummary structured_summary(const std::vector<dataset::ObjectRecord>& objects, const char* stage,
                                         const char* encoder, const dataset::Manifest& manifest) {
  dataset::StageSummary out = summary(objects, stage);
  out.max_tokens = dataset::max_latent_tokens(manifest.resolution);
  for (const auto& object : objects) {
    if (!dataset::is_usable(object, stage)) continue;
    const int64_t tokens = dataset::token_count(object, encoder);
    if (!out.tokens) out.tokens = {tokens, tokens, 0};
    out.tokens->min = std::min(out.tokens->min, tokens);
    out.tokens->max = std::max(out.tokens->max, tokens);
    out.tokens->sum += tokens;
  }
  return out;
}

// No asset was usable: say why, for the first few.
Status nothing_usable(const std::vector<dataset::ObjectRecord>& objects) {
  std::vector<std::string> reasons;
  for (const auto& object : objects) {
    if (object.error && reasons.size() < 5)
      reasons.push_back(absl::StrCat(object.path, ": ", object.error->code, ": ", object.error->message));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("no usable asset in the input", reasons.empty() ? "" : "; ", absl::StrJoin(reasons, "; ")));
}

}  // namespace

dataset::Manifest complete(dataset::Manifest manifest, std::vector<dataset::ObjectRecord> objects,
                           std::string archive_sha256) {
  manifest.source = count(objects, std::move(archive_sha256));
  manifest.stages["sparse_structure"] = summary(objects, "sparse_structure");
  const bool shape = manifest.encoders.contains("shape"), texture = manifest.encoders.contains("pbr");
  manifest.stages["geometry"].reason = "no_shape_encoder";
  manifest.stages["texture"].reason = shape ? "no_texture_encoder" : "no_shape_encoder";
  if (shape) manifest.stages["geometry"] = structured_summary(objects, "geometry", "shape", manifest);
  if (texture) manifest.stages["texture"] = structured_summary(objects, "texture", "pbr", manifest);
  manifest.objects = std::move(objects);
  std::sort(manifest.objects.begin(), manifest.objects.end(),
            [](const auto& a, const auto& b) { return std::tie(a.sha256, a.path) < std::tie(b.sha256, b.path); });
  return manifest;
}

PreprocessResult result_of(const dataset::Manifest& manifest) {
  PreprocessResult result;
  result.dataset_id = dataset::dataset_id(manifest);
  result.resolution = manifest.resolution;
  result.objects = manifest.source.prepared;
  result.failed = manifest.source.failed;
  result.duplicates = manifest.source.duplicates;
  for (const auto& [name, stage] : manifest.stages) {
    if (stage.ready) result.stages.push_back(name);
  }
  return result;
}

Result<PreprocessResult> write_prepared(const dataset::Manifest& manifest, const dataset::FilesOnDisk& files,
                                        const fs::path& output) {
  if (manifest.source.prepared == 0) return nothing_usable(manifest.objects);
  ESP_TRY(dataset::write_dataset(manifest, files, output));
  return measured(result_of(manifest), output);
}

Result<PreprocessResult> measured(PreprocessResult result, const fs::path& output) {
  std::error_code error;
  result.path = output;
  result.bytes = fs::file_size(output, error);
  ESP_ASSIGN(result.sha256, sha256_hex_of_file(output));
  return result;
}

}  // namespace espalier::preprocess

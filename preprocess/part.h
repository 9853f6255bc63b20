#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "common/status.h"
#include "dataset/prepared_dataset.h"
#include "dataset/writer.h"

// One shard of a preparation that several workers share: a zip of its objects' files under their paths in the dataset,
// and part.json. See docs/formats/dataset.md.
namespace espalier::preprocess {

// The input already was a prepared dataset: it travels whole in the part of shard 0 and is passed on unchanged.
struct ReusedDataset {
  std::string sha256;  // of the zip
  std::string dataset_id;
  int resolution = 0;
  int64_t objects = 0, failed = 0;
  std::vector<std::string> stages;  // PreprocessResult::stages
  auto operator<=>(const ReusedDataset&) const = default;
};

struct Part {
  int shard = 0, shards = 1;  // 0 <= shard < shards
  std::string recipe;         // names all that the files of an object depend on besides the asset
  int64_t assets = 0;         // of the whole preparation; place p in its order belongs to shard p mod `shards`
  // What all parts share, with the records of this shard's assets in the order of discovery. `source` has the
  // archive's digest. Empty when `reused` is set.
  dataset::Manifest manifest;
  std::optional<ReusedDataset> reused;
};

// Writes a part; `files` has the objects' files, and the dataset under kReusedName for shard 0 of a reused one.
// INVALID_ARGUMENT: a file of an object is not in `files`. Otherwise the errors of archive::ZipWriter.
Status write_part(const Part& part, const dataset::FilesOnDisk& files, const std::filesystem::path& output);
inline constexpr const char* kReusedName = "dataset.zip";

// Reads and unpacks a part below `folder`, adding its files to `files`. Every file is checked against its digest.
// INVALID_ARGUMENT, naming the file: not a part, a malformed field, a file that is missing, changed or not listed.
Result<Part> unpack_part(const std::filesystem::path& path, const std::filesystem::path& folder, std::stop_token stop,
                         dataset::FilesOnDisk& files);

}  // namespace espalier::preprocess

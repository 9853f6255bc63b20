#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "common/status.h"
#include "dataset/prepared_dataset.h"

namespace espalier::dataset {

// Files of a dataset on this machine, by their path in it.
using FilesOnDisk = std::map<std::string, std::filesystem::path>;

// Size and SHA-256 of a file that will stand in a dataset under `path`. NOT_FOUND, DATA_LOSS.
Result<FileRecord> record_file(std::string path, const std::filesystem::path& file);

// Writes a prepared dataset as a zip: the files of every object of `manifest`, found through `files`, and beside them
// what the reference's dataset classes look for: metadata.csv at the root and in each artifact folder (only objects
// that have the artifact are listed), asset_stats, statistics.txt, logs/failures.jsonl when objects failed.
// Objects are sorted first. Equal content gives equal bytes.
//
// INVALID_ARGUMENT: a file of an object is not in `files`. Otherwise the errors of archive::ZipWriter::finish.
// Reference: TRELLIS.2 data_toolkit (layout), trellis2/datasets (what must be there).
Status write_dataset(Manifest manifest, const FilesOnDisk& files, const std::filesystem::path& output);

}  // namespace espalier::dataset

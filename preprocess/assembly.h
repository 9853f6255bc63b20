#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "common/status.h"
#include "dataset/prepared_dataset.h"
#include "dataset/writer.h"
#include "preprocess/pipeline.h"

namespace espalier::preprocess {

// `manifest` with these objects: their counts, the stages they make ready, and the objects in the order of the file, on
// which the dataset's id depends.
dataset::Manifest complete(dataset::Manifest manifest, std::vector<dataset::ObjectRecord> objects,
                           std::string archive_sha256);

// What a complete manifest tells of its dataset.
PreprocessResult result_of(const dataset::Manifest& manifest);

// Writes a complete manifest and its files. INVALID_ARGUMENT, with the first few reasons: no object is usable.
// Otherwise the errors of dataset::write_dataset.
Result<PreprocessResult> write_prepared(const dataset::Manifest& manifest, const dataset::FilesOnDisk& files,
                                        const std::filesystem::path& output);

// What is known of a result without looking into its file, with the file's path, size and digest.
Result<PreprocessResult> measured(PreprocessResult result, const std::filesystem::path& output);

}  // namespace espalier::preprocess

#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "archive/central_directory.h"
#include "common/status.h"

// Unpacking an archive of unknown origin into a folder of our own.
namespace espalier::archive {

struct ExtractedFile {
  std::string name;            // as in Entry::name
  std::filesystem::path path;  // where it lies now
  uint64_t bytes = 0;
};

struct ExtractOptions {
  Limits limits;
  // Which files to unpack, by normalised name; empty: all. The rules of the archive hold for the others all the same.
  std::function<bool(std::string_view)> wanted;
};

// Unpacks `zip` below `folder` (created, or empty), files with mode 0600 and folders 0700, each opened beneath the
// folder's descriptor without following links (openat2). Returns the files sorted by the bytes of their names.
//
// Errors as ZipReader::open and ZipReader::read, and RESOURCE_EXHAUSTED for the total size, the time limit or a full
// disk. CANCELLED on `stop`. After an error the folder may hold some files: the caller removes it.
Result<std::vector<ExtractedFile>> extract(const std::filesystem::path& zip, const std::filesystem::path& folder,
                                           const ExtractOptions& options = {}, std::stop_token stop = {});

}  // namespace espalier::archive

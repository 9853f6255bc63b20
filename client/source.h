#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>

#include "common/files.h"
#include "common/status.h"

namespace espalier::client {

// What a job is made from, as one zip on this machine.
struct Source {
  std::filesystem::path zip;
  std::string name;                  // for display and as the artefact's file name
  int objects = 0;                   // asset files in it (raw), or objects of a prepared dataset
  bool prepared = false;             // a prepared dataset: nothing is prepared again
  std::optional<TempDir> temporary;  // holds `zip` when it was made here
};

using DownloadProgress = std::function<void(int64_t done, int64_t total)>;

// A .zip file as it is; a folder or a single asset file is zipped; an http(s) URL is downloaded (at most 8192 MiB).
// The archive's table of contents is checked already here, so that a bad one fails before the upload.
// INVALID_ARGUMENT or NOT_FOUND name the file or URL and the reason.
Result<Source> open_source(const std::string& file_folder_or_url, const DownloadProgress& progress = {},
                           std::stop_token stop = {});

}  // namespace espalier::client

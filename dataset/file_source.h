#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"

namespace espalier::dataset {

// The files of a prepared dataset, in a zip or a folder, below its root. Thread-safe.
class FileSource {
 public:
  virtual ~FileSource() = default;
  virtual std::vector<std::string> names() const = 0;                       // relative to the zip or folder
  virtual std::optional<uint64_t> size(const std::string& name) const = 0;  // nullopt: no such file
  // NOT_FOUND; RESOURCE_EXHAUSTED above `max_bytes`; INVALID_ARGUMENT for a damaged zip entry.
  virtual Result<std::string> read(const std::string& name, uint64_t max_bytes) const = 0;
};

// NOT_FOUND, or the errors of archive::ZipReader::open. In a folder links are an error.
Result<std::shared_ptr<const FileSource>> open_source(const std::filesystem::path& path);

// The same files seen from `root` ("" or "folder/"): names() gives only those below it.
std::shared_ptr<const FileSource> below(std::shared_ptr<const FileSource> source, std::string root);

}  // namespace espalier::dataset

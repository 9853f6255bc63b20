#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"

// Zip files whose bytes depend on their content only: entries sorted by name, the fixed time 1980-01-01, no folder
// entries, zip64 where sizes need it. Already compressed kinds (.png .npz .vxz .jpg .jpeg .webp .glb .safetensors
// .zip) are stored, everything else is deflated (level 6).
namespace espalier::archive {
namespace detail {
class Output;
}

class ZipWriter {
 public:
  // Adds an entry; nothing is written before finish(). `name`: relative, '/'-separated, no '..'.
  // INVALID_ARGUMENT: a name our own reader would refuse. Duplicates are found by finish().
  Status add_bytes(std::string_view name, std::string bytes);
  // The file is read by finish(); it must not change before.
  Status add_file(std::string_view name, const std::filesystem::path& source);

  // Writes `path` in one step (temporary file beside it, fsync, rename). The writer is empty afterwards.
  // INVALID_ARGUMENT: two entries of one name. NOT_FOUND, DATA_LOSS: a source file is missing or changed in size.
  // UNAVAILABLE: the disk refuses.
  Status finish(const std::filesystem::path& path);
  // The same archive as bytes, for small ones.
  Result<std::string> finish();

 private:
  struct Source {
    std::string name;
    std::string bytes;  // used when `file` is empty
    std::filesystem::path file;
  };
  Status write_all(detail::Output& out);
  std::vector<Source> sources_;
};

// Every regular file below `folder` (links are an error), named relative to it, into the zip `path`; hidden files
// (a component that starts with '.') are left out. INVALID_ARGUMENT: no files at all.
Status zip_folder(const std::filesystem::path& folder, const std::filesystem::path& path);

}  // namespace espalier::archive

#include "dataset/npz.h"

#include "absl/strings/str_cat.h"
#include "archive/zip_reader.h"
#include "archive/zip_writer.h"

namespace espalier::dataset {
namespace {

constexpr std::string_view kSuffix = ".npy";

archive::Limits zip_limits(const NpyLimits& limits) {
  archive::Limits out;
  out.max_entries = 64;
  out.max_entry_bytes = limits.max_bytes + 8192;
  out.max_total_bytes = out.max_entry_bytes * 4;
  out.max_ratio = 2000;  // an empty volume deflates very well
  return out;
}

}  // namespace

Result<std::map<std::string, Array>> read_npz(std::string_view file, const NpyLimits& limits) {
  ESP_ASSIGN(const auto zip, archive::ZipReader::from_bytes(file, zip_limits(limits)));
  std::map<std::string, Array> arrays;
  for (const archive::Entry& entry : zip->entries()) {
    if (entry.is_folder || !entry.name.ends_with(kSuffix))
      return absl::InvalidArgumentError(absl::StrCat("npz: member \"", entry.name, "\" is not an .npy file"));
    ESP_ASSIGN(const std::string bytes, zip->read(entry, limits.max_bytes + 8192));
    auto array = read_npy(bytes, limits);
    if (!array.ok()) return annotate(array.status(), absl::StrCat("npz member ", entry.name));
    arrays.emplace(entry.name.substr(0, entry.name.size() - kSuffix.size()), *std::move(array));
  }
  if (arrays.empty()) return absl::InvalidArgumentError("npz: no members");
  return arrays;
}

Result<std::string> write_npz(const std::map<std::string, Array>& arrays) {
  archive::ZipWriter writer;
  for (const auto& [name, array] : arrays) ESP_TRY(writer.add_bytes(absl::StrCat(name, ".npy"), write_npy(array)));
  return writer.finish();
}

}  // namespace espalier::dataset

#include "client/doctor/files.h"

#include <sys/stat.h>

#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base_description.h"
#include "common/files.h"
#include "common/sha256.h"

namespace espalier::client {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr char kBaseRemedy[] =
    "get it again: git checkout models/nano, or `espalier fetch-base --verify` for the official weights";

bool is_private(const fs::path& file) {
  struct stat about {};
  return ::stat(file.c_str(), &about) != 0 || (about.st_mode & 077) == 0;
}

// Of espalier.json; empty when it has none.
json digests_of(const fs::path& base) {
  const auto text = read_file(base / "espalier.json", uint64_t{1} << 20);
  if (!text.ok()) return json::object();
  const json about = json::parse(*text, nullptr, /*allow_exceptions=*/false);
  const auto digests = about.is_object() ? about.find("sha256") : about.end();
  return digests != about.end() && digests->is_object() ? *digests : json::object();
}

}  // namespace

DoctorRow base_row(const fs::path& base) {
  if (base.empty()) return {"base", Health::kFail, "no nano base beside this program", "name one with --base"};
  const auto described = describe_base(base);
  if (!described.ok()) return {"base", Health::kFail, std::string(described.status().message()), kBaseRemedy};
  std::vector<std::string> wrong;
  const json digests = digests_of(base);
  for (const auto& [file, digest] : digests.items()) {
    const auto found = sha256_hex_of_file(base / file);
    if (!found.ok())
      wrong.push_back(absl::StrCat(file, " cannot be read"));
    else if (digest != *found)
      wrong.push_back(absl::StrCat(file, " has other content"));
  }
  const std::string name = absl::StrCat(described->name, " in ", base.string());
  if (!wrong.empty()) return {"base", Health::kFail, absl::StrCat(name, ": ", absl::StrJoin(wrong, ", ")), kBaseRemedy};
  if (digests.empty()) {
    return {"base", Health::kWarn, absl::StrCat(name, ": its espalier.json has no digests"),
            "put the sha256 of its files there, as in models/nano"};
  }
  return {"base", Health::kOk, absl::StrCat(name, ", ", digests.size(), " files are what they should be")};
}

DoctorRow keys_row(const fs::path& key_folder, const std::vector<fs::path>& others) {
  std::vector<fs::path> files = others;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(key_folder, error)) files.push_back(entry.path());
  std::vector<std::string> found, open;
  for (const fs::path& file : files) {
    if (file.empty() || !fs::is_regular_file(file, error)) continue;
    (is_private(file) ? found : open).push_back(file.string());
  }
  if (!open.empty()) {
    return {"key files", Health::kFail, absl::StrCat("others may read ", absl::StrJoin(open, ", ")),
            absl::StrCat("chmod 600 ", absl::StrJoin(open, " "), "; if others were here, revoke the keys")};
  }
  if (found.empty()) return {"key files", Health::kOk, "none yet"};
  return {"key files", Health::kOk, absl::StrCat(found.size(), ", readable by their owner only")};
}

DoctorRow blender_row(const Result<fs::path>& found) {
  if (found.ok()) return {"Blender", Health::kOk, found->string()};
  return {"Blender", Health::kWarn, "none, so .blend files cannot be read",
          "scripts/install-blender, or put a blender on PATH"};
}

}  // namespace espalier::client

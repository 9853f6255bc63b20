#include "client/setup/torch_folder.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <regex>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/tool.h"
#include "common/files.h"

namespace espalier::client {
namespace {

namespace fs = std::filesystem;

constexpr char kLibrary[] = "lib/libtorch_cpu.so";
// Without importing it, which takes seconds.
constexpr char kTorchOfPython[] =
    "import importlib.util as u; s = u.find_spec('torch'); print(s.submodule_search_locations[0] if s else '')";

bool is_torch(const fs::path& folder) {
  std::error_code error;
  return fs::exists(folder / kLibrary, error);
}

std::vector<fs::path> children(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(folder, error)) found.push_back(entry.path());
  std::sort(found.begin(), found.end());
  return found;
}

fs::path torch_of_environment(const fs::path& folder) {
  for (const fs::path& library : children(folder / "lib")) {
    const fs::path torch = library / "site-packages/torch";
    if (library.filename().string().starts_with("python3") && is_torch(torch)) return torch;
  }
  return {};
}

struct Build {
  std::string version, cuda = "none";
};

// version.py of a wheel, or build-version ("2.11.0+cpu", "2.11.0+cu130") of a LibTorch archive.
Result<Build> build_of(const fs::path& torch) {
  Build build;
  std::smatch match;
  if (const auto text = read_file(torch / "version.py", 1 << 20); text.ok()) {
    if (std::regex_search(*text, match, std::regex("__version__ = '([0-9.]+)"))) build.version = match[1];
    if (std::regex_search(*text, match, std::regex("\\ncuda[^=\\n]*= '([0-9.]+)'"))) build.cuda = match[1];
  } else if (const auto line = read_file(torch / "build-version", 1 << 10); line.ok()) {
    if (std::regex_search(*line, match, std::regex("^([0-9.]+)"))) build.version = match[1];
    if (std::regex_search(*line, match, std::regex("\\+cu([0-9]+)([0-9])"))) {
      build.cuda = absl::StrCat(match[1].str(), ".", match[2].str());
    }
  }
  if (!build.version.empty()) return build;
  return absl::FailedPreconditionError(
      absl::StrCat(torch.string(), ": neither version.py nor build-version tells its version"));
}

// Services run under accounts of their own, and without the homes of people.
bool readable_by_services(const fs::path& torch) {
  std::error_code error;
  const fs::path library = fs::canonical(torch / kLibrary, error);
  if (error) return false;
  for (const char* home : {"/home/", "/root/", "/run/user/"}) {
    if (library.string().starts_with(home)) return false;
  }
  struct stat info {};
  if (::stat(library.c_str(), &info) != 0 || (info.st_mode & S_IROTH) == 0) return false;
  for (fs::path folder = library.parent_path(); folder != folder.root_path(); folder = folder.parent_path()) {
    if (::stat(folder.c_str(), &info) != 0 || (info.st_mode & S_IXOTH) == 0) return false;
  }
  return true;
}

void add_torch_of_python(const fs::path& python, std::vector<fs::path>& found) {
  const auto answer = run_tool({python.string(), "-c", kTorchOfPython}, {});
  if (answer.ok() && answer->code == 0) found.emplace_back(std::string(absl::StripAsciiWhitespace(answer->output)));
}

}  // namespace

fs::path torch_in(const fs::path& folder) {
  if (is_torch(folder)) return folder;
  if (is_torch(folder / "torch")) return folder / "torch";
  return torch_of_environment(folder);
}

Status check_torch(const fs::path& torch, const WantedTorch& wanted) {
  if (!is_torch(torch)) return absl::NotFoundError(absl::StrCat(torch.string(), ": no LibTorch (", kLibrary, ")"));
  ESP_ASSIGN(const Build build, build_of(torch));
  const auto refuse = [&torch](const std::string& why) {
    return absl::FailedPreconditionError(absl::StrCat(torch.string(), ": ", why));
  };
  if (build.version != wanted.version) {
    return refuse(absl::StrCat("version ", build.version, ", but these programs need ", wanted.version));
  }
  std::error_code error;
  if (wanted.cuda != "none" && (build.cuda != wanted.cuda || !fs::exists(torch / "lib/libtorch_cuda.so", error))) {
    return refuse(absl::StrCat("built for CUDA ", build.cuda, ", but these programs need CUDA ", wanted.cuda));
  }
  if (wanted.for_services && !readable_by_services(torch)) {
    return refuse("the services could not read it (it is in a home, or not readable for all)");
  }
  return absl::OkStatus();
}

std::vector<fs::path> find_torch(const TorchPlaces& places) {
  std::vector<fs::path> found = {torch_in(places.python_folder)};
  for (const fs::path& folder : places.programs) {
    std::error_code error;
    if (fs::exists(folder / "python3", error)) add_torch_of_python(folder / "python3", found);
  }
  for (const fs::path& folder : children(places.opt)) found.push_back(torch_in(folder));
  std::vector<fs::path> distinct;
  for (const fs::path& torch : found) {
    std::error_code error;
    const fs::path real = fs::canonical(torch, error);
    if (!error && std::find(distinct.begin(), distinct.end(), real) == distinct.end()) distinct.push_back(real);
  }
  return distinct;
}

std::vector<fs::path> program_folders() {
  const char* path = std::getenv("PATH");
  std::vector<fs::path> folders;
  for (const auto folder : absl::StrSplit(path == nullptr ? "/usr/bin:/bin" : path, ':', absl::SkipEmpty())) {
    folders.emplace_back(std::string(folder));
  }
  return folders;
}

}  // namespace espalier::client

#include "client/setup/place.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "client/tool.h"
#include "common/installation.h"

namespace espalier::client {
namespace {

namespace fs = std::filesystem;

// Where the Debian package points its link, because /usr belongs to the package manager.
constexpr char kSystemFolder[] = "/var/lib/espalier";

// Links inside an installation are relative, so that it can be moved.
fs::path link_target(const TorchPlace& place, const fs::path& torch) {
  std::error_code error;
  const fs::path folder = fs::canonical(place.link.parent_path(), error), real = fs::canonical(torch, error);
  const fs::path relative = real.lexically_relative(folder);
  return relative.empty() || *relative.begin() == ".." ? real : relative;
}

Status replace_link(const fs::path& link, const fs::path& target) {
  const fs::path fresh = link.string() + ".new";
  std::error_code error;
  fs::remove(fresh, error);
  fs::create_symlink(target, fresh, error);
  if (!error) fs::rename(fresh, link, error);
  if (!error) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(link.string(), ": ", error.message()));
}

}  // namespace

TorchPlace torch_place(const fs::path& programs) {
  TorchPlace place{.programs = programs, .link = libtorch_link(programs), .python_folder = {}};
  std::error_code error;
  const fs::path system = fs::path(kSystemFolder) / "torch";
  if (fs::read_symlink(place.link, error) == system) {
    place.link = system;
    place.for_services = true;
  }
  place.python_folder = place.link.parent_path() / "python";
  return place;
}

Status check_writable(const TorchPlace& place) {
  const fs::path folder = place.link.parent_path();
  std::error_code error;
  fs::create_directories(folder, error);
  if (::access(folder.c_str(), W_OK | X_OK) == 0) return absl::OkStatus();
  return absl::PermissionDeniedError(absl::StrCat(folder.string(), ": ", std::strerror(errno), "; run `",
                                                  (place.programs / "espalier").string(), " setup` as its owner",
                                                  place.for_services ? ", root (sudo)" : ""));
}

Status put_in_place(const TorchPlace& place, const fs::path& torch) {
  std::error_code error;
  const fs::path before = fs::read_symlink(place.link, error);
  ESP_TRY(replace_link(place.link, link_target(place, torch)));
  const Status works = try_programs(place.programs);
  if (works.ok()) return works;
  if (before.empty()) {
    fs::remove(place.link, error);
  } else {
    ESP_TRY(replace_link(place.link, before));
  }
  return annotate(works, torch.string());
}

Status try_programs(const fs::path& programs) {
  const std::string program = (programs / "espalier-train").string();
  ESP_ASSIGN(const auto exit, run_tool({program, "--version"}, {}));
  if (exit.code == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(program, " does not start: ", exit.output));
}

}  // namespace espalier::client

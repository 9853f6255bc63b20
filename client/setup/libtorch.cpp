#include "client/setup/libtorch.h"

#include <algorithm>
#include <cstdlib>
#include <deque>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "common/files.h"
#include "process/child.h"

namespace espalier::client {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kGigabyte = 1'000'000'000;
constexpr uint64_t kMostVersionBytes = 1 << 16;
constexpr size_t kToldLines = 8;
constexpr std::chrono::seconds kGrace{5};

// The version that a folder says of itself; empty: none.
std::string version_of(const fs::path& torch) {
  if (const auto text = read_file(torch / "version.py", kMostVersionBytes); text.ok()) {
    const auto begin = text->find("__version__ = '");
    if (begin == std::string::npos) return "";
    const auto from = begin + sizeof("__version__ = '") - 1;
    return text->substr(from, text->find_first_of("'+", from) - from);
  }
  const auto text = read_file(torch / "build-version", kMostVersionBytes);
  return text.ok() ? text->substr(0, text->find_first_of("+\n")) : "";
}

struct Ran {
  int code = 0;
  std::deque<std::string> lines;  // the last ones of its output
};

Result<Ran> run(
    std::vector<std::string> argv, const std::stop_token& stop, const std::function<void()>& on_tick = [] {},
    const fs::path& scratch = {}) {
  std::vector<std::string> environment;
  for (const char* name : {"PATH", "HOME", "http_proxy", "https_proxy", "HTTPS_PROXY", "HTTP_PROXY", "no_proxy",
                           "PIP_INDEX_URL", "PIP_CONFIG_FILE", "PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"}) {
    if (const char* value = std::getenv(name)) environment.push_back(absl::StrCat(name, "=", value));
  }
  if (!scratch.empty()) environment.push_back(absl::StrCat("TMPDIR=", scratch.string()));
  Ran ran;
  const auto keep = [&ran](std::string_view line) {
    ran.lines.emplace_back(line);
    if (ran.lines.size() > kToldLines) ran.lines.pop_front();
  };
  argv.insert(argv.begin(), "/usr/bin/env");
  ESP_ASSIGN(const auto exit, process::run_child({std::move(argv), std::move(environment)},
                                                 {.on_event = keep, .on_log = keep, .on_tick = on_tick}, stop, kGrace));
  if (stop.stop_requested()) return absl::CancelledError("stopped; the same command goes on from here");
  ran.code = exit.signal != 0 ? 128 + exit.signal : exit.code;
  return ran;
}

uint64_t bytes_below(const fs::path& folder) {
  uint64_t bytes = 0;
  std::error_code error;
  const auto options = fs::directory_options::skip_permission_denied;
  for (fs::recursive_directory_iterator it(folder, options, error), end; !error && it != end; it.increment(error)) {
    std::error_code gone;  // pip moves files while we look
    if (it->is_regular_file(gone) && !it->is_symlink(gone)) bytes += it->file_size(gone);
  }
  return bytes;
}

std::optional<fs::path> python_torch() {
  const char* find =
      "import importlib.util as u; s = u.find_spec('torch'); "
      "print(s.submodule_search_locations[0] if s else '')";
  const auto ran = run({"python3", "-c", find}, {});
  if (!ran.ok() || ran->code != 0 || ran->lines.empty() || ran->lines.back().empty()) return std::nullopt;
  return ran->lines.back();
}

// <venv>/lib/python3.X/site-packages/torch
std::vector<fs::path> torches_of_venv(const fs::path& venv) {
  std::vector<fs::path> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(venv / "lib", error)) {
    const fs::path torch = entry.path() / "site-packages/torch";
    if (fs::exists(torch / "lib", error)) found.push_back(torch);
  }
  return found;
}

std::string complaint(const Ran& ran) { return absl::StrJoin(ran.lines, "\n  "); }

Status check_space(const LibTorchPlace& place, const LibTorchWish& wish) {
  std::error_code error;
  const auto space = fs::space(place.home, error);
  if (error || space.available >= libtorch_bytes(wish)) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(place.home.string(), ": ", space.available / 1'000'000,
                                                    " MB are free, LibTorch takes about ",
                                                    libtorch_bytes(wish) / 1'000'000));
}

Status make_venv(const fs::path& venv, const std::stop_token& stop) {
  std::error_code error;
  if (fs::exists(venv / "bin/pip", error)) return absl::OkStatus();
  ESP_ASSIGN(const Ran made, run({"python3", "-m", "venv", venv.string()}, stop));
  if (made.code == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "python3 -m venv failed; install it (on Debian and Ubuntu: apt-get install python3-venv) or name a folder with "
      "--torch:\n  ",
      complaint(made)));
}

// Without CUDA, only what libtorch_cpu.so itself needs.
std::vector<std::string> packages(const LibTorchWish& wish) {
  const std::string torch = absl::StrCat("torch==", wish.version);
  if (wish.cuda) return {torch};
  return {"--no-deps", torch, "nvidia-cuda-runtime==13.0.96", "nvidia-cuda-cupti==13.0.85"};
}

}  // namespace

LibTorchPlace libtorch_place(const fs::path& private_folder) {
  std::error_code error;
  const fs::path home = private_folder / "home";
  return {fs::is_symlink(home, error) ? fs::read_symlink(home, error) : private_folder};
}

std::string libtorch_fault(const fs::path& torch, const LibTorchWish& wish) {
  std::error_code error;
  if (!fs::exists(torch / "lib/libtorch_cpu.so", error)) return "has no lib/libtorch_cpu.so";
  const std::string version = version_of(torch);
  if (version != wish.version) {
    return absl::StrCat("is version ", version.empty() ? "unknown" : version, ", these programs need ", wish.version);
  }
  if (wish.cuda && !fs::exists(torch / "lib/libtorch_cuda.so", error)) return "has no CUDA";
  return "";
}

std::vector<fs::path> libtorch_candidates(const LibTorchPlace& place, const std::optional<fs::path>& named,
                                          const fs::path& opt) {
  std::vector<fs::path> candidates;
  if (named) return {*named};
  candidates.push_back(place.link());
  for (const auto& torch : torches_of_venv(place.home / "venv")) candidates.push_back(torch);
  if (const auto torch = python_torch()) candidates.push_back(*torch);
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(opt, error)) {
    candidates.push_back(entry.path());  // LibTorch's own archive
    for (const auto& torch : torches_of_venv(entry.path())) candidates.push_back(torch);
  }
  return candidates;
}

Status link_libtorch(const LibTorchPlace& place, const fs::path& torch) {
  std::error_code error;
  fs::create_directories(place.home, error);
  const fs::path fresh = place.home / "torch.new";
  fs::remove(fresh, error);
  fs::create_directory_symlink(fs::canonical(torch), fresh, error);
  if (!error) fs::rename(fresh, place.link(), error);
  if (!error) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(place.link().string(), ": ", error.message(), "; run the command as a user who may write there"));
}

Result<fs::path> install_libtorch(const LibTorchPlace& place, const LibTorchWish& wish,
                                  const std::function<void(uint64_t)>& progress, std::stop_token stop) {
  std::error_code error;
  fs::create_directories(place.home, error);
  if (error) {
    return absl::FailedPreconditionError(
        absl::StrCat(place.home.string(), ": ", error.message(), "; run the command as a user who may write there"));
  }
  ESP_TRY(check_space(place, wish));
  const fs::path venv = place.home / "venv";
  ESP_TRY(make_venv(venv, stop));
  ESP_ASSIGN(const TempDir scratch, TempDir::create("download", place.home));
  std::vector<std::string> argv = {(venv / "bin/pip").string(), "install", "--disable-pip-version-check",
                                   "--progress-bar=off", "--no-cache-dir"};
  for (auto& package : packages(wish)) argv.push_back(std::move(package));
  const auto tell = [&] { progress(bytes_below(venv) + bytes_below(scratch.path())); };
  ESP_ASSIGN(const Ran installed, run(std::move(argv), stop, tell, scratch.path()));
  if (installed.code != 0) {
    return absl::UnavailableError(absl::StrCat("pip could not install LibTorch ", wish.version,
                                               "; is the network up? It said:\n  ", complaint(installed)));
  }
  const auto torches = torches_of_venv(venv);
  if (torches.empty()) return absl::InternalError(venv.string() + ": pip installed no torch");
  return torches.front();
}

uint64_t libtorch_bytes(const LibTorchWish& wish) { return (wish.cuda ? 9 : 2) * kGigabyte; }

}  // namespace espalier::client

#include "client/setup/wheels.h"

#include <regex>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "cli/board.h"
#include "client/tool.h"
#include "common/files.h"

namespace espalier::client {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMegabyte = 1'000'000;

int64_t folder_bytes(const fs::path& folder) {
  std::error_code error;
  int64_t bytes = 0;
  // Files come and go while it is read.
  for (fs::recursive_directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    std::error_code gone;
    if (entry->is_regular_file(gone)) bytes += static_cast<int64_t>(entry->file_size(gone));
  }
  return bytes;
}

Result<std::string> find_python(const WheelOptions& options) {
  if (!options.python.empty()) return options.python;
  for (const fs::path& folder : program_folders()) {
    std::error_code error;
    if (fs::exists(folder / "python3", error)) return (folder / "python3").string();
  }
  return absl::FailedPreconditionError(
      "there is no python3, whose pip brings LibTorch; install it (apt-get install python3 python3-venv), name another "
      "with --python, or name a LibTorch you have with --torch");
}

Status check_room(const WheelOptions& options) {
  std::error_code error;
  const auto space = fs::space(options.python_folder.parent_path(), error);
  const int64_t needed = wheels_disk_bytes(options.wanted);
  if (error || static_cast<int64_t>(space.available) >= needed) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat(options.python_folder.parent_path().string(), ": ",
                                                   cli::bytes_text(static_cast<int64_t>(space.available)),
                                                   " free, but LibTorch takes ", cli::bytes_text(needed),
                                                   " while it is installed; make room, or name one with --torch"));
}

Status make_environment(const WheelOptions& options) {
  std::error_code error;
  if (fs::exists(options.python_folder / "bin/pip", error)) return absl::OkStatus();
  ESP_ASSIGN(const std::string python, find_python(options));
  fs::remove_all(options.python_folder, error);  // what an interrupted run left
  auto made = run_tool({python, "-m", "venv", options.python_folder.string()}, {.stop = options.stop});
  if (made.ok() && made->code == 0) return absl::OkStatus();
  fs::remove_all(options.python_folder, error);
  if (absl::IsCancelled(made.status())) return made.status();
  if (!made.ok())
    return absl::FailedPreconditionError(absl::StrCat("--python: ", std::string(made.status().message())));
  if (absl::StrContains(made->output, "ensurepip") || absl::StrContains(made->output, "No module named venv")) {
    return absl::FailedPreconditionError(absl::StrCat(
        python,
        " cannot make virtual environments; install its venv module (apt-get install python3-venv) and run "
        "`espalier setup` again"));
  }
  return absl::FailedPreconditionError(absl::StrCat(python, " -m venv failed:\n", made->output));
}

std::vector<std::string> pip_command(const WheelOptions& options) {
  std::vector<std::string> command = {(options.python_folder / "bin/pip").string(),
                                      "install",
                                      "--disable-pip-version-check",
                                      "--no-input",
                                      "--no-cache-dir",  // half the disk
                                      "--progress-bar=off",
                                      absl::StrCat("torch==", options.wanted.version)};
  if (options.wanted.cuda == "none") {
    command.emplace_back("--no-deps");
    command.insert(command.end(), options.companions.begin(), options.companions.end());
  }
  return command;
}

Status run_pip(const WheelOptions& options) {
  ESP_ASSIGN(const TempDir downloads, TempDir::create(".espalier-setup", options.python_folder.parent_path()));
  cli::Board board(options.silent);
  PipProgress progress;
  const auto show = [&](bool milestone) {
    const int64_t downloading = progress.unpacking() ? 0 : folder_bytes(downloads.path());
    board.set("pip", progress.text(downloading, progress.unpacking() ? folder_bytes(options.python_folder) : 0),
              milestone);
  };
  const auto on_line = [&](std::string_view line) {
    progress.line(line);
    show(absl::StrContains(std::string(line), "Installing collected"));
  };
  ESP_ASSIGN(const auto exit,
             run_tool(pip_command(options),
                      {.environment = {absl::StrCat("TMPDIR=", downloads.path().string()), "PYTHONUNBUFFERED=1"},
                       .on_line = on_line,
                       .on_tick = [&] { show(false); },
                       .stop = options.stop}));
  return exit.code == 0 ? absl::OkStatus() : explain_pip(exit.output, options);
}

bool contains_any(const std::string& text, std::initializer_list<const char*> parts) {
  for (const char* part : parts) {
    if (absl::StrContains(text, part)) return true;
  }
  return false;
}

}  // namespace

void PipProgress::line(std::string_view text) {
  std::cmatch match;
  static const std::regex kDownload(R"(([^/ ]+)-[0-9][^/ ]*\.whl[^(]*\(([0-9.]+) ([kMG])B\))");
  if (absl::StrContains(std::string(text), "Installing collected")) unpacking_ = true;
  if (!std::regex_search(text.data(), text.data() + text.size(), match, kDownload)) return;
  double size = 0;
  if (!absl::SimpleAtod(match[2].str(), &size)) return;
  file_ = match[1];
  file_bytes_ = size * (match[3] == "k" ? 1e3 : match[3] == "M" ? 1e6 : 1e9);
}

std::string PipProgress::text(int64_t downloading, int64_t installed) const {
  if (unpacking_) return absl::StrCat("LibTorch  unpacking, ", cli::bytes_text(installed));
  if (file_.empty()) return "LibTorch  looking for its wheels";
  const double fraction = file_bytes_ > 0 ? std::min(1.0, static_cast<double>(downloading) / file_bytes_) : 0;
  return absl::StrCat("LibTorch  ", cli::bar(fraction), "  ", file_, " ", cli::bytes_text(downloading), " of ",
                      cli::bytes_text(static_cast<int64_t>(file_bytes_)));
}

Status explain_pip(const std::string& output, const WheelOptions& options) {
  const std::string torch = absl::StrCat("torch ", options.wanted.version);
  if (contains_any(output, {"No space left on device"})) {
    return absl::ResourceExhaustedError(
        absl::StrCat(options.python_folder.string(), ": the disk is full; make room and run `espalier setup` again"));
  }
  if (contains_any(output, {"NewConnectionError", "ConnectTimeout", "Read timed out", "ProxyError", "SSLError",
                            "name resolution", "Network is unreachable", "Connection broken"})) {
    return absl::UnavailableError(absl::StrCat(
        "pip could not fetch ", torch,
        ": is the network up? Proxies and package indexes are set as for any pip (`pip config`); then run `espalier "
        "setup` again, or name a LibTorch you have with --torch"));
  }
  if (contains_any(output, {"No matching distribution", "not a supported wheel"})) {
    return absl::FailedPreconditionError(
        absl::StrCat("pip knows no ", torch,
                     " for this python3 and machine; name another Python with --python, for example of 3.11 "
                     "or 3.12, or a LibTorch you have with --torch"));
  }
  std::vector<std::string> lines = absl::StrSplit(output, '\n', absl::SkipEmpty());
  if (lines.size() > 5) lines.erase(lines.begin(), lines.end() - 5);
  return absl::InternalError(absl::StrCat("pip could not install ", torch, ":\n  ", absl::StrJoin(lines, "\n  ")));
}

int64_t wheels_disk_bytes(const WantedTorch& wanted) {
  // Measured with 2.11: wheels of 0.6 GB that unpack to 1.3 GB, and of 2.6 GB with all of CUDA, to 5.5 GB.
  return wanted.cuda == "none" ? 2000 * kMegabyte : 8500 * kMegabyte;
}

Result<fs::path> install_wheels(const WheelOptions& options) {
  ESP_TRY(check_room(options));
  ESP_TRY(make_environment(options));
  ESP_TRY(run_pip(options));
  const fs::path torch = torch_in(options.python_folder);
  if (!torch.empty()) return torch;
  return absl::InternalError(
      absl::StrCat(options.python_folder.string(), ": pip said that torch is installed, but it is not there"));
}

}  // namespace espalier::client

#include "client/doctor/programs.h"

#include <unistd.h>

#include <chrono>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/installation.h"
#include "common/status.h"
#include "process/child.h"

namespace espalier::client {
namespace {

constexpr const char* kPrograms[] = {"espalier-coordinator", "espalier-worker",   "espalier-preprocess",
                                     "espalier-train",       "espalier-evaluate", "espalier-infer"};

std::vector<std::string> own_environment() {
  std::vector<std::string> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) environment.emplace_back(*entry);
  return environment;
}

// What `--version` printed; the error is what it said instead.
Result<std::vector<std::string>> ask_version(const std::filesystem::path& program) {
  std::vector<std::string> lines;
  const auto keep = [&](std::string_view line) { lines.emplace_back(line); };
  const process::ChildSpec spec{{program.string(), "--version"}, own_environment()};
  const auto exit =
      process::run_child(spec, {.on_event = keep, .on_log = keep, .on_tick = [] {}}, {}, std::chrono::seconds(5));
  ESP_TRY(exit.status());
  if (exit->signal == 0 && exit->code == 0 && !lines.empty()) return lines;
  return absl::UnavailableError(lines.empty() ? absl::StrCat("ended with code ", exit->code, ", signal ", exit->signal)
                                              : lines.front());
}

// "espalier-train 0.1.0 (commit 12ab)" -> "0.1.0 (commit 12ab)"
std::string version_of(const std::string& line) { return line.substr(line.find(' ') + 1); }

}  // namespace

DoctorRow programs_row(const std::filesystem::path& programs, const std::string& own) {
  const std::vector<std::string> mine = absl::StrSplit(own, '\n');
  std::vector<std::string> missing, broken, different;
  for (const char* program : kPrograms) {
    if (::access((programs / program).c_str(), X_OK) != 0) {
      missing.push_back(program);
      continue;
    }
    const auto lines = ask_version(programs / program);
    if (!lines.ok())
      broken.push_back(absl::StrCat(program, ": ", std::string(lines.status().message())));
    else if (version_of(lines->front()) != version_of(mine.front()))
      different.push_back(lines->front());
  }
  if (!missing.empty()) {
    return {"programs", Health::kFail, absl::StrCat(programs.string(), " lacks ", absl::StrJoin(missing, ", ")),
            "scripts/build"};
  }
  if (!broken.empty()) {
    return {"programs", Health::kFail, absl::StrJoin(broken, "; "),
            libtorch_link(programs).empty() ? "scripts/bootstrap installs LibTorch, scripts/build builds against it"
                                            : "`espalier setup` puts LibTorch in place"};
  }
  const std::string libraries = mine.size() > 1 ? absl::StrCat(", ", mine[1]) : "";
  if (!different.empty()) {
    return {"programs", Health::kWarn,
            absl::StrCat("not of one build: ", absl::StrJoin(different, ", "), "; this is ", version_of(mine.front())),
            "scripts/build"};
  }
  return {"programs", Health::kOk,
          absl::StrCat(std::size(kPrograms), " start, version ", version_of(mine.front()), libraries)};
}

}  // namespace espalier::client

#include "client/doctor/programs.h"

#include <unistd.h>

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "client/tool.h"
#include "common/installation.h"
#include "common/status.h"

namespace espalier::client {
namespace {

constexpr const char* kPrograms[] = {"espalier-coordinator", "espalier-worker",   "espalier-preprocess",
                                     "espalier-train",       "espalier-evaluate", "espalier-infer"};

// The first line that `--version` printed; the error is what it said instead.
Result<std::string> ask_version(const std::filesystem::path& program) {
  ESP_ASSIGN(const ToolExit exit, run_tool({program.string(), "--version"}, {}));
  const std::string line = exit.output.substr(0, exit.output.find('\n'));
  if (exit.code == 0 && !line.empty()) return line;
  return absl::UnavailableError(line.empty() ? absl::StrCat("ended with code ", exit.code) : line);
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
    const auto line = ask_version(programs / program);
    if (!line.ok())
      broken.push_back(absl::StrCat(program, ": ", std::string(line.status().message())));
    else if (version_of(*line) != version_of(mine.front()))
      different.push_back(*line);
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

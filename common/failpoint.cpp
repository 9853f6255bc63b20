#include "common/failpoint.h"

#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <iostream>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"

namespace espalier::internal {
namespace {

constexpr const char* kVariable = "ESPALIER_FAILPOINTS";
constexpr int kExitCode = 137;
constexpr int kMalformedExitCode = 2;

struct Failpoint {
  bool exits = false;
  long first = 0, last = 0;  // times it acts, counted from 1
  long times = 0;            // it was reached
};

[[noreturn]] void refuse(const std::string& entry) {
  std::cerr << kVariable << ": '" << entry << "' is not PLACE=exit@N or PLACE=fail@N or PLACE=fail@N-M\n";
  ::_exit(kMalformedExitCode);
}

long number(const std::string& text, const std::string& entry) {
  long value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 1) refuse(entry);
  return value;
}

std::map<std::string, Failpoint, std::less<>> parse(const std::string& text) {
  std::map<std::string, Failpoint, std::less<>> points;
  const std::vector<std::string> entries = absl::StrSplit(text, ';', absl::SkipEmpty());
  for (const std::string& entry : entries) {
    const auto equals = entry.find('='), at = entry.find('@');
    if (equals == std::string::npos || at == std::string::npos || at < equals) refuse(entry);
    const std::string action = entry.substr(equals + 1, at - equals - 1), times = entry.substr(at + 1);
    if (action != "exit" && action != "fail") refuse(entry);
    const auto dash = times.find('-');
    Failpoint point{.exits = action == "exit"};
    point.first = number(times.substr(0, dash), entry);
    point.last = dash == std::string::npos ? point.first : number(times.substr(dash + 1), entry);
    points[entry.substr(0, equals)] = point;
  }
  return points;
}

std::string setting() {
  const char* value = std::getenv(kVariable);
  return value ? value : "";
}

}  // namespace

const bool failpoints_set = !setting().empty();

bool reached_failpoint(std::string_view place) {
  static std::mutex mutex;
  static auto points = parse(setting());
  const std::lock_guard lock(mutex);
  const auto found = points.find(place);
  if (found == points.end()) return false;
  Failpoint& point = found->second;
  ++point.times;
  const bool acts = point.times >= point.first && point.times <= point.last;
  if (acts && point.exits) ::_exit(kExitCode);
  return acts;
}

}  // namespace espalier::internal

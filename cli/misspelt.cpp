#include "cli/misspelt.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace espalier::cli {
namespace {

// Optimal string alignment distance: insertions, deletions, substitutions and swaps of neighbours.
size_t distance(const std::string& a, const std::string& b) {
  std::vector<size_t> before, last, row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    before = std::exchange(last, row);
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const bool same = a[i - 1] == b[j - 1];
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (same ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = std::min(row[j], before[j - 2] + 1);
    }
  }
  return row[b.size()];
}

bool takes_value(const std::vector<const CommandDescription*>& path, const std::string& argument) {
  for (const CommandDescription* command : path) {
    for (const auto& option : command->options) {
      const bool named = std::find(option.names.begin(), option.names.end(), argument) != option.names.end();
      if (named) return option.kind != ValueKind::kFlag;
    }
  }
  return false;
}

std::vector<std::string> names_of(const std::vector<CommandDescription>& verbs) {
  std::vector<std::string> names;
  for (const auto& verb : verbs) names.push_back(verb.name);
  return names;
}

std::string names_of(const std::vector<const CommandDescription*>& path) {
  return absl::StrJoin(path, " ", [](std::string* out, const CommandDescription* c) { absl::StrAppend(out, c->name); });
}

bool asks_for_help(const std::vector<std::string>& arguments) {
  return std::any_of(arguments.begin(), arguments.end(), [](const std::string& argument) {
    return argument == "-h" || argument == "--help" || argument == "--version" || argument == "--man";
  });
}

Status unknown_verb(const std::vector<const CommandDescription*>& path, const std::string& argument) {
  const auto verbs = names_of(path.back()->verbs);
  const std::string near = nearest(argument, verbs);
  return absl::InvalidArgumentError(absl::StrCat("\"", argument, "\" is not a verb of ", names_of(path), "; ",
                                                 near.empty() ? absl::StrCat("there are ", absl::StrJoin(verbs, ", "))
                                                              : absl::StrCat("did you mean ", near, "?")));
}

// Which verbs the arguments name.
struct Walk {
  std::vector<const CommandDescription*> path;  // from the program down
  std::string stray;                            // stands where a verb belongs, but is none
};

Walk follow(const CommandDescription& program, const std::vector<std::string>& arguments) {
  Walk walk{{&program}, {}};
  for (size_t i = 0; i < arguments.size() && !walk.path.back()->verbs.empty() && arguments[i] != "--"; ++i) {
    const std::string& argument = arguments[i];
    if (argument.size() > 1 && argument[0] == '-') {
      if (takes_value(walk.path, argument)) ++i;
      continue;
    }
    const CommandDescription* verb = walk.path.back()->verb(argument);
    if (verb == nullptr) {
      walk.stray = argument;
      break;
    }
    walk.path.push_back(verb);
  }
  return walk;
}

}  // namespace

std::string nearest(const std::string& text, const std::vector<std::string>& candidates) {
  std::string best;
  size_t fewest = std::max<size_t>(2, text.size() / 3) + 1;
  for (const auto& candidate : candidates) {
    const bool begins = text.size() >= 2 && absl::StartsWith(candidate, text);
    const size_t changes = begins ? 0 : distance(text, candidate);
    if (changes >= std::min(fewest, candidate.size())) continue;
    fewest = changes;
    best = candidate;
  }
  return best;
}

Status find_misspelt_verb(const CommandDescription& program, const std::vector<std::string>& arguments) {
  const Walk walk = follow(program, arguments);
  if (!walk.stray.empty()) return unknown_verb(walk.path, walk.stray);
  const CommandDescription& last = *walk.path.back();
  if (!last.needs_verb || asks_for_help(arguments)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(names_of(walk.path), " needs a verb; there are ", absl::StrJoin(names_of(last.verbs), ", ")));
}

std::vector<const CommandDescription*> named_path(const CommandDescription& program,
                                                  const std::vector<std::string>& arguments) {
  return follow(program, arguments).path;
}

}  // namespace espalier::cli

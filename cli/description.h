#pragma once

#include <string>
#include <vector>

namespace espalier::cli {

// What a value stands for, in the help and for completion.
enum class ValueKind { kFlag, kText, kNumber, kFile, kFolder };

struct OptionDescription {
  std::vector<std::string> names;  // "-o", "--output"; one without dashes for a positional
  bool positional = false, required = false, repeated = false;
  ValueKind kind = ValueKind::kText;
  std::string value;                 // "FILE", "INT", "HOST:PORT"; empty for flags
  std::vector<std::string> choices;  // the allowed values; empty: any
  std::string default_value, environment, text;
};

// A verb with all below it, as completion scripts, man pages and the search for a misspelt verb need it.
struct CommandDescription {
  std::string name, text, footer;
  std::vector<OptionDescription> options;  // in the order of their declaration
  std::vector<CommandDescription> verbs;
  bool needs_verb = false;  // means nothing without one of them

  const CommandDescription* verb(const std::string& wanted) const;  // nullptr: there is none
};

}  // namespace espalier::cli

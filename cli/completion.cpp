#include "cli/completion.h"

#include <functional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"

namespace espalier::cli {
namespace {

using Path = std::vector<const CommandDescription*>;  // from the program down to a verb

// Calls `visit` for the program and each verb, however deep.
void walk(const CommandDescription& command, Path& path, const std::function<void(const Path&)>& visit) {
  path.push_back(&command);
  visit(path);
  for (const auto& verb : command.verbs) walk(verb, path, visit);
  path.pop_back();
}

std::string words(const Path& path, const char* separator) {
  return absl::StrJoin(path, separator,
                       [](std::string* out, const CommandDescription* command) { out->append(command->name); });
}

// The options of a verb and, since they may follow it, of those above.
std::vector<const OptionDescription*> reachable_options(const Path& path) {
  std::vector<const OptionDescription*> options;
  for (auto command = path.rbegin(); command != path.rend(); ++command) {
    for (const auto& option : (*command)->options) {
      if (!option.positional) options.push_back(&option);
    }
  }
  return options;
}

const OptionDescription* first_positional(const CommandDescription& command) {
  for (const auto& option : command.options) {
    if (option.positional) return &option;
  }
  return nullptr;
}

bool is_file(const OptionDescription& option) {
  return option.kind == ValueKind::kFile || option.kind == ValueKind::kFolder;
}

std::string function_name(const CommandDescription& program) {
  return "_" + absl::StrReplaceAll(program.name, {{"-", "_"}});
}

// One case of the bash script: what may stand after the words of `path`.
std::string bash_case(const Path& path) {
  std::string names;
  std::vector<std::string> next;
  for (const OptionDescription* option : reachable_options(path)) {
    for (const auto& name : option->names) absl::StrAppend(&names, " ", name);
  }
  for (const auto& verb : path.back()->verbs) next.push_back(verb.name);
  const OptionDescription* positional = first_positional(*path.back());
  if (positional != nullptr) next.insert(next.end(), positional->choices.begin(), positional->choices.end());
  const bool files = positional != nullptr && positional->choices.empty();
  return absl::StrCat("    \"", words(path, " "), "\") options=\"--help", names, "\"; words=\"",
                      absl::StrJoin(next, " "), "\"; files=", files ? 1 : 0, " ;;\n");
}

// One case of what follows an option; options of one name have the same values in all verbs that have it.
std::string bash_value_case(const Path& path, const OptionDescription& option) {
  std::vector<std::string> patterns;
  for (const auto& name : option.names) patterns.push_back(absl::StrCat("\"", words(path, " "), "\"*:", name));
  std::string reply = "COMPREPLY=()";
  if (!option.choices.empty()) {
    reply = absl::StrCat("COMPREPLY=($(compgen -W \"", absl::StrJoin(option.choices, " "), "\" -- \"$cur\"))");
  } else if (is_file(option)) {
    reply = absl::StrCat("compopt -o filenames; COMPREPLY=($(compgen -", option.kind == ValueKind::kFolder ? "d" : "f",
                         " -- \"$cur\"))");
  }
  return absl::StrCat("    ", absl::StrJoin(patterns, "|"), ") ", reply, "; return ;;\n");
}

std::string bash_script(const CommandDescription& program) {
  std::string verbs, cases, values;
  Path path;
  walk(program, path, [&](const Path& at) {
    cases += bash_case(at);
    if (at.size() > 1) absl::StrAppend(&verbs, "      \"", words(at, " "), "\") command=\"$command $word\" ;;\n");
  });
  // Verbs before the program, whose pattern fits them, too.
  walk(program, path, [&](const Path& at) {
    std::string own;
    for (const auto& option : at.back()->options) {
      if (!option.positional && option.kind != ValueKind::kFlag) own += bash_value_case(at, option);
    }
    values = own + values;
  });
  const std::string name = function_name(program);
  return absl::StrCat("# bash completion for ", program.name, "\n", name, "() {\n",
                      R"(  local cur prev word command options words files
  cur=${COMP_WORDS[COMP_CWORD]}
  prev=${COMP_WORDS[COMP_CWORD-1]}
  command=)",
                      program.name, R"(
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$command $word" in
)",
                      verbs, R"(    esac
  done
  case "$command:$prev" in
)",
                      values, R"(  esac
  case "$command" in
)",
                      cases, R"(  esac
  if [[ $cur == -* ]]; then
    COMPREPLY=($(compgen -W "$options" -- "$cur"))
  else
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
    if [[ $files == 1 ]]; then
      compopt -o filenames
      COMPREPLY+=($(compgen -f -- "$cur"))
    fi
  fi
}
complete -F )",
                      name, " ", program.name, "\n");
}

// Inside single quotes, where zsh reads [ ] and : as its own.
std::string zsh_text(const std::string& text) {
  return absl::StrReplaceAll(text, {{"'", "'\\''"}, {"[", "\\["}, {"]", "\\]"}, {":", "\\:"}, {"\n", " "}});
}

std::string zsh_action(const OptionDescription& option) {
  if (!option.choices.empty()) return absl::StrCat("(", absl::StrJoin(option.choices, " "), ")");
  if (option.kind == ValueKind::kFolder) return "_files -/";
  return option.kind == ValueKind::kFile ? "_files" : " ";
}

std::string zsh_option(const OptionDescription& option, const std::string& name) {
  std::string spec = absl::StrCat(option.repeated ? "*" : "", name, "[", zsh_text(option.text), "]");
  if (option.kind != ValueKind::kFlag) {
    absl::StrAppend(&spec, ":", zsh_text(option.value), ":", zsh_action(option));
  }
  return absl::StrCat("    '", spec, "' \\\n");
}

std::string zsh_function(const Path& path) {
  std::string specs;
  for (const OptionDescription* option : reachable_options(path)) {
    for (const auto& name : option->names) specs += zsh_option(*option, name);
  }
  const std::string name = "_" + absl::StrReplaceAll(words(path, "__"), {{"-", "_"}});
  const CommandDescription& command = *path.back();
  if (command.verbs.empty()) {
    const OptionDescription* positional = first_positional(command);
    const std::string rest =
        positional == nullptr
            ? ""
            : absl::StrCat("    '*:", zsh_text(positional->names[0]), ":",
                           positional->choices.empty() ? "_files" : zsh_action(*positional), "' \\\n");
    return absl::StrCat(name, "() {\n  _arguments -s \\\n", specs, rest, "    '--help[Print this help]'\n}\n\n");
  }
  std::string verbs, cases;
  for (const auto& verb : command.verbs) {
    absl::StrAppend(&verbs, "      '", verb.name, ":", zsh_text(verb.text), "'\n");
    absl::StrAppend(&cases, "        ", verb.name, ") ", name, "__", absl::StrReplaceAll(verb.name, {{"-", "_"}}),
                    " ;;\n");
  }
  return absl::StrCat(name, "() {\n  local context state line\n  _arguments -s -C \\\n", specs,
                      "    '--help[Print this help]' \\\n    '1: :->verb' \\\n    '*:: :->rest'\n  case $state in\n"
                      "    verb)\n      local verbs=(\n",
                      verbs, "      )\n      _describe verb verbs ;;\n    rest)\n      case $line[1] in\n", cases,
                      "      esac ;;\n  esac\n}\n\n");
}

std::string zsh_script(const CommandDescription& program) {
  std::string functions;
  Path path;
  walk(program, path, [&](const Path& at) { functions += zsh_function(at); });
  // As an autoloaded file it is the function's body; sourced, it registers itself.
  const std::string name = function_name(program);
  return absl::StrCat("#compdef ", program.name, "\n\n", functions, "if [[ $funcstack[1] == ", name, " ]]; then\n  ",
                      name, " \"$@\"\nelse\n  compdef ", name, " ", program.name, "\nfi\n");
}

std::string fish_text(const std::string& text) {
  return absl::StrReplaceAll(text, {{"\\", "\\\\"}, {"'", "\\'"}, {"\n", " "}});
}

// Holds when exactly the verbs of `path` have been typed.
std::string fish_condition(const Path& path) {
  std::string condition = absl::StrCat("__", absl::StrReplaceAll(path.front()->name, {{"-", "_"}}), "_at");
  for (size_t i = 1; i < path.size(); ++i) absl::StrAppend(&condition, " ", path[i]->name);
  return condition;
}

std::string fish_option(const std::string& program, const std::string& condition, const OptionDescription& option) {
  std::string line = absl::StrCat("complete -c ", program, " -n '", condition, "'");
  for (const auto& name : option.names) {
    absl::StrAppend(&line, name.rfind("--", 0) == 0 ? " -l " : " -s ", name.substr(name.rfind("--", 0) == 0 ? 2 : 1));
  }
  if (option.kind != ValueKind::kFlag) absl::StrAppend(&line, is_file(option) ? " -r -F" : " -x");
  if (!option.choices.empty()) absl::StrAppend(&line, " -a '", absl::StrJoin(option.choices, " "), "'");
  return absl::StrCat(line, " -d '", fish_text(option.text), "'\n");
}

std::string fish_script(const CommandDescription& program) {
  const std::string function = absl::StrCat("__", absl::StrReplaceAll(program.name, {{"-", "_"}}), "_at");
  std::vector<std::string> paths;
  std::string lines;
  Path path;
  walk(program, path, [&](const Path& at) {
    if (at.size() > 1) paths.push_back(absl::StrCat("'", words(Path(at.begin() + 1, at.end()), " "), "'"));
    const std::string condition = fish_condition(at);
    for (const auto& verb : at.back()->verbs) {
      absl::StrAppend(&lines, "complete -c ", program.name, " -f -n '", condition, "' -a ", verb.name, " -d '",
                      fish_text(verb.text), "'\n");
    }
    for (const OptionDescription* option : reachable_options(at)) {
      lines += fish_option(program.name, condition, *option);
    }
  });
  return absl::StrCat("# fish completion for ", program.name, "\nfunction ", function, R"(
  set -l verbs
  set -l words (commandline -opc)
  set -e words[1]
  for word in $words
    if contains -- (string join -- ' ' $verbs $word) )",
                      absl::StrJoin(paths, " "), R"(
      set -a verbs $word
    end
  end
  test "$verbs" = "$argv"
end

)",
                      lines);
}

}  // namespace

Result<std::string> completion_script(const CommandDescription& program, const std::string& shell) {
  if (shell == "bash") return bash_script(program);
  if (shell == "zsh") return zsh_script(program);
  if (shell == "fish") return fish_script(program);
  return absl::InvalidArgumentError(absl::StrCat("shell: ", shell, " is not one of bash, zsh, fish"));
}

}  // namespace espalier::cli

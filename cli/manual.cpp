#include "cli/manual.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "common/exit_codes.h"
#include "common/version.h"

namespace espalier::cli {
namespace {

// Text of a person as roff: a backslash, a leading dot or quote, and dashes have a meaning there.
std::string roff(const std::string& text) {
  std::string out = absl::StrReplaceAll(text, {{"\\", "\\e"}, {"-", "\\-"}, {"…", "..."}});
  if (!out.empty() && (out[0] == '.' || out[0] == '\'')) out.insert(0, "\\&");
  return absl::StrReplaceAll(out, {{"\n.", "\n\\&."}, {"\n'", "\n\\&'"}});
}

std::string joined(const std::vector<const CommandDescription*>& path, const char* separator) {
  return absl::StrJoin(path, separator, [](std::string* out, const CommandDescription* c) { out->append(c->name); });
}

std::string synopsis(const std::vector<const CommandDescription*>& path) {
  std::string text = absl::StrCat("\\fB", roff(joined(path, " ")), "\\fR");
  const CommandDescription& command = *path.back();
  text += " [\\fIOPTIONS\\fR]";
  for (const auto& option : command.options) {
    if (!option.positional) continue;
    const std::string name =
        absl::StrCat("\\fI", roff(absl::AsciiStrToUpper(option.names[0])), "\\fR", option.repeated ? "..." : "");
    absl::StrAppend(&text, " ", option.required ? name : absl::StrCat("[", name, "]"));
  }
  if (!command.verbs.empty()) text += " \\fIVERB\\fR ...";
  return text;
}

std::string option_entry(const OptionDescription& option) {
  std::string names = absl::StrJoin(option.names, ", ", [](std::string* out, const std::string& name) {
    absl::StrAppend(out, "\\fB", roff(name), "\\fR");
  });
  if (option.kind != ValueKind::kFlag && !option.positional) {
    absl::StrAppend(&names, " \\fI", roff(option.value), "\\fR");
  }
  std::string text = roff(option.text);
  const auto add = [&text](const std::string& what, const std::string& value) {
    if (!text.empty()) text += text.back() == '.' ? "\n" : ".\n";
    absl::StrAppend(&text, what, roff(value));
  };
  if (!option.choices.empty()) add("One of ", absl::StrJoin(option.choices, ", "));
  if (!option.default_value.empty()) add("Default: ", option.default_value);
  if (!option.environment.empty()) add("Environment: ", option.environment);
  return absl::StrCat(".TP\n", names, "\n", text.empty() ? "\\&" : text, "\n");
}

std::string options_section(const char* title, const CommandDescription& command, bool positional) {
  std::string entries;
  for (const auto& option : command.options) {
    if (option.positional == positional) entries += option_entry(option);
  }
  return entries.empty() ? "" : absl::StrCat(".SH ", title, "\n", entries);
}

// Verbs with all below them, "admin key create".
void verb_entries(const CommandDescription& command, const std::string& above, std::string& text) {
  for (const auto& verb : command.verbs) {
    const std::string name = absl::StrCat(above, verb.name);
    if (verb.verbs.empty()) {
      absl::StrAppend(&text, ".TP\n\\fB", roff(name), "\\fR\n", roff(verb.text), "\n");
    } else {
      verb_entries(verb, name + " ", text);
    }
  }
}

std::string exit_section() {
  std::string text = ".SH EXIT STATUS\n";
  for (const ExitCode& row : kExitCodes) absl::StrAppend(&text, ".TP\n", row.code, "\n", row.meaning, "\n");
  return text;
}

}  // namespace

std::string manual_page(const std::vector<const CommandDescription*>& path) {
  const CommandDescription& command = *path.back();
  const std::string name = joined(path, "-");
  std::string page = absl::StrCat(".TH \"", absl::AsciiStrToUpper(roff(name)), "\" 1 \"\" \"Espalier ", version(),
                                  "\" \"Espalier\"\n.SH NAME\n", roff(name), " \\- ", roff(command.text),
                                  "\n.SH SYNOPSIS\n", synopsis(path), "\n");
  page += options_section("ARGUMENTS", command, true);
  page += options_section("OPTIONS", command, false);
  if (path.size() > 1) {
    for (size_t i = path.size() - 1; i-- > 0;) {
      page += options_section(i == 0 ? "COMMON OPTIONS" : "OPTIONS OF THE VERB ABOVE", *path[i], false);
    }
  }
  if (!command.verbs.empty()) {
    page += ".SH VERBS\n";
    verb_entries(command, "", page);
  }
  if (!command.footer.empty()) absl::StrAppend(&page, ".SH NOTES\n", roff(command.footer), "\n");
  return absl::StrCat(page, exit_section());
}

}  // namespace espalier::cli

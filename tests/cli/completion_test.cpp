#include "cli/completion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <fstream>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "cli/app.h"
#include "common/files.h"

namespace espalier::cli {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;
using ::testing::UnorderedElementsAre;

std::vector<std::string> output_lines(const std::string& shell_command) {
  std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(shell_command.c_str(), "r"), ::pclose);
  std::string text;
  std::array<char, 4096> buffer;
  while (const size_t count = std::fread(buffer.data(), 1, buffer.size(), pipe.get()))
    text.append(buffer.data(), count);
  return absl::StrSplit(absl::StripAsciiWhitespace(text), '\n', absl::SkipEmpty());
}

bool has(const char* program) { return !output_lines(absl::StrCat("command -v ", program)).empty(); }

class Completion : public ::testing::Test {
 protected:
  Completion() {
    app_.options_anywhere();
    app_.flag("--json", json_, "It's machine-readable: [one] line");
    App& submit = app_.verb("submit", "Train adapters");
    submit.option("source", source_, "Assets").required();
    submit.option("--priority", priority_, "How soon").choices({"low", "normal", "high"});
    submit.option("-o,--output", output_, "Where to");
    App& admin = app_.verb("admin", "Keys and tenants");
    admin.verb("key-create", "Make a key");
    admin.verb("key-list", "List keys");
  }

  // What bash offers when `line` has been typed, its last word being completed.
  std::vector<std::string> bash(const std::vector<std::string>& line) {
    const auto script = completion_script(app_.describe(), "bash");
    EXPECT_TRUE(script.ok());
    std::ofstream(folder_.path() / "script") << *script;
    std::string words;
    for (const auto& word : line) absl::StrAppend(&words, " '", word, "'");
    std::ofstream(folder_.path() / "run")
        << "source " << (folder_.path() / "script").string() << "\ncd " << folder_.path().string()
        << "\ncompopt() { :; }\nCOMP_WORDS=(" << words << ")\nCOMP_CWORD=" << line.size() - 1
        << "\n_espalier\nprintf '%s\\n' \"${COMPREPLY[@]}\"\n";
    return output_lines(absl::StrCat("bash ", (folder_.path() / "run").string()));
  }

  TempDir folder_ = *TempDir::create();
  App app_{"espalier", "LoRA"};
  bool json_ = false;
  std::string source_, priority_;
  std::filesystem::path output_;
};

TEST_F(Completion, BashOffersVerbsOptionsAndValues) {
  EXPECT_THAT(bash({"espalier", ""}), UnorderedElementsAre("submit", "admin"));
  EXPECT_THAT(bash({"espalier", "su"}), ElementsAre("submit"));
  EXPECT_THAT(bash({"espalier", "--json", "admin", ""}), UnorderedElementsAre("key-create", "key-list"));
  EXPECT_THAT(bash({"espalier", "submit", "--"}), IsSupersetOf({"--priority", "--output", "--json", "--help"}));
  EXPECT_THAT(bash({"espalier", "submit", "--priority", ""}), UnorderedElementsAre("low", "normal", "high"));
  EXPECT_THAT(bash({"espalier", "submit", "--priority", "n"}), ElementsAre("normal"));
}

TEST_F(Completion, BashOffersFilesWhereTheyBelong) {
  std::ofstream(folder_.path() / "assets.zip") << "x";
  EXPECT_THAT(bash({"espalier", "submit", "ass"}), ElementsAre("assets.zip"));
  EXPECT_THAT(bash({"espalier", "submit", "-o", "ass"}), ElementsAre("assets.zip"));
}

TEST_F(Completion, ZshAndFishScriptsAreSound) {
  for (const char* shell : {"zsh", "fish"}) {
    const auto script = completion_script(app_.describe(), shell);
    ASSERT_TRUE(script.ok());
    EXPECT_THAT(*script, AllOf(HasSubstr("priority"), HasSubstr("low normal high"), HasSubstr("key-create")));
    if (!has(shell)) continue;  // the text is checked all the same
    const auto file = folder_.path() / shell;
    std::ofstream(file) << *script;
    EXPECT_THAT(output_lines(absl::StrCat(shell, " -n ", file.string(), " 2>&1")), ElementsAre());
  }
}

TEST_F(Completion, FishOffersVerbsAndValues) {
  if (!has("fish")) GTEST_SKIP() << "fish is not installed";
  std::ofstream(folder_.path() / "script") << *completion_script(app_.describe(), "fish");
  const auto offered = [&](const std::string& line) {
    return output_lines(absl::StrCat("fish --no-config -c \"source ", (folder_.path() / "script").string(),
                                     "; complete -C '", line, "'\" | cut -f1"));
  };
  EXPECT_THAT(offered("espalier "), IsSupersetOf({"submit", "admin"}));
  EXPECT_THAT(offered("espalier submit --priority "), UnorderedElementsAre("low", "normal", "high"));
  EXPECT_THAT(offered("espalier admin "), IsSupersetOf({"key-create", "key-list"}));
}

TEST_F(Completion, RefusesOtherShells) {
  const auto script = completion_script(app_.describe(), "tcsh");
  EXPECT_THAT(std::string(script.status().message()), HasSubstr("tcsh is not one of bash, zsh, fish"));
}

}  // namespace
}  // namespace espalier::cli

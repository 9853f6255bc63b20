#include "cli/app.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>

#include "cli/misspelt.h"
#include "common/files.h"

namespace espalier::cli {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// A program with two verbs, one of which has verbs of its own.
class Garden : public ::testing::Test {
 protected:
  Garden() {
    app_.require_verb();
    app_.options_anywhere();
    app_.option("--fence", fence_, "Height of the fence").range(0, 3).show_default().environment("ESPALIER_TEST_FENCE");
    App& plant = *(plant_ = &app_.verb("plant", "Put trees into the ground"));
    plant.option("trees", trees_, "Their names").required();
    plant.option("-d,--depth", depth_, "In centimetres");
    plant.option("--soil", soil_, "What is filled in").choices({"loam", "sand"});
    plant.flag("!--no-water", water_, "Leave them dry");
    plant.run([this] { done_ = "planted"; });
    App& tool = *(tool_ = &app_.verb("tool", "Tools"));
    tool.require_verb();
    tool.verb("sharpen", "Make it sharp").run([this] { done_ = "sharpened"; });
  }

  App app_{"garden", "Looks after trees."};
  App *plant_, *tool_;
  double fence_ = 1.5;
  std::vector<std::string> trees_;
  std::optional<int> depth_;
  std::string soil_, done_;
  bool water_ = true;
};

TEST_F(Garden, BindsOptionsToVariables) {
  ASSERT_TRUE(
      app_.parse({"plant", "pear", "apple", "--depth", "30", "--soil", "loam", "--no-water", "--fence", "2"}).ok());
  EXPECT_EQ(done_, "planted");
  EXPECT_THAT(trees_, ElementsAre("pear", "apple"));
  EXPECT_EQ(depth_, 30);
  EXPECT_EQ(soil_, "loam");
  EXPECT_FALSE(water_);
  EXPECT_EQ(fence_, 2);
}

TEST_F(Garden, TakesTheEnvironmentWhenTheCommandLineIsSilent) {
  ::setenv("ESPALIER_TEST_FENCE", "0.5", 1);
  EXPECT_TRUE(app_.parse({"plant", "pear"}).ok());
  EXPECT_EQ(fence_, 0.5);
  EXPECT_TRUE(app_.parse({"plant", "pear", "--fence", "3"}).ok());
  EXPECT_EQ(fence_, 3);
  ::unsetenv("ESPALIER_TEST_FENCE");
}

TEST_F(Garden, SaysWhatIsWrongWithAValue) {
  struct Row {
    std::vector<std::string> arguments;
    const char* message;
  };
  for (const Row& row :
       {Row{{"plant", "pear", "--fence", "4"}, "4 is not in 0..3"},
        Row{{"plant", "pear", "--depth", "deep"}, "--depth"},
        Row{{"plant", "pear", "--soil", "peat"}, "\"peat\" is not one of loam, sand"}, Row{{"plant"}, "trees"},
        Row{{}, "garden needs a verb; there are plant, tool"},
        Row{{"tool"}, "garden tool needs a verb; there are sharpen"}, Row{{"plant", "pear", "--spade"}, "--spade"}}) {
    const Status status = app_.parse(row.arguments);
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(row.message));
  }
}

TEST_F(Garden, NamesTheNearestVerbAlsoBeforeHelp) {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"plnat", "--help"}, {"plnat"}, {"--fence", "2", "plnat"}}) {
    const Status status = app_.parse(arguments);
    ASSERT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("\"plnat\""), HasSubstr("did you mean plant?")));
  }
  EXPECT_THAT(std::string(app_.parse({"tool", "sharpne", "--help"}).message()),
              AllOf(HasSubstr("a verb of garden tool"), HasSubstr("did you mean sharpen?")));
  EXPECT_THAT(std::string(app_.parse({"nonsense"}).message()), HasSubstr("there are plant, tool"));
  EXPECT_THAT(done_, IsEmpty());
}

TEST_F(Garden, HelpNamesTypesAndDefaults) {
  const Status help = app_.parse({"plant", "--help"});
  ASSERT_TRUE(absl::IsCancelled(help));
  EXPECT_THAT(std::string(help.message()), AllOf(HasSubstr("--depth INT"), HasSubstr("{loam,sand}")));
  const Status all = app_.parse({"--help"});
  EXPECT_THAT(std::string(all.message()), AllOf(HasSubstr("--fence NUMBER"), HasSubstr("1.5"), HasSubstr("plant")));
}

TEST_F(Garden, TellsItsVersion) {
  const Status version = app_.parse({"--version"});
  ASSERT_TRUE(absl::IsCancelled(version));
  EXPECT_THAT(std::string(version.message()),
              AllOf(HasSubstr("garden "), HasSubstr("commit "), HasSubstr("LibTorch "), HasSubstr("base ")));
}

TEST_F(Garden, PrintsThePageOfAVerb) {
  const std::string page(app_.parse({"plant", "--man"}).message());
  EXPECT_THAT(page,
              AllOf(HasSubstr(".TH \"GARDEN\\-PLANT\" 1"), HasSubstr("\\fB\\-d\\fR, \\fB\\-\\-depth\\fR \\fIINT\\fR"),
                    HasSubstr("What is filled in.\nOne of loam, sand"), HasSubstr("\\fITREES\\fR..."),
                    HasSubstr("COMMON OPTIONS"), HasSubstr("ESPALIER_TEST_FENCE"), HasSubstr(".SH EXIT STATUS")));
  const std::string whole(app_.parse({"--man"}).message());
  EXPECT_THAT(whole, AllOf(HasSubstr("\\fBtool sharpen\\fR"), Not(HasSubstr("depth"))));
}

TEST_F(Garden, KnowsWhatWasGiven) {
  ASSERT_TRUE(app_.parse({"plant", "pear", "--fence", "2"}).ok());
  EXPECT_TRUE(app_.given("--fence"));
  EXPECT_THAT(app_.given(), ElementsAre("--fence"));
  EXPECT_TRUE(plant_->chosen());
  EXPECT_FALSE(tool_->chosen());
}

// A garden whose defaults come from a file.
class Defaults : public Garden {
 protected:
  Status parse_with(const std::string& yaml, const std::vector<std::string>& arguments) {
    EXPECT_TRUE(write_file_atomic(file_, yaml).ok());
    return app_.parse(arguments);
  }
  void SetUp() override { app_.defaults_from(file_, "ESPALIER_TEST_CONFIG"); }

  TempDir folder_ = *TempDir::create();
  std::filesystem::path file_ = folder_.path() / "config.yaml";
};

TEST_F(Defaults, FillWhatIsNotGiven) {
  const char* yaml = "fence: 2.5\nplant:\n  depth: 40\n  soil: sand\n  no_water: true\ntool: {}\n";
  ASSERT_TRUE(parse_with(yaml, {"plant", "pear", "--depth", "10"}).ok());
  EXPECT_EQ(fence_, 2.5);
  EXPECT_EQ(depth_, 10);
  EXPECT_EQ(soil_, "sand");
  EXPECT_FALSE(water_);
}

TEST_F(Defaults, StandBehindTheEnvironment) {
  ::setenv("ESPALIER_TEST_FENCE", "1", 1);
  EXPECT_TRUE(parse_with("fence: 2.5\n", {"plant", "pear"}).ok());
  EXPECT_EQ(fence_, 1);
  ::unsetenv("ESPALIER_TEST_FENCE");
}

TEST_F(Defaults, OfOtherVerbsAreLeftAlone) {
  EXPECT_TRUE(parse_with("plant:\n  depth: 40\n", {"tool", "sharpen"}).ok());
  EXPECT_EQ(depth_, std::nullopt);
}

TEST_F(Defaults, MayBeMissingUnlessNamed) {
  EXPECT_TRUE(app_.parse({"plant", "pear"}).ok());
  EXPECT_TRUE(absl::IsNotFound(app_.parse({"plant", "pear", "--config", "/nowhere.yaml"})));
}

TEST_F(Defaults, AreHeldToTheOptionsRules) {
  const std::map<std::string, std::string> faults = {
      {"fence: 9\n", "config.yaml:1: --fence: 9 is not in 0..3"},
      {"plant:\n  soil: peat\n", "\"peat\" is not one of loam, sand"},
      {"plant:\n  no-water: maybe\n", "config.yaml:2: --no-water: is not true or false"},
      {"plant:\n  dephth: 4\n", "config.yaml:2: dephth: did you mean depth?"},
      {"plant:\n  trees: [elm]\n", "config.yaml:2: trees: there is no such option"},
      {"fense: 1\nlake: 5\n", "config.yaml:1: fense: did you mean fence?\n"},
      {"plant: 4\n", "config.yaml:1: plant: is not a map of options"},
      {"fence: [1\n", "config.yaml:"}};
  for (const auto& [yaml, message] : faults) {
    const Status status = parse_with(yaml, {"plant", "pear"});
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << yaml << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(message));
  }
}

TEST(App, HandsBytesAndNumbersToFunctions) {
  App app("store", "");
  uint64_t bytes = 0;
  int64_t count = 0;
  app.bytes(
      "--size", [&](uint64_t value) { bytes = value; }, "");
  app.integer(
         "--count", [&](int64_t value) { count = value; }, "")
      .range(0, 10);
  ASSERT_TRUE(app.parse({"--size", "2KiB", "--count", "7"}).ok());
  EXPECT_EQ(bytes, 2048u);
  EXPECT_EQ(count, 7);
  EXPECT_FALSE(app.parse({"--count", "11"}).ok());
}

TEST(App, KeepsAllBehindAVerbThatPassesItOn) {
  App app("espalier", "");
  App& pass = app.verb("eval", "");
  pass.keep_unknown(/*all=*/true);
  ASSERT_TRUE(app.parse({"eval", "--help", "x", "--y", "1"}).ok());
  EXPECT_THAT(pass.unknown(), ElementsAre("--help", "x", "--y", "1"));
}

TEST(Nearest, CountsSwapsAndBeginnings) {
  const std::vector<std::string> verbs = {"submit", "jobs", "download", "render", "retexture"};
  EXPECT_EQ(nearest("sumbit", verbs), "submit");
  EXPECT_EQ(nearest("dow", verbs), "download");
  EXPECT_EQ(nearest("job", verbs), "jobs");
  EXPECT_EQ(nearest("xyzzy", verbs), "");
}

}  // namespace
}  // namespace espalier::cli

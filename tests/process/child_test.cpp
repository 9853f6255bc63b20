#include "process/child.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <thread>

namespace espalier::process {
namespace {

using testing::ElementsAre;

struct Run {
  std::vector<std::string> events, logs;
  ChildExit exit;
};

Run run_script(const std::string& script, std::stop_token stop = {},
               std::chrono::milliseconds grace = std::chrono::seconds(5),
               const std::function<void(std::string_view)>& on_event = {}) {
  Run run;
  ChildObserver observer;
  observer.on_event = [&](std::string_view line) {
    run.events.emplace_back(line);
    if (on_event) on_event(line);
  };
  observer.on_log = [&](std::string_view line) { run.logs.emplace_back(line); };
  observer.on_tick = [] {};
  const auto exit =
      run_child({{"/bin/sh", "-c", script, "{progress-fd}"}, {"PATH=/usr/bin:/bin"}}, observer, std::move(stop), grace);
  EXPECT_TRUE(exit.ok()) << exit.status();
  if (exit.ok()) run.exit = *exit;
  return run;
}

TEST(RunChild, RelaysEventsAndLogsAndTheExitCode) {
  const auto run = run_script("echo '{\"event\":1}' >&$0; echo out; echo err >&2; printf 'no newline' >&$0; exit 7");
  EXPECT_THAT(run.events, ElementsAre("{\"event\":1}", "no newline"));
  EXPECT_THAT(run.logs, ElementsAre("out", "err"));
  EXPECT_EQ(run.exit.code, 7);
  EXPECT_EQ(run.exit.signal, 0);
  EXPECT_FALSE(run.exit.stopped);
}

TEST(RunChild, KeepsEverythingThatWasWrittenBeforeTheEnd) {
  const auto run = run_script("i=0; while [ $i -lt 20000 ]; do echo line $i >&$0; i=$((i+1)); done");
  ASSERT_EQ(run.events.size(), 20000u);
  EXPECT_EQ(run.events.back(), "line 19999");
}

TEST(RunChild, TellsTheSignalThatEndedIt) { EXPECT_EQ(run_script("kill -SEGV $$").exit.signal, SIGSEGV); }

TEST(RunChild, CutsEndlessLines) {
  const auto run = run_script("head -c 100000 /dev/zero | tr '\\0' x; echo; echo next");
  ASSERT_EQ(run.logs.size(), 2u);
  EXPECT_EQ(run.logs[0].size(), 4096u);
  EXPECT_EQ(run.logs[1], "next");
}

TEST(RunChild, StopIsAnAskingSignalFirst) {
  std::stop_source stop;
  const auto run = run_script("trap 'echo saved >&$0; exit 4' TERM; echo ready >&$0; while :; do sleep 0.05; done",
                              stop.get_token(), std::chrono::seconds(20), [&](std::string_view line) {
                                if (line == "ready") stop.request_stop();
                              });
  EXPECT_THAT(run.events, ElementsAre("ready", "saved"));
  EXPECT_EQ(run.exit.code, 4);
  EXPECT_TRUE(run.exit.stopped);
}

TEST(RunChild, KillsWhatDoesNotListen) {
  std::stop_source stop;
  const auto run = run_script("trap '' TERM; echo ready >&$0; while :; do sleep 0.05; done", stop.get_token(),
                              std::chrono::milliseconds(200), [&](std::string_view line) {
                                if (line == "ready") stop.request_stop();
                              });
  EXPECT_EQ(run.exit.signal, SIGKILL);
  EXPECT_TRUE(run.exit.stopped);
}

TEST(RunChild, DoesNotWaitForGrandchildren) { EXPECT_EQ(run_script("sleep 600 & exit 0").exit.code, 0); }

TEST(RunChild, EndsWhenATickIsDueInTheSameMoment) {
  // While the observer is busy the child ends and the next tick becomes due: both are found at once.
  const auto busy = [](std::string_view) { std::this_thread::sleep_for(std::chrono::milliseconds(600)); };
  EXPECT_EQ(run_script("echo x >&$0", {}, std::chrono::seconds(5), busy).exit.code, 0);
}

TEST(RunChild, GivesTheChildNothingOfOurEnvironment) {
  ::setenv("ESPALIER_SECRET", "s3cret", 1);
  EXPECT_THAT(run_script("echo \"[$ESPALIER_SECRET]\"").logs, ElementsAre("[]"));
}

TEST(RunChild, AMissingProgramIsAnError) {
  const auto exit = run_child({{"/nonexistent/program"}, {}}, {}, {}, std::chrono::seconds(1));
  ASSERT_FALSE(exit.ok());
  EXPECT_THAT(std::string(exit.status().message()), testing::HasSubstr("/nonexistent/program"));
}

}  // namespace
}  // namespace espalier::process

#include "common/events.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <string>

namespace espalier {
namespace {

TEST(EventWriter, WritesOneJsonObjectPerLine) {
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  EventWriter(pipe[1]).write({{"event", "log"}, {"message", "two\nlines \xff"}});
  ::close(pipe[1]);
  std::string text(4096, '\0');
  text.resize(static_cast<size_t>(::read(pipe[0], text.data(), text.size())));
  ::close(pipe[0]);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
  EXPECT_EQ(nlohmann::json::parse(text)["event"], "log");
}

TEST(EventWriter, SurvivesAReaderThatWentAway) {
  ::signal(SIGPIPE, SIG_IGN);
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  ::close(pipe[0]);
  EventWriter(pipe[1]).write({{"event", "step"}});
  ::close(pipe[1]);
  EventWriter(-1).write({{"event", "step"}});
}

}  // namespace
}  // namespace espalier

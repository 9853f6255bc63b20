#include "cli/board.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>

#include "absl/strings/str_split.h"

namespace espalier::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

// What `draw` writes to the file descriptor `to`, read from `from`. Little enough that nothing has to wait.
std::string written(int to, int from, const std::function<void(Board&)>& draw, bool silent = false) {
  std::FILE* out = ::fdopen(to, "w");
  {
    Board board(silent, out);
    draw(board);
  }
  std::fclose(out);
  std::string text;
  char bytes[4096];
  for (ssize_t count; (count = ::read(from, bytes, sizeof bytes)) > 0;) text.append(bytes, static_cast<size_t>(count));
  ::close(from);
  return text;
}

std::string on_pipe(const std::function<void(Board&)>& draw, bool silent = false) {
  int ends[2];
  EXPECT_EQ(::pipe(ends), 0);
  return written(ends[1], ends[0], draw, silent);
}

// A terminal of so many columns; empty where the system has no pseudo-terminals.
std::string on_terminal(unsigned short columns, const std::function<void(Board&)>& draw) {
  const int master = ::posix_openpt(O_RDWR | O_NOCTTY);
  if (master < 0 || ::grantpt(master) != 0 || ::unlockpt(master) != 0) return "";
  const int terminal = ::open(::ptsname(master), O_RDWR | O_NOCTTY);
  if (terminal < 0) return "";
  winsize size{};
  size.ws_col = columns, size.ws_row = 24;
  ::ioctl(terminal, TIOCSWINSZ, &size);
  termios mode{};
  ::tcgetattr(terminal, &mode);
  ::cfmakeraw(&mode);  // line ends stay as they are
  ::tcsetattr(terminal, TCSANOW, &mode);
  return written(terminal, master, draw);
}

void six_objects(Board& board) {
  for (int done = 0; done <= 3; ++done) {
    board.set("base", "base " + std::to_string(done) + " of 3", /*milestone=*/true);
  }
}

TEST(Board, PrintsALineForEachStepIntoAPipe) {
  const std::vector<std::string> lines = absl::StrSplit(on_pipe(six_objects), '\n');
  EXPECT_THAT(lines, ElementsAre("base 0 of 3", "base 1 of 3", "base 2 of 3", "base 3 of 3", ""));
}

TEST(Board, LeavesOutWhatIsNoMilestone) {
  const std::string text = on_pipe([](Board& board) {
    for (int step = 1; step <= 100; ++step) board.set("step", std::to_string(step), step % 50 == 0);
    board.set("step", "100", true);
    board.print("done");
  });
  EXPECT_EQ(text, "1\n50\n100\ndone\n");
}

TEST(Board, ShowsALineAtOnce) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  std::FILE* out = ::fdopen(ends[1], "w");
  Board board(false, out);
  board.set("a", "begun");
  char bytes[16];
  EXPECT_EQ(::read(ends[0], bytes, sizeof bytes), 6) << "it lay in a buffer";
  std::fclose(out);
  ::close(ends[0]);
}

TEST(Board, IsSilentWhenTold) { EXPECT_EQ(on_pipe(six_objects, /*silent=*/true), ""); }

TEST(Board, RedrawsOnATerminal) {
  const std::string text = on_terminal(80, six_objects);
  if (text.empty()) GTEST_SKIP() << "no pseudo-terminal";
  EXPECT_EQ(text, "base 0 of 3\n\033[1A\033[Jbase 1 of 3\n\033[1A\033[Jbase 2 of 3\n\033[1A\033[Jbase 3 of 3\n");
}

TEST(Board, KeepsPrintedLinesAboveTheBlock) {
  const std::string text = on_terminal(80, [](Board& board) {
    board.set("a", "one");
    board.set("b", "two");
    board.print("a warning");
  });
  if (text.empty()) GTEST_SKIP() << "no pseudo-terminal";
  EXPECT_THAT(text, HasSubstr("\033[2A\033[Ja warning\none\ntwo\n"));
}

TEST(Board, CutsLinesThatWouldWrap) {
  const std::string text = on_terminal(10, [](Board& board) { board.set("a", "12345678\xc3\xa4 and more"); });
  if (text.empty()) GTEST_SKIP() << "no pseudo-terminal";
  EXPECT_EQ(text, "12345678\n") << "nor half a character";
}

TEST(Texts, AreShort) {
  EXPECT_EQ(bar(0.5, 4), "[##--]  50 %");
  EXPECT_EQ(bar(7, 4), "[####] 100 %");
  EXPECT_EQ(duration_text(3720), "1h02m");
  EXPECT_EQ(duration_text(11.2), "12s");
  EXPECT_EQ(bytes_text(1'500'000), "1.5 MB");
}

}  // namespace
}  // namespace espalier::cli

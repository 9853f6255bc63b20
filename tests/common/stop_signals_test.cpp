#include "common/stop_signals.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

namespace espalier {
namespace {

TEST(StopSignals, ASignalBecomesAStopRequest) {
  const StopSignals signals;
  EXPECT_FALSE(signals.token().stop_requested());
  ::kill(::getpid(), SIGINT);
  signals.wait();
  EXPECT_TRUE(signals.token().stop_requested());
}

TEST(StopSignals, GoesAwayWithoutASignal) {
  const StopSignals signals;
  EXPECT_FALSE(signals.token().stop_requested());
}

TEST(StopSignals, TheSecondSignalEndsTheProcess) {
  EXPECT_EXIT(
      {
        const StopSignals signals;
        ::kill(::getpid(), SIGTERM);
        signals.wait();
        ::kill(::getpid(), SIGTERM);
        ::pause();
      },
      testing::ExitedWithCode(128 + SIGTERM), "");
}

}  // namespace
}  // namespace espalier

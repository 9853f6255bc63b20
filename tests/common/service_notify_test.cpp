#include "common/service_notify.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string>

#include "common/files.h"

namespace espalier {
namespace {

// A service manager's socket.
class ServiceNotify : public ::testing::Test {
 protected:
  void listen(const std::string& name) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, name.data(), name.size());
    if (name[0] == '@') address.sun_path[0] = '\0';
    fd_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    ASSERT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&address), offsetof(sockaddr_un, sun_path) + name.size()), 0);
    ::setenv("NOTIFY_SOCKET", name.c_str(), 1);
  }
  void TearDown() override {
    for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) ::unsetenv(name);
    if (fd_ >= 0) ::close(fd_);
  }
  std::string received() const {
    char buffer[64];
    const auto count = ::recv(fd_, buffer, sizeof buffer, 0);
    return count < 0 ? "" : std::string(buffer, static_cast<size_t>(count));
  }

  TempDir folder_ = *TempDir::create();
  int fd_ = -1;
};

TEST_F(ServiceNotify, ReachesASocketByItsPath) {
  listen(folder_.path() / "notify");
  EXPECT_TRUE(notify_service("READY=1"));
  EXPECT_EQ(received(), "READY=1");
}

TEST_F(ServiceNotify, ReachesAnAbstractSocket) {
  listen("@espalier-notify-" + std::to_string(::getpid()));
  EXPECT_TRUE(notify_service("STOPPING=1"));
  EXPECT_EQ(received(), "STOPPING=1");
}

TEST_F(ServiceNotify, DoesNothingWithoutAManager) {
  EXPECT_FALSE(notify_service("READY=1"));
  ::setenv("NOTIFY_SOCKET", "relative", 1);
  EXPECT_FALSE(notify_service("READY=1"));
  ::setenv("NOTIFY_SOCKET", (folder_.path() / "nobody").c_str(), 1);
  EXPECT_FALSE(notify_service("READY=1"));
}

TEST_F(ServiceNotify, BeatsOnlyWhenWatchedAndNotAtEveryCall) {
  listen(folder_.path() / "notify");
  Watchdog().beat();
  EXPECT_EQ(received(), "");
  for (const char* period : {"soon", "0", "-5"}) {
    ::setenv("WATCHDOG_USEC", period, 1);
    Watchdog().beat();
    EXPECT_EQ(received(), "") << period;
  }
  ::setenv("WATCHDOG_USEC", "3600000000", 1);
  ::setenv("WATCHDOG_PID", "1", 1);  // another process is watched
  Watchdog().beat();
  EXPECT_EQ(received(), "");
  ::setenv("WATCHDOG_PID", std::to_string(::getpid()).c_str(), 1);
  Watchdog watched;
  watched.beat();
  watched.beat();
  EXPECT_EQ(received(), "WATCHDOG=1");
  EXPECT_EQ(received(), "");
}

}  // namespace
}  // namespace espalier

#include "preprocess/sandbox.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>

#include "common/files.h"
#include "preprocess/import_asset.h"
#include "tests/preprocess/boxes.h"

namespace espalier::preprocess {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class ImportChild : public ::testing::Test {
 protected:
  // A shell script in place of the import child.
  fs::path script(const std::string& body) {
    const fs::path path = folder_->path() / "importer.sh";
    std::ofstream(path) << "#!/bin/sh\n" << body << "\n";
    ::chmod(path.c_str(), 0700);
    return path;
  }
  Status import_with(const fs::path& importer) {
    Importer confined{.program = importer};
    confined.limits.wall_seconds = 1;
    return import_asset(folder_->path(), "a.glb", confined, folder_->path(), {}).status();
  }
  Result<TempDir> folder_ = TempDir::create("sandbox_test");
};

TEST_F(ImportChild, ReadsAnAssetInItsChild) {
  ASSERT_TRUE(write_file_atomic(folder_->path() / "a.glb", testing::box_glb(1, 2, 3)).ok());
  const auto scene = import_asset(folder_->path(), "a.glb", {}, folder_->path(), {});
  ASSERT_TRUE(scene.ok()) << scene.status();
  EXPECT_EQ(mesh::face_count(*scene), 12u);
}

TEST_F(ImportChild, ReportsABrokenAssetWithItsCode) {
  ASSERT_TRUE(write_file_atomic(folder_->path() / "a.glb", testing::box_glb(1, 2, 3).substr(0, 100)).ok());
  const auto scene = import_asset(folder_->path(), "a.glb", {}, folder_->path(), {});
  EXPECT_THAT(std::string(scene.status().message()), ::testing::StartsWith("UNREADABLE: "));
}

TEST_F(ImportChild, BlamesTheAssetForAChildThatMisbehaves) {
  const std::vector<std::pair<const char*, const char*>> rows = {
      {"kill -SEGV $$", "UNREADABLE: the importer crashed"},
      {"exit 9", "UNREADABLE: the importer failed with code 9"},
      {"exit 0", "UNREADABLE: the import result is missing"},
      {"head -c 1000 /dev/zero >&3", "UNREADABLE: the import result is missing or malformed"},
      {"printf 'ESPSCN1\\n\\001\\377\\377\\377\\377\\377\\377\\377\\377' >&3",
       "UNREADABLE: the import result is malformed"},
      {"while :; do :; done", "TIMEOUT"},
      {"sleep 100", "TIMEOUT"},
  };
  for (const auto& [body, message] : rows)
    EXPECT_THAT(std::string(import_with(script(body)).message()), HasSubstr(message)) << body;
}

TEST_F(ImportChild, TakesItsDescendantsAlong) {
  const fs::path alive = folder_->path() / "alive";
  const Status status =
      import_with(script("(while :; do date > " + alive.string() + "; sleep 0.05; done) &\nsleep 100"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("TIMEOUT"));
  fs::remove(alive);
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  EXPECT_FALSE(fs::exists(alive));
}

TEST_F(ImportChild, GivesNoEnvironmentAndNoOtherDescriptors) {
  ::setenv("ESPALIER_TEST_SECRET", "secret", 1);
  const int open_file = ::fcntl(STDIN_FILENO, F_DUPFD, 77);  // above the shell's own
  const Status status = import_with(script("[ -n \"$ESPALIER_TEST_SECRET\" ] && exit 8\n[ -e /proc/$$/fd/" +
                                           std::to_string(open_file) + " ] && exit 9\nexit 7"));
  ::close(open_file);
  EXPECT_THAT(std::string(status.message()), HasSubstr("code 7"));
}

TEST_F(ImportChild, IsTheRunsFaultWhenItCannotBeStarted) {
  const Status status = import_with("/nonexistent/importer");
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
}

TEST_F(ImportChild, StopsOnRequest) {
  std::stop_source stop;
  stop.request_stop();
  const auto scene =
      import_asset(folder_->path(), "a.glb", {.program = script("sleep 100")}, folder_->path(), stop.get_token());
  EXPECT_EQ(scene.status().code(), absl::StatusCode::kCancelled);
}

// The wait status of a confined process that runs `body`; its result is the exit code.
int confined(const fs::path& root, const std::function<int()>& body) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    if (!confine_this_process(root).ok()) ::_exit(99);
    ::_exit(body());
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  return status;
}

TEST(Confinement, AllowsReadingBelowTheRootOnly) {
  const auto folder = TempDir::create("confined");
  ASSERT_TRUE(write_file_atomic(folder->path() / "inside", "x").ok());
  const std::string inside = folder->path() / "inside";
  const auto opens = [](const std::string& path, int flags) {
    return [path, flags] { return ::open(path.c_str(), flags) >= 0 ? 1 : errno == EACCES ? 2 : 3; };
  };
  EXPECT_EQ(WEXITSTATUS(confined(folder->path(), opens(inside, O_RDONLY))), 1);
  const int outside = WEXITSTATUS(confined(folder->path(), opens("/etc/passwd", O_RDONLY)));
  EXPECT_TRUE(outside == 2 || outside == 1) << outside;  // 1: a kernel without Landlock
}

TEST(Confinement, KillsForForbiddenCalls) {
  const auto folder = TempDir::create("confined");
  const std::string target = folder->path() / "new";
  const std::vector<std::function<int()>> forbidden = {
      [] { return ::socket(AF_INET, SOCK_STREAM, 0); },
      [] { return ::execl("/bin/true", "true", nullptr); },
      [] { return static_cast<int>(::fork()); },
      [] { return ::kill(1, 0); },
      [&] { return ::open(target.c_str(), O_WRONLY | O_CREAT, 0600); },
      [&] { return ::unlink(target.c_str()); },
  };
  for (size_t i = 0; i < forbidden.size(); ++i) {
    const int status = confined(folder->path(), forbidden[i]);
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS) << i << " status " << status;
  }
}

}  // namespace
}  // namespace espalier::preprocess

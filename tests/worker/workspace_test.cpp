#include "worker/workspace.h"

#include <gtest/gtest.h>

#include "common/files.h"

namespace espalier::worker {
namespace {

namespace fs = std::filesystem;

class WorkspaceTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"cache", "tasks"}) fs::create_directory(folder_.path() / name);
  }
  // A file of a kilobyte that was last used so many hours ago.
  fs::path file(const std::string& name, int hours) {
    const auto path = folder_.path() / name;
    fs::create_directories(path.parent_path());
    EXPECT_TRUE(write_file_atomic(path, std::string(1024, 'x')).ok());
    const auto used = fs::file_time_type::clock::now() - std::chrono::hours(hours);
    fs::last_write_time(path, used);
    if (path.parent_path().parent_path().filename() == "tasks") fs::last_write_time(path.parent_path(), used);
    return path;
  }
  const TempDir folder_ = *TempDir::create("workspace");
};

TEST_F(WorkspaceTest, RemovesTheLongestUnusedFirst) {
  const auto oldest = file("cache/a.zip", 9), middle = file("tasks/task_1/checkpoint", 5),
             newest = file("cache/b.zip", 1);
  Workspace(folder_.path(), 3 * 1024).trim();
  EXPECT_TRUE(fs::exists(oldest)) << "all fit";
  Workspace(folder_.path(), 2 * 1024).trim();
  EXPECT_FALSE(fs::exists(oldest));
  EXPECT_TRUE(fs::exists(middle));
  Workspace(folder_.path(), 1024).trim();
  EXPECT_FALSE(fs::exists(middle.parent_path()));
  EXPECT_TRUE(fs::exists(newest));
}

TEST_F(WorkspaceTest, KeepsWhatIsHeldAndCountsItAsUsedAfterwards) {
  const auto held = file("cache/a.zip", 9), part = file("cache/c.zip.part", 8), other = file("cache/b.zip", 1);
  Workspace workspace(folder_.path(), 1024);
  {
    const auto hold = workspace.hold_download("a"), download = workspace.hold_download("c");
    EXPECT_EQ(hold.path(), held);
    workspace.trim();
    EXPECT_TRUE(fs::exists(held));
    EXPECT_TRUE(fs::exists(part)) << "it is being fetched";
    EXPECT_FALSE(fs::exists(other));
  }
  workspace.trim();
  EXPECT_TRUE(fs::exists(held));
  EXPECT_FALSE(fs::exists(part));
}

TEST_F(WorkspaceTest, LetsOneHolderMakeWhatAllUse) {
  Workspace workspace(folder_.path(), 1 << 20);
  const auto first = workspace.hold_download("a"), second = workspace.hold_download("a");
  EXPECT_EQ(&first.making(), &second.making());
  EXPECT_NE(&first.making(), &workspace.hold_task_folder("a").making());
}

}  // namespace
}  // namespace espalier::worker

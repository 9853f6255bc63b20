#include "common/installation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "common/files.h"

namespace espalier {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

void touch(const fs::path& file) {
  fs::create_directories(file.parent_path());
  std::ofstream(file) << "{}";
}

TEST(Installation, FindsNanoInACheckoutAndBesideInstalledPrograms) {
  const TempDir folder = *TempDir::create();
  const fs::path checkout = folder.path() / "checkout", installed = folder.path() / "installed";
  fs::create_directories(checkout / "build/bin");
  fs::create_directories(installed / "bin");
  EXPECT_EQ(nano_base(installed / "bin"), "");
  touch(checkout / "models/nano/pipeline.json");
  touch(installed / "share/espalier/models/nano/pipeline.json");
  EXPECT_EQ(nano_base(checkout / "build/bin"), fs::canonical(checkout / "models/nano"));
  EXPECT_EQ(nano_base(installed / "bin"), fs::canonical(installed / "share/espalier/models/nano"));
}

TEST(Installation, KeepsABaseThatWasNamed) { EXPECT_EQ(find_base("some/base"), "some/base"); }

TEST(Installation, SaysHowToPutLibTorchInPlace) {
  const TempDir folder = *TempDir::create();
  const fs::path programs = folder.path() / "bin", link = folder.path() / "lib/espalier/torch";
  EXPECT_EQ(libtorch_link(programs), "");  // built there: found as it was when they were linked
  EXPECT_TRUE(check_libtorch(programs).ok());
  fs::create_directories(link.parent_path());
  EXPECT_EQ(libtorch_link(programs), link);
  const Status missing = check_libtorch(programs);
  EXPECT_TRUE(absl::IsFailedPrecondition(missing));
  EXPECT_THAT(std::string(missing.message()), HasSubstr("espalier setup"));
  fs::create_symlink(folder.path() / "nowhere", link);
  EXPECT_FALSE(check_libtorch(programs).ok());
  fs::remove(link);
  touch(link / "lib/libtorch_cpu.so");
  EXPECT_TRUE(check_libtorch(programs).ok());
}

}  // namespace
}  // namespace espalier

#include "client/security.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "common/files.h"
#include "common/secrets.h"

namespace espalier::client {
namespace {

namespace fs = std::filesystem;

constexpr const char* kLocal = "127.0.0.1:7430";

// A user with an empty home folder.
class KeySearch : public ::testing::Test {
 protected:
  KeySearch() {
    ::setenv("XDG_DATA_HOME", (home_.path() / "data").c_str(), 1);
    ::setenv("XDG_CONFIG_HOME", (home_.path() / "config").c_str(), 1);
  }
  ~KeySearch() override {
    ::unsetenv("XDG_DATA_HOME");
    ::unsetenv("XDG_CONFIG_HOME");
  }

  fs::path key_file(const fs::path& place, const std::string& id) const {
    const fs::path file = home_.path() / place;
    fs::create_directories(file.parent_path());
    EXPECT_TRUE(write_secret_file(file, id + ":esk_1\n").ok());
    return file;
  }

  static std::string found(const SecurityOptions& options, const std::string& server = kLocal) {
    const auto security = find_security(options, server, server);
    EXPECT_TRUE(security.ok()) << security.status();
    return security.ok() && security->key ? security->key->key_id : "none";
  }

  TempDir home_ = *TempDir::create();
};

TEST_F(KeySearch, PrefersTheNamedKeyThenTheLocalOneThenTheConfiguredOne) {
  EXPECT_EQ(found({}), "none");
  key_file("config/espalier/key", "key_configured");
  EXPECT_EQ(found({}), "key_configured");
  key_file("data/espalier/coordinator/keys/operator.key", "key_default");
  EXPECT_EQ(found({}), "key_default");
  const LocalKeyLink link(kLocal, key_file("elsewhere/operator.key", "key_running"));
  EXPECT_EQ(found({}), "key_running");
  const SecurityOptions file{.key = "", .key_file = key_file("named", "key_file"), .tenant = "", .tls = {}};
  EXPECT_EQ(found(file), "key_file");
  SecurityOptions both = file;
  both.key = "key_environment:esk_1";
  EXPECT_EQ(found(both), "key_environment");
}

TEST_F(KeySearch, KeepsLocalKeysOnThisMachine) {
  key_file("data/espalier/coordinator/keys/operator.key", "key_default");
  EXPECT_EQ(found({}, "coordinator.example:7430"), "none");
  EXPECT_EQ(find_security({}, "inference.example:7431", kLocal)->key.has_value(), false);
}

TEST_F(KeySearch, ForgetsACoordinatorThatHasStopped) {
  const fs::path file = key_file("elsewhere/operator.key", "key_running");
  { const LocalKeyLink link(kLocal, file); }
  EXPECT_EQ(found({}), "none");
}

TEST_F(KeySearch, ReportsANamedKeyThatIsNone) {
  SecurityOptions options;
  options.key_file = home_.path() / "absent";
  EXPECT_TRUE(absl::IsInvalidArgument(find_security(options, kLocal, kLocal).status()));
  options.key = "not-a-key";
  const Status status = find_security(options, kLocal, kLocal).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_EQ(std::string(status.message()).find("not-a-key"), std::string::npos);
}

}  // namespace
}  // namespace espalier::client

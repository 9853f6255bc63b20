#include "infer/server/state_store.h"

#include <gmock/gmock.h>

#include <fstream>

namespace espalier::infer {
namespace {

using ::testing::StartsWith;
namespace fs = std::filesystem;

class StateStoreTest : public ::testing::Test {
 protected:
  std::unique_ptr<StateStore> open(const std::function<void(StateStoreOptions&)>& change = {}) const {
    StateStoreOptions options;
    options.folder = folder_.path() / "states";
    if (change) change(options);
    auto store = StateStore::open(options);
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }

  static Result<StateStore::Kept> keep(StateStore& store, const std::string& tenant, const std::string& bytes) {
    ESP_ASSIGN(const TempDir staged, store.stage());
    ESP_TRY(write_file_atomic(staged.path() / "state", bytes));
    return store.keep(tenant, staged.path() / "state");
  }

  static std::string handle(StateStore& store, const std::string& tenant, const std::string& bytes) {
    const auto kept = keep(store, tenant, bytes);
    EXPECT_TRUE(kept.ok()) << kept.status();
    return kept.ok() ? kept->handle : "";
  }

  static std::string content(const StateStore& store, const std::string& tenant, const std::string& handle) {
    const auto file = store.find(tenant, handle);
    if (!file.ok()) return absl::IsNotFound(file.status()) ? "none" : "another error";
    return read_file(*file).value_or("unreadable");
  }

  // As if the state had been kept that long ago.
  static void age(const StateStore& store, const std::string& tenant, const std::string& handle,
                  std::chrono::hours hours) {
    const auto file = store.find(tenant, handle);
    ASSERT_TRUE(file.ok()) << file.status();
    fs::last_write_time(*file, fs::file_time_type::clock::now() - hours);
  }

  size_t files() const {
    size_t count = 0;
    for (const auto& entry : fs::recursive_directory_iterator(folder_.path())) count += entry.is_regular_file();
    return count;
  }

  TempDir folder_ = *TempDir::create();
};

TEST_F(StateStoreTest, GivesAStateToItsOwnerOnly) {
  const auto store = open();
  const std::string mine = handle(*store, "ten_1", "mine"), theirs = handle(*store, "ten_2", "theirs");
  EXPECT_THAT(mine, StartsWith("st1."));
  EXPECT_EQ(mine.size(), 4u + 64u);
  EXPECT_EQ(content(*store, "ten_1", mine), "mine");
  EXPECT_EQ(content(*store, "ten_2", theirs), "theirs");
  EXPECT_EQ(content(*store, "ten_2", mine), "none");
  EXPECT_EQ(content(*store, "", mine), "none");
}

TEST_F(StateStoreTest, KnowsNothingOfHandlesItNeverGave) {
  const auto store = open();
  const std::string mine = handle(*store, "ten_1", "mine");
  const fs::path file = *store->find("ten_1", mine);
  for (const std::string& bad : {std::string(), std::string("st1."), std::string("st1.../../etc/passwd"),
                                 mine.substr(4), mine + "0", file.string(), "st1." + file.stem().string()}) {
    EXPECT_EQ(content(*store, "ten_1", bad), "none") << bad;
  }
}

TEST_F(StateStoreTest, TellsNoHandleToWhoReadsTheDisk) {
  const auto store = open();
  const std::string mine = handle(*store, "ten_secret", "mine");
  for (const auto& entry : fs::recursive_directory_iterator(folder_.path())) {
    EXPECT_EQ(entry.path().string().find(mine.substr(4)), std::string::npos);
    EXPECT_EQ(entry.path().string().find("ten_secret"), std::string::npos);
  }
  EXPECT_EQ(fs::status(folder_.path() / "states").permissions(), fs::perms::owner_all);
}

TEST_F(StateStoreTest, SurvivesARestart) {
  std::string kept;
  {
    const auto store = open();
    kept = handle(*store, "ten_1", "mine");
    std::ofstream(folder_.path() / "states/incoming/left") << "of a killed service";
  }
  const auto again = open();
  EXPECT_EQ(content(*again, "ten_1", kept), "mine");
  EXPECT_EQ(files(), 1u) << "what was never finished is gone";
}

TEST_F(StateStoreTest, ForgetsWhatIsTooOld) {
  const auto store = open();
  const std::string old = handle(*store, "ten_1", "old"), young = handle(*store, "ten_1", "young");
  age(*store, "ten_1", young, std::chrono::hours(23));
  age(*store, "ten_1", old, std::chrono::hours(25));
  EXPECT_EQ(content(*store, "ten_1", old), "none") << "even before it is swept";
  EXPECT_EQ(files(), 2u);
  store->sweep();
  EXPECT_EQ(files(), 1u);
  EXPECT_EQ(content(*store, "ten_1", young), "young");
}

TEST_F(StateStoreTest, MakesRoomWithATenantsOwnOldest) {
  const auto store = open([](StateStoreOptions& options) { options.max_tenant_bytes = 10; });
  const std::string other = handle(*store, "ten_2", "12345678");
  const std::string first = handle(*store, "ten_1", "1234"), second = handle(*store, "ten_1", "1234");
  age(*store, "ten_1", first, std::chrono::hours(2));
  age(*store, "ten_1", second, std::chrono::hours(1));
  const std::string third = handle(*store, "ten_1", "123456");
  EXPECT_EQ(content(*store, "ten_1", first), "none");
  EXPECT_EQ(content(*store, "ten_1", second), "1234");
  EXPECT_EQ(content(*store, "ten_1", third), "123456");
  EXPECT_EQ(content(*store, "ten_2", other), "12345678") << "of another tenant";
  EXPECT_TRUE(absl::IsResourceExhausted(keep(*store, "ten_1", "12345678901").status()));
}

TEST_F(StateStoreTest, KeepsNoMoreThanAllMayTake) {
  const auto store = open([](StateStoreOptions& options) { options.max_bytes = 10; });
  const std::string first = handle(*store, "ten_1", "12345678");
  EXPECT_TRUE(absl::IsResourceExhausted(keep(*store, "ten_2", "1234").status()));
  EXPECT_EQ(content(*store, "ten_1", first), "12345678");
}

TEST_F(StateStoreTest, SaysThatItsFolderCannotBeUsed) {
  ASSERT_TRUE(write_file_atomic(folder_.path() / "file", "x").ok());
  StateStoreOptions options;
  options.folder = folder_.path() / "file/states";
  EXPECT_TRUE(absl::IsInvalidArgument(StateStore::open(options).status()));
}

}  // namespace
}  // namespace espalier::infer

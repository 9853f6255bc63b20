#include "common/files.h"

#include <gtest/gtest.h>

#include "common/sha256.h"

namespace espalier {
namespace {

TEST(Files, AtomicWriteReplacesTheWholeFile) {
  auto folder = TempDir::create();
  ASSERT_TRUE(folder.ok()) << folder.status();
  const auto path = folder->path() / "file";
  ASSERT_TRUE(write_file_atomic(path, "a long first version").ok());
  ASSERT_TRUE(write_file_atomic(path, "short").ok());
  EXPECT_EQ(*read_file(path), "short");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder->path()), {}), 1) << "a temporary file was left";
}

TEST(Files, WritingIntoAMissingFolderNamesThePath) {
  const auto status = write_file_atomic("/nonexistent-folder/file", "x");
  ASSERT_FALSE(status.ok());
  EXPECT_NE(std::string(status.message()).find("/nonexistent-folder/file"), std::string::npos);
}

TEST(Files, ReadRefusesMoreThanTheLimit) {
  auto folder = TempDir::create();
  ASSERT_TRUE(folder.ok());
  ASSERT_TRUE(write_file_atomic(folder->path() / "file", "12345").ok());
  EXPECT_TRUE(absl::IsResourceExhausted(read_file(folder->path() / "file", 4).status()));
  EXPECT_TRUE(absl::IsNotFound(read_file(folder->path() / "absent").status()));
}

TEST(TempDir, IsRemovedWithItsContent) {
  std::filesystem::path path;
  {
    auto folder = TempDir::create();
    ASSERT_TRUE(folder.ok());
    path = folder->path();
    ASSERT_TRUE(write_file_atomic(path / "file", "x").ok());
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(Sha256, GivesTheKnownAnswers) {
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

}  // namespace
}  // namespace espalier

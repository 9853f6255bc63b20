#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "archive/extract.h"
#include "archive/zip_reader.h"
#include "archive/zip_writer.h"
#include "common/files.h"
#include "tests/archive/raw_zip.h"

namespace espalier::archive {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;

class ZipRoundTrip : public ::testing::Test {
 protected:
  fs::path at(const char* name) const { return folder_->path() / name; }
  Result<TempDir> folder_ = TempDir::create("zip_test");
};

std::vector<std::string> names_of(const std::vector<ExtractedFile>& files) {
  std::vector<std::string> names;
  for (const auto& file : files) names.push_back(file.name);
  return names;
}

TEST_F(ZipRoundTrip, GivesBackWhatWasWritten) {
  ZipWriter writer;
  std::string big(3 << 20, 'x');
  for (size_t i = 0; i < big.size(); ++i) big[i] = static_cast<char>(i * 2654435761u >> 13);
  ASSERT_TRUE(write_file_atomic(at("big.bin"), big).ok());
  ASSERT_TRUE(writer.add_bytes("z/last.json", "{}").ok());
  ASSERT_TRUE(writer.add_file("b/big.bin", at("big.bin")).ok());
  ASSERT_TRUE(writer.add_bytes("a.png", "stored").ok());
  ASSERT_TRUE(writer.add_bytes("empty.csv", "").ok());
  ASSERT_TRUE(writer.finish(at("out.zip")).ok());
  const auto files = extract(at("out.zip"), at("tree"));
  ASSERT_TRUE(files.ok()) << files.status();
  EXPECT_THAT(names_of(*files), ElementsAre("a.png", "b/big.bin", "empty.csv", "z/last.json"));
  EXPECT_EQ(*read_file(at("tree") / "b" / "big.bin"), big);
  EXPECT_EQ(*read_file(at("tree") / "a.png"), "stored");
  struct stat info {};
  ASSERT_EQ(::stat((at("tree") / "a.png").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(ZipRoundTrip, SameContentGivesSameBytesInAnyOrder) {
  ZipWriter first, second;
  ASSERT_TRUE(first.add_bytes("a.csv", "1").ok() && first.add_bytes("b.csv", "2").ok());
  ASSERT_TRUE(second.add_bytes("b.csv", "2").ok() && second.add_bytes("a.csv", "1").ok());
  ASSERT_TRUE(first.finish(at("1.zip")).ok() && second.finish(at("2.zip")).ok());
  EXPECT_EQ(*read_file(at("1.zip")), *read_file(at("2.zip")));
}

TEST_F(ZipRoundTrip, RefusesBadNamesAndDuplicates) {
  ZipWriter writer;
  for (const char* name : {"", "/a", "../a", "a/", "a\\b", "C:x"})
    EXPECT_FALSE(writer.add_bytes(name, "").ok()) << name;
  ASSERT_TRUE(writer.add_bytes("a", "").ok() && writer.add_bytes("a", "").ok());
  EXPECT_EQ(writer.finish(at("x.zip")).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_FALSE(fs::exists(at("x.zip")));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_->path()), fs::directory_iterator()), 0);
}

TEST_F(ZipRoundTrip, WritesMoreEntriesThanTheOldFormatCounts) {
  ZipWriter writer;
  for (int i = 0; i < 70'000; ++i) ASSERT_TRUE(writer.add_bytes(std::to_string(i) + ".png", "x").ok());
  ASSERT_TRUE(writer.finish(at("many.zip")).ok());
  const auto reader = ZipReader::open(at("many.zip"));
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ((*reader)->entries().size(), 70'000u);
}

TEST_F(ZipRoundTrip, ExtractsOnlyWhatIsWanted) {
  ZipWriter writer;
  ASSERT_TRUE(writer.add_bytes("a.glb", "1").ok() && writer.add_bytes("b.txt", "2").ok());
  ASSERT_TRUE(writer.finish(at("x.zip")).ok());
  const auto files = extract(at("x.zip"), at("tree"), {{}, [](std::string_view n) { return n.ends_with(".glb"); }});
  ASSERT_TRUE(files.ok());
  EXPECT_THAT(names_of(*files), ElementsAre("a.glb"));
  EXPECT_FALSE(fs::exists(at("tree") / "b.txt"));
}

TEST_F(ZipRoundTrip, StopsWhenAsked) {
  ZipWriter writer;
  ASSERT_TRUE(writer.add_bytes("a.glb", "1").ok());
  ASSERT_TRUE(writer.finish(at("x.zip")).ok());
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(extract(at("x.zip"), at("tree"), {}, stop.get_token()).status().code(), absl::StatusCode::kCancelled);
}

TEST_F(ZipRoundTrip, ReadsFromManyThreads) {
  ZipWriter writer;
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(writer.add_bytes("s" + std::to_string(i) + ".png", std::string(1000 + i, 'p')).ok());
    ASSERT_TRUE(writer.add_bytes("d" + std::to_string(i) + ".csv", std::string(1000 + i, 'c')).ok());
  }
  ASSERT_TRUE(writer.finish(at("x.zip")).ok());
  const auto reader = ZipReader::open(at("x.zip"));
  ASSERT_TRUE(reader.ok());
  std::vector<std::thread> threads;
  std::atomic<int> good = 0;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (const Entry& entry : (*reader)->entries()) good += (*reader)->read(entry, 1 << 20).ok() ? 1 : 0;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(good, 400);
}

TEST_F(ZipRoundTrip, ReadsNamesOfOldTools) {
  testing::RawEntry entry;
  entry.name =
      "M\x94"
      "bel\\stuhl.glb";  // code page 437, backslash
  ASSERT_TRUE(write_file_atomic(at("old.zip"), testing::RawZip{{entry}, {}, {}}.bytes()).ok());
  const auto reader = ZipReader::open(at("old.zip"));
  ASSERT_TRUE(reader.ok()) << reader.status();
  EXPECT_EQ((*reader)->entries()[0].name,
            "M\xc3\xb6"
            "bel/stuhl.glb");
}

TEST_F(ZipRoundTrip, ReadsStreamedEntriesWithDescriptors) {
  testing::RawEntry entry;
  entry.flags = 8;
  testing::put(entry.descriptor, 0x08074b50, 4);
  testing::put(entry.descriptor, testing::crc_of("content"), 4);
  testing::put(entry.descriptor, 7, 4);
  testing::put(entry.descriptor, 7, 4);
  ASSERT_TRUE(write_file_atomic(at("stream.zip"), testing::RawZip{{entry}, {}, {}}.bytes()).ok());
  EXPECT_TRUE(extract(at("stream.zip"), at("tree")).ok());
}

TEST_F(ZipRoundTrip, AcceptsAnEmptyArchive) {
  ASSERT_TRUE(write_file_atomic(at("empty.zip"), testing::RawZip{}.bytes()).ok());
  const auto files = extract(at("empty.zip"), at("tree"));
  ASSERT_TRUE(files.ok()) << files.status();
  EXPECT_TRUE(files->empty());
}

TEST_F(ZipRoundTrip, ZipsAFolderWithoutHiddenFiles) {
  fs::create_directories(at("in") / ".git");
  ASSERT_TRUE(write_file_atomic(at("in") / "a.glb", "1").ok());
  ASSERT_TRUE(write_file_atomic(at("in") / ".DS_Store", "1").ok());
  ASSERT_TRUE(write_file_atomic(at("in") / ".git" / "config", "1").ok());
  ASSERT_TRUE(zip_folder(at("in"), at("x.zip")).ok());
  EXPECT_THAT(names_of(*extract(at("x.zip"), at("tree"))), ElementsAre("a.glb"));
  fs::create_symlink("/etc/passwd", at("in") / "link.glb");
  EXPECT_EQ(zip_folder(at("in"), at("y.zip")).code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace espalier::archive

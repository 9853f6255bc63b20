#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>

#include "archive/extract.h"
#include "archive/zip_reader.h"
#include "common/files.h"
#include "tests/archive/raw_zip.h"

namespace espalier::archive {
namespace {

using ::testing::HasSubstr;
using testing::RawEntry;
using testing::RawZip;

class Archive : public ::testing::Test {
 protected:
  Status extract_bytes(const std::string& bytes, const Limits& limits = {}) {
    const auto zip = folder_->path() / "in.zip";
    EXPECT_TRUE(write_file_atomic(zip, bytes).ok());
    std::filesystem::remove_all(folder_->path() / "out");
    return extract(zip, folder_->path() / "out", {limits, {}}).status();
  }
  Result<TempDir> folder_ = TempDir::create("archive_test");
};

RawZip one(RawEntry entry) { return RawZip{{std::move(entry)}, {}, {}}; }

struct Bad {
  const char* title;
  RawZip zip;
  const char* message;
  absl::StatusCode code = absl::StatusCode::kInvalidArgument;
};

RawEntry named(std::string name) {
  RawEntry entry;
  entry.name = std::move(name);
  return entry;
}

TEST_F(Archive, RefusesNamesThatCouldLeaveTheFolder) {
  const std::vector<std::pair<std::string, const char*>> rows = {
      {"../evil.glb", "'..'"},
      {"a/../../evil.glb", "'..'"},
      {"..\\evil.glb", "'..'"},
      {"a/./b.glb", "'.'"},
      {"/etc/passwd", "absolute"},
      {"\\\\server\\share\\a.glb", "absolute"},
      {"C:/a.glb", "drive letter"},
      {"c:a.glb", "drive letter"},
      {"a//b.glb", "empty component"},
      {std::string("a\0.glb", 6), "control character"},
      {"a\nb.glb", "control character"},
      {"NUL", "reserved"},
      {"dir/com1.glb", "reserved"},
      {"a.glb.", "dot or space"},
      {"a /b.glb", "dot or space"},
      {std::string(300, 'a') + "/../" + std::string(300, 'b'), "longer than 512"},
      {"1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17.glb", "components"},
      {"", "empty"},
  };
  for (const auto& [name, message] : rows) {
    const Status status = extract_bytes(one(named(name)).bytes());
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << name << ": " << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(message)) << name;
  }
  EXPECT_FALSE(std::filesystem::exists(folder_->path() / "evil.glb"));
  EXPECT_FALSE(std::filesystem::exists(folder_->path().parent_path() / "evil.glb"));
}

RawEntry with(void (*change)(RawEntry&)) {
  RawEntry entry;
  change(entry);
  return entry;
}

std::vector<Bad> hostile_archives() {
  const auto crc = static_cast<int64_t>(testing::crc_of("content"));
  std::vector<Bad> rows = {
      {"symbolic link", one(with([](RawEntry& e) { e.attributes = 0120777u << 16; })), "symbolic link"},
      {"device", one(with([](RawEntry& e) { e.attributes = 0020666u << 16; })), "device"},
      {"encrypted", one(with([](RawEntry& e) { e.flags = 1; })), "encrypted"},
      {"strong encryption", one(with([](RawEntry& e) { e.flags = 1 << 6; })), "encrypted"},
      {"AES", one(with([](RawEntry& e) { e.method = 99; })), "compression method 99"},
      {"LZMA", one(with([](RawEntry& e) { e.method = 14; })), "compression method 14"},
      {"wrong CRC, stored", one(with([](RawEntry& e) { e.crc = 1; })), "CRC"},
      {"wrong CRC, deflated", one(with([](RawEntry& e) { e.crc = 1, e.deflate = true; })), "CRC"},
      {"other local name", one(with([](RawEntry& e) { e.local_name = "b.glb"; })), "disagree about the name"},
      {"other local size", one(with([](RawEntry& e) { e.local_bytes = 8; })), "disagree about the size"},
      {"other local method", one(with([](RawEntry& e) { e.local_method = 8; })), "disagree about the method"},
      {"no local header", one(with([](RawEntry& e) { e.local_offset = 3; })), "no local header"},
      {"outside", one(with([](RawEntry& e) { e.local_offset = 1 << 20; })), "outside the archive"},
      {"stored sizes differ", one(with([](RawEntry& e) { e.bytes = 8; })), "two sizes differ"},
      {"more than declared", one(with([](RawEntry& e) { e.deflate = true, e.bytes = 3; })),
       "more bytes than it declares"},
      {"less than declared", one(with([](RawEntry& e) { e.deflate = true, e.bytes = 9; })), "fewer bytes"},
      {"broken deflate", one(with([](RawEntry& e) { e.deflate = true, e.payload = "\xff\xff\xff"; })), "damaged"},
      {"wrong descriptor", one(with([](RawEntry& e) { e.flags = 8, e.descriptor = std::string(16, 'x'); })),
       "descriptor"},
      {"folder with content", one(named("folder/")), "folder with content"},
      {"zip64 without values", one(with([](RawEntry& e) { e.bytes = 0xFFFFFFFF; })), "zip64"},
      {"duplicate", {{named("a.glb"), named("a.glb")}, {}, {}}, "same name"},
      {"duplicate by case", {{named("A.glb"), named("a.GLB")}, {}, {}}, "same name"},
      {"duplicate by composition", {{named("\xc3\xa9.glb"), named("e\xcc\x81.glb")}, {}, {}}, "same name"},
      {"duplicate by folding",
       {{named("stra\xc3\x9f"
               "e.glb"),
         named("STRASSE.glb")},
        {},
        {}},
       "same name"},
      {"file as folder", {{named("a"), named("a/b.glb")}, {}, {}}, "inside an entry that is a file"},
      {"long prefix", {{named("a.glb")}, std::string((1 << 20) + 1, 'x'), {}}, "in front of its first entry"},
      {"too many announced", {{named("a.glb")}, {}, {}, 2}, "directory"},
      {"too few announced", {{named("a.glb"), named("b.glb")}, {}, {}, 1}, "longer than"},
  };
  RawEntry overlap = named("b.glb");
  overlap.local_offset = 0, overlap.local_name = "b.glb", overlap.crc = crc;
  rows.push_back({"overlapping entries", {{named("a.glb"), overlap}, {}, {}}, "overlaps"});
  return rows;
}

TEST_F(Archive, RefusesHostileStructuresNamingTheRule) {
  for (const Bad& bad : hostile_archives()) {
    const Status status = extract_bytes(bad.zip.bytes());
    EXPECT_EQ(status.code(), bad.code) << bad.title << ": " << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(bad.message)) << bad.title;
  }
}

TEST_F(Archive, RefusesQuotedOverlap) {
  // One entry whose data holds the local header of the next: each is inflated from the same bytes.
  const std::string inner = one(named("b.glb")).bytes().substr(0, 30 + 5 + 7);
  RawEntry outer = named("a.glb");
  outer.content = inner;
  RawEntry quoted = named("b.glb");
  quoted.local_offset = 30 + 5;
  EXPECT_THAT(std::string(extract_bytes(RawZip{{outer, quoted}, {}, {}}.bytes()).message()), HasSubstr("overlaps"));
}

TEST_F(Archive, RefusesFilesThatAreNoZip) {
  const std::string good = one(named("a.glb")).bytes();
  EXPECT_THAT(std::string(extract_bytes("").message()), HasSubstr("not a zip"));
  EXPECT_THAT(std::string(extract_bytes("glTF, not a zip at all, but long enough").message()), HasSubstr("not a zip"));
  for (size_t cut = 1; cut < good.size(); ++cut) EXPECT_FALSE(extract_bytes(good.substr(0, cut)).ok()) << cut;
  EXPECT_FALSE(extract_bytes(good + "x").ok());
  const std::string two_ends = one(named("a.glb")).bytes();
  RawZip commented = one(named("a.glb"));
  commented.comment = RawZip{}.bytes();
  EXPECT_THAT(std::string(extract_bytes(commented.bytes()).message()), HasSubstr("two end records"));
}

TEST_F(Archive, SurvivesEveryFlippedByte) {
  RawEntry deflated = named("b/c.obj");
  deflated.deflate = true, deflated.content = std::string(300, 'v');
  const std::string good = RawZip{{named("a.glb"), deflated}, {}, {}}.bytes();
  ASSERT_TRUE(extract_bytes(good).ok());
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 0xFF);
    extract_bytes(bad).IgnoreError();  // any answer, but no crash and nothing outside
  }
}

TEST_F(Archive, HoldsToLoweredLimits) {
  RawEntry zeros = named("zeros.obj");
  zeros.deflate = true, zeros.content = std::string(1 << 20, '\0');
  const std::string zip = RawZip{{zeros, named("a.glb")}, {}, {}}.bytes();
  const auto code = [&](void (*change)(Limits&)) {
    Limits limits;
    change(limits);
    return extract_bytes(zip, limits).code();
  };
  EXPECT_EQ(code([](Limits&) {}), absl::StatusCode::kOk);
  EXPECT_EQ(code([](Limits& l) { l.max_archive_bytes = 100; }), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(code([](Limits& l) { l.max_entries = 1; }), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(code([](Limits& l) { l.max_entry_bytes = 1 << 19; }), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(code([](Limits& l) { l.max_total_bytes = 1 << 19; }), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(code([](Limits& l) { l.ratio_free_bytes = 1 << 10; }), absl::StatusCode::kResourceExhausted);
}

// Ten gigabytes of zeros, deflated by concatenating one compressed block; the whole archive is about ten megabytes.
std::string zeros_bomb(uint64_t declared) {
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string zeros(64 << 20, '\0'), block(1 << 20, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(zeros.data());
  stream.avail_in = static_cast<uInt>(zeros.size());
  stream.next_out = reinterpret_cast<Bytef*>(block.data());
  stream.avail_out = static_cast<uInt>(block.size());
  deflate(&stream, Z_FULL_FLUSH);
  block.resize(stream.total_out);
  deflateEnd(&stream);
  RawEntry entry = named("zeros.obj");
  entry.deflate = true, entry.content = "";
  for (int i = 0; i < 160; ++i) entry.payload += block;
  entry.bytes = static_cast<int64_t>(std::min<uint64_t>(declared, 0xFFFFFFFF));
  if (declared > 0xFFFFFFFF) {
    testing::put(entry.extra, 1, 2);
    testing::put(entry.extra, 8, 2);
    testing::put(entry.extra, declared, 8);
  }
  return one(entry).bytes();
}

TEST_F(Archive, RefusesTenGigabytesOfZeros) {
  const Status honest = extract_bytes(zeros_bomb(uint64_t{10} << 30));
  EXPECT_EQ(honest.code(), absl::StatusCode::kResourceExhausted) << honest;
  const Status lying = extract_bytes(zeros_bomb(1 << 20));
  EXPECT_EQ(lying.code(), absl::StatusCode::kInvalidArgument) << lying;
  EXPECT_THAT(std::string(lying.message()), HasSubstr("more bytes than it declares"));
  const auto written = folder_->path() / "out" / "zeros.obj";
  EXPECT_LE(std::filesystem::file_size(written), 1u << 20);
}

}  // namespace
}  // namespace espalier::archive

#include "dataset/npz.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace espalier::dataset {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string npy(const std::string& header, const std::string& payload, char major = 1) {
  std::string out = "\x93NUMPY";
  out += major;
  out += '\0';
  out += static_cast<char>(header.size());
  out += static_cast<char>(header.size() >> 8);
  if (major == 2) out += std::string(2, '\0');
  return out + header + payload;
}

TEST(Npy, GivesBackWhatWasWritten) {
  const std::vector<float> values = {1, -2.5f, 3e-30f, 4, 5, 6};
  const auto array = read_npy(write_npy(make_array(std::span(values), {2, 3})));
  ASSERT_TRUE(array.ok()) << array.status();
  EXPECT_EQ(array->shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(*array->floats(), values);
}

TEST(Npy, AlignsTheDataLikeNumpy) {
  const std::vector<uint8_t> values = {1, 2, 3};
  EXPECT_EQ(write_npy(make_array(std::span(values), {3})).size(), 128u + 3);
}

TEST(Npy, ReadsWhatNumpyWrites) {
  const std::string header = "{'descr': '<f2', 'fortran_order': False, 'shape': (3,), }\n";
  const auto array = read_npy(npy(header, std::string("\x00\x3c\x00\xc0\x01\x00", 6)));
  ASSERT_TRUE(array.ok()) << array.status();
  EXPECT_THAT(*array->floats(), ElementsAre(1.0f, -2.0f, 5.9604645e-08f));
  EXPECT_TRUE(read_npy(npy(header, std::string(6, '\0'), 2)).ok());
}

TEST(Npy, TurnsFortranOrderAround) {
  const auto array = read_npy(npy("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }", "adbecf"));
  ASSERT_TRUE(array.ok()) << array.status();
  EXPECT_EQ(array->bytes, "abcdef");
}

TEST(Npy, RefusesEverythingElse) {
  const std::string good = "{'descr': '|u1', 'fortran_order': False, 'shape': (2,), }";
  ASSERT_TRUE(read_npy(npy(good, "ab")).ok());
  const std::vector<std::pair<std::string, const char*>> rows = {
      {"", "not an npy"},
      {"\x93NUMPY", "not an npy"},
      {npy(good, "ab", 3), "version"},
      {npy(good, "a"), "has 1 bytes"},
      {npy(good, "abc"), "has 3 bytes"},
      {npy("{'descr': '|O', 'fortran_order': False, 'shape': (2,), }", "ab"), "dtype"},
      {npy("{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }", "abcd"), "dtype"},
      {npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", "abcd"), "descr is malformed"},
      {npy("{'descr': '|u1', 'fortran_order': 0, 'shape': (2,), }", "ab"), "fortran_order is malformed"},
      {npy("{'descr': '|u1', 'fortran_order': False, 'shape': (-2,), }", "ab"), "shape is malformed"},
      {npy("{'descr': '|u1', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,2), }", "ab"), "shape is malformed"},
      {npy("{'descr': '|u1', 'fortran_order': False, 'shape': __import__('os'), }", "ab"), "shape is malformed"},
      {npy("{'descr': '|u1', 'fortran_order': False, }", "ab"), "incomplete"},
      {npy("{'descr': '|u1', 'descr': '|u1', 'fortran_order': False, 'shape': (2,), }", "ab"), "twice"},
      {npy("{'descr': '|u1', 'fortran_order': False, 'shape': (2,), 'x': 'y'}", "ab"), "unknown key"},
      {npy(good + "x", "ab"), "trailing"},
      {npy("{'descr': '|u1'", "ab"), "malformed"},
  };
  for (const auto& [file, message] : rows) {
    const auto array = read_npy(file);
    ASSERT_FALSE(array.ok()) << message;
    EXPECT_EQ(array.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(array.status().message()), HasSubstr(message));
  }
}

TEST(Npy, RefusesShapesThatOverflowOrExceedTheLimit) {
  const std::string huge = "{'descr': '<f8', 'fortran_order': False, 'shape': (4294967296, 4294967296, 2), }";
  EXPECT_EQ(read_npy(npy(huge, "")).status().code(), absl::StatusCode::kResourceExhausted);
  const std::string large = "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000,), }";
  EXPECT_EQ(read_npy(npy(large, ""), {1 << 20}).status().code(), absl::StatusCode::kResourceExhausted);
}

TEST(Npz, GivesBackWhatWasWrittenWithTheSameBytes) {
  const std::vector<float> z = {1, 2, 3, 4};
  const std::vector<uint8_t> coords = {1, 2, 3};
  const std::map<std::string, Array> arrays = {{"z", make_array(std::span(z), {2, 2})},
                                               {"coords", make_array(std::span(coords), {1, 3})}};
  const auto first = write_npz(arrays);
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(*first, *write_npz(arrays));
  const auto read = read_npz(*first);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read->at("z").floats(), z);
  EXPECT_EQ(*read->at("coords").u8(), coords);
  EXPECT_FALSE(read->at("coords").floats().ok());
}

TEST(Npz, RefusesDamagedFiles) {
  const std::vector<float> z = {1, 2, 3, 4};
  const std::string good = *write_npz({{"z", make_array(std::span(z), {4})}});
  EXPECT_FALSE(read_npz("").ok());
  EXPECT_FALSE(read_npz(good.substr(0, good.size() / 2)).ok());
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 0x55);
    read_npz(bad).status().IgnoreError();  // any answer, but no crash
  }
}

}  // namespace
}  // namespace espalier::dataset

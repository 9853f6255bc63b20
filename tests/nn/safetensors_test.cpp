#include "nn/io/safetensors.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include <fstream>
#include <sstream>

#include "common/files.h"

namespace espalier::nn {
namespace {

std::string file_bytes(const std::string& header, size_t data_bytes) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<char>(uint64_t{header.size()} >> (8 * i) & 0xff));
  return bytes + header + std::string(data_bytes, '\0');
}

class SafetensorsTest : public testing::Test {
 protected:
  void SetUp() override {
    auto folder = TempDir::create("safetensors");
    ASSERT_TRUE(folder.ok());
    folder_ = std::make_unique<TempDir>(*std::move(folder));
  }
  std::filesystem::path path() const { return folder_->path() / "file.safetensors"; }
  Result<SafetensorsFile> open_bytes(const std::string& bytes, const SafetensorsLimits& limits = {}) {
    std::ofstream(path(), std::ios::binary) << bytes;
    return SafetensorsFile::open(path(), limits);
  }

  std::unique_ptr<TempDir> folder_;
};

struct BadHeader {
  const char* what;
  const char* header;
  size_t data_bytes;
  const char* message;  // part of the error
};

TEST_F(SafetensorsTest, RejectsEveryMalformedHeaderWithItsReason) {
  const BadHeader rows[] = {
      {"not JSON", "{nope", 0, "not valid JSON"},
      {"an array", "[]", 0, "start with '{'"},
      {"leading blank", " {}", 0, "start with '{'"},
      {"text after the object", "{}{}", 0, "not valid JSON"},
      {"tensor is a number", R"({"a":1})", 0, "number is not allowed"},
      {"name twice",
       R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
       1, "appears twice"},
      {"field twice", R"({"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1, "appears twice"},
      {"unknown field", R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":"y"}})", 1, "unknown field"},
      {"shape missing", R"({"a":{"dtype":"U8","data_offsets":[0,1]}})", 1, "required"},
      {"dtype unknown", R"({"a":{"dtype":"F8","shape":[1],"data_offsets":[0,1]}})", 1, "unknown dtype"},
      {"dtype an array", R"({"a":{"dtype":[1],"shape":[1],"data_offsets":[0,1]}})", 1, "array is not allowed"},
      {"shape a text", R"({"a":{"dtype":"U8","shape":"1","data_offsets":[0,1]}})", 1, "array of numbers"},
      {"negative side", R"({"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}})", 1, "negative"},
      {"fractional side", R"({"a":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}})", 1, "fraction"},
      {"side above 2^53", R"({"a":{"dtype":"U8","shape":[9007199254740993],"data_offsets":[0,1]}})", 1, "2^53"},
      {"shape overflows", R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}})", 4,
       "overflow"},
      {"nine dimensions", R"({"a":{"dtype":"U8","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,1]}})", 1, "dimensions"},
      {"one offset", R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0]}})", 1, "two numbers"},
      {"end before begin", R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[1,0]}})", 1, "outside"},
      {"beyond the file", R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})", 1, "outside"},
      {"size mismatch", R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,2]}})", 2, "match"},
      {"overlap",
       R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})",
       3, "overlap"},
      {"hole",
       R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}})",
       3, "hole"},
      {"hole at the start", R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})", 2, "hole"},
      {"bytes nobody owns", R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 2, "covers"},
      {"metadata not text", R"({"__metadata__":{"a":1}})", 0, "not allowed"},
      {"metadata nested", R"({"__metadata__":{"a":{"b":"c"}}})", 0, "too deep"},
      {"deep nesting", R"({"a":{"dtype":{"x":{"y":{}}}}})", 0, "too deep"},
      {"nested array", R"({"a":{"dtype":"U8","shape":[[1]],"data_offsets":[0,1]}})", 1, "not allowed"},
      {"null", R"({"a":null})", 0, "null"},
      {"empty name", R"({"":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1, "empty"},
  };
  for (const auto& row : rows) {
    const auto file = open_bytes(file_bytes(row.header, row.data_bytes));
    ASSERT_FALSE(file.ok()) << row.what;
    EXPECT_EQ(file.status().code(), absl::StatusCode::kDataLoss) << row.what;
    EXPECT_NE(std::string(file.status().message()).find(row.message), std::string::npos)
        << row.what << ": " << file.status();
    EXPECT_NE(std::string(file.status().message()).find("file.safetensors"), std::string::npos) << row.what;
  }
}

TEST_F(SafetensorsTest, RejectsLengthsThatDoNotFitTheFile) {
  EXPECT_FALSE(open_bytes("").ok());
  EXPECT_FALSE(open_bytes("1234567").ok());
  EXPECT_FALSE(open_bytes(std::string(8, '\xff') + "{}").ok());
  std::string longer = file_bytes("{}", 0);
  longer[0] = 3;
  EXPECT_FALSE(open_bytes(longer).ok());
  SafetensorsLimits small;
  small.header_bytes = 16;
  const auto file = open_bytes(file_bytes(std::string("{}") + std::string(30, ' '), 0), small);
  EXPECT_EQ(file.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(SafetensorsFile::open(folder_->path() / "absent").status().code(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(SafetensorsFile::open(folder_->path()).ok());
}

TEST_F(SafetensorsTest, BoundsNamesAndMetadata) {
  const std::string name(600, 'n'), value(70 << 10, 'v');
  EXPECT_FALSE(
      open_bytes(file_bytes(R"({")" + name + R"(":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1)).ok());
  EXPECT_FALSE(open_bytes(file_bytes(R"({"__metadata__":{"a":")" + value + R"("}})", 0)).ok());
}

TEST_F(SafetensorsTest, ListsComplexTensorsWithoutLoadingThem) {
  const auto file = open_bytes(file_bytes(
      R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"rope_phases":{"dtype":"C64","shape":[1,2],"data_offsets":[8,24]}})",
      24));
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_TRUE(file->contains("rope_phases"));
  EXPECT_EQ(file->tensor("rope_phases").status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(file->tensors()->size(), 1u);
}

TEST_F(SafetensorsTest, GivesBackWhatWasWritten) {
  TensorMap tensors{{"f32", torch::randn({3, 5})},
                    {"bf16", torch::randn({7}).to(at::kBFloat16)},
                    {"f16", torch::randn({2, 2}).to(at::kHalf)},
                    {"i32", torch::arange(5, at::kInt)},
                    {"bool", torch::arange(3, at::kInt).eq(1)},
                    {"scalar", torch::full({}, 2.5)},
                    {"empty", torch::zeros({0, 4})},
                    {"transposed", torch::randn({3, 4}).t()}};
  ASSERT_TRUE(write_safetensors(path(), tensors, {{"format", "pt"}, {"ä\"", "\n"}}).ok());
  const auto file = SafetensorsFile::open(path());
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->metadata().at("ä\""), "\n");
  EXPECT_EQ(file->names().size(), tensors.size());
  for (const auto& [name, tensor] : tensors) {
    const auto read = file->tensor(name);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(read->scalar_type(), tensor.scalar_type()) << name;
    EXPECT_TRUE(read->equal(tensor)) << name;
  }
}

TEST_F(SafetensorsTest, WritesSortedNamesAndAPaddedHeader) {
  ASSERT_TRUE(write_safetensors(path(), {{"b", torch::zeros({1})}, {"a", torch::ones({1})}}).ok());
  const auto bytes = read_file(path());
  ASSERT_TRUE(bytes.ok());
  const auto header_bytes = static_cast<unsigned char>((*bytes)[0]);
  EXPECT_EQ(header_bytes % 8, 0);
  EXPECT_EQ(bytes->size(), 8u + header_bytes + 8u);
  EXPECT_LT(bytes->find("\"a\""), bytes->find("\"b\""));
}

TEST_F(SafetensorsTest, ViewsOutliveTheFileObject) {
  ASSERT_TRUE(write_safetensors(path(), {{"a", torch::full({4096}, 3.0F)}}).ok());
  at::Tensor view;
  {
    const auto file = SafetensorsFile::open(path());
    ASSERT_TRUE(file.ok());
    view = *file->tensor("a");
  }
  EXPECT_EQ(view.sum().item<float>(), 3.0F * 4096);
}

TEST_F(SafetensorsTest, RejectsABooleanThatIsNeitherZeroNorOne) {
  std::string bytes = file_bytes(R"({"a":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]}})", 1);
  bytes.back() = 7;
  const auto file = open_bytes(bytes);
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(file->tensor("a").status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(SafetensorsTest, RefusesToWriteWhatTheFormatLacks) {
  EXPECT_FALSE(write_safetensors(path(), {{"c", torch::zeros({1}, at::kComplexFloat)}}).ok());
  EXPECT_FALSE(write_safetensors(path(), {{"__metadata__", torch::zeros({1})}}).ok());
  EXPECT_FALSE(write_safetensors(path(), {{"a", torch::zeros({1})}}, {{"k", "\xff"}}).ok());
}

}  // namespace
}  // namespace espalier::nn

#include "common/base_description.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "common/files.h"

namespace espalier {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class DescribeBase : public testing::Test {
 protected:
  Result<BaseDescription> describe(const std::string& about, const std::string& pipeline) {
    EXPECT_TRUE(write_file_atomic(folder_.path() / "espalier.json", about).ok());
    EXPECT_TRUE(write_file_atomic(folder_.path() / "pipeline.json", pipeline).ok());
    return describe_base(folder_.path());
  }
  std::vector<Denoiser> denoisers(const std::string& models) {
    return describe(R"({"name": "tiny"})", absl::StrCat(R"({"args": {"models": )", models, "}}"))->denoisers;
  }

  TempDir folder_ = *TempDir::create("describe_base");
};

TEST(DefaultLearningRate, IsWhatTheBaseRecommends) {
  EXPECT_EQ(default_learning_rate(2e-3), 2e-3);
  EXPECT_EQ(default_learning_rate(std::nullopt), 1e-4);
  EXPECT_EQ(default_learning_rate(0), 1e-4);
  EXPECT_EQ(default_learning_rate(0.5), 1e-2) << "no more than a training may have";
  EXPECT_EQ(default_learning_rate(1e-9), 1e-6);
}

TEST_F(DescribeBase, TellsNameTiersAndLearningRate) {
  const auto base = describe(R"({"name": "tiny", "tiers": [512, 1024], "recommended_learning_rate": 0.002})", "{}");
  ASSERT_TRUE(base.ok()) << base.status();
  EXPECT_EQ(base->name, "tiny");
  EXPECT_THAT(base->resolutions, ElementsAre(512, 1024));
  EXPECT_EQ(base->recommended_learning_rate, 0.002);
  EXPECT_THAT(base->denoisers, IsEmpty());
}

TEST_F(DescribeBase, NamesTheDenoisersWhoseNetworksTheBaseHas) {
  EXPECT_THAT(denoisers(R"({"sparse_structure_flow_model": "a", "sparse_structure_decoder": "b"})"),
              ElementsAre(Denoiser::kSparseStructure));
  EXPECT_THAT(denoisers(R"({"shape_slat_flow_model_1024": "a", "shape_slat_flow_model_512": "b",
                            "sparse_structure_flow_model": "c", "tex_slat_decoder": "d"})"),
              ElementsAre(Denoiser::kSparseStructure, Denoiser::kGeometry));
  EXPECT_THAT(denoisers(R"({"shape_slat_flow_model_512": "a", "tex_slat_flow_model_1024": "b",
                            "tex_slat_flow_model_512": "c"})"),
              ElementsAre(Denoiser::kGeometry, Denoiser::kTexture));
  EXPECT_THAT(denoisers(R"({"shape_slat_flow_model_1024": "a"})"), ElementsAre(Denoiser::kGeometry));
  for (const char* models : {"3", "[]", "\"x\"", "null"}) EXPECT_THAT(denoisers(models), IsEmpty()) << models;
}

TEST_F(DescribeBase, NamesTheFileThatIsWrong) {
  EXPECT_THAT(std::string(describe(R"({"name": 3})", "{}").status().message()),
              HasSubstr("espalier.json: has no name"));
  EXPECT_THAT(std::string(describe("[]", "{}").status().message()), HasSubstr("espalier.json: not a JSON object"));
  EXPECT_THAT(std::string(describe(R"({"name": "x"})", "}").status().message()), HasSubstr("pipeline.json"));
}

}  // namespace
}  // namespace espalier

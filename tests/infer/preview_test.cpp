#include <set>

#include "image/codec.h"
#include "tests/infer/texture_fixture.h"

namespace espalier::infer {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::IsEmpty;
using ::testing::Key;
using ::testing::Not;

class PreviewTest : public TextureFixture {
 protected:
  static GenerateRequest with_preview(GenerateRequest request, int views = 1) {
    request.preview = PreviewSettings{64, views};
    return request;
  }

  static image::Image picture_of(const GeneratedSample& sample) {
    const auto decoded = image::decode(sample.file(FileFormat::kPreview));
    EXPECT_TRUE(decoded.ok()) << decoded.status();
    return decoded.ok() ? decoded->image : image::Image{};
  }

  static GeneratedAssets made(const GenerateRequest& request) {
    auto assets = engine_->generate(request);
    EXPECT_TRUE(assets.ok()) << assets.status();
    if (!assets.ok()) return {};
    EXPECT_THAT(assets->warnings, IsEmpty());
    return *std::move(assets);
  }
};

TEST_F(PreviewTest, ShowsTheObjectBesideItsFiles) {
  const GeneratedAssets plain = made(glb_request()), shown = made(with_preview(glb_request(), 3));
  ASSERT_EQ(shown.samples.at(0).files.size(), 2u);
  EXPECT_EQ(shown.samples[0].files[1].format, FileFormat::kPreview) << "after the model files";
  EXPECT_EQ(shown.samples[0].file(FileFormat::kGlb), plain.samples[0].file(FileFormat::kGlb));
  const image::Image picture = picture_of(shown.samples[0]);
  EXPECT_EQ(picture.width, 3 * 64);
  EXPECT_EQ(picture.height, 64);
  for (int view = 0; view < 3; ++view) {
    std::set<std::array<uint8_t, 3>> seen;
    for (int y = 0; y < 64; ++y) {
      for (int x = 0; x < 64; ++x) {
        const uint8_t* pixel = picture.at(view * 64 + x, y);
        seen.insert({pixel[0], pixel[1], pixel[2]});
      }
    }
    EXPECT_GT(seen.size(), 20u) << "view " << view << " shows nothing";
  }
  EXPECT_THAT(shown.seconds, Contains(Key("preview")));
  EXPECT_THAT(plain.seconds, Not(Contains(Key("preview"))));
}

TEST_F(PreviewTest, ShowsTheTextureThatTheGlbHas) {
  GenerateRequest bare = with_preview(glb_request());
  bare.geometry_only = true;
  bare.texture_size.reset();
  const image::Image textured = picture_of(made(with_preview(glb_request())).samples.at(0));
  const image::Image grey = picture_of(made(bare).samples.at(0));
  ASSERT_EQ(textured.pixels.size(), grey.pixels.size());
  const auto colour = [](const image::Image& picture) {  // the largest difference of two channels
    int most = 0;
    for (size_t i = 0; i + 2 < picture.pixels.size(); i += 3) {
      most = std::max(most, std::abs(picture.pixels[i] - picture.pixels[i + 1]));
    }
    return most;
  };
  EXPECT_LE(colour(grey), 2);
  EXPECT_GT(colour(textured), 10);
}

TEST_F(PreviewTest, IsMadeOfEverySampleAndOfAStructure) {
  GenerateRequest two = with_preview(request("512", {FileFormat::kStl}));
  two.samples = 2;
  const GeneratedAssets pair = made(two);
  ASSERT_EQ(pair.samples.size(), 2u);
  EXPECT_NE(pair.samples[0].file(FileFormat::kPreview), pair.samples[1].file(FileFormat::kPreview));
  GenerateRequest structure = with_preview(request("", {FileFormat::kPly}));
  structure.last_stage = LastStage::kStructure;
  EXPECT_EQ(picture_of(made(structure).samples.at(0)).width, 64);
}

TEST_F(PreviewTest, IsMadeOfKeptObjectsAndOfRetexturedMeshes) {
  GenerateRequest kept = with_preview(glb_request());
  std::filesystem::create_directory(file("kept"));
  kept.state_folder = file("kept");
  const GeneratedAssets first = made(kept);
  const auto again = engine_->extract(first.samples.at(0).state, OutputOptions(kept));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->samples[0].file(FileFormat::kPreview), first.samples[0].file(FileFormat::kPreview));

  RetextureRequest retexture;
  mesh::Mesh& triangles = retexture.mesh.meshes.emplace_back();
  triangles.positions = {{1, 1, 1}, {2, 1, 1}, {1, 2, 1}, {1, 1, 2}};
  triangles.triangles = {{0, 2, 1}, {0, 1, 3}, {0, 3, 2}, {1, 2, 3}};
  triangles.material_ids.assign(4, -1);
  retexture.image = picture();
  retexture.seed = 7;
  retexture.texture_size = 64;
  retexture.preview = PreviewSettings{64, 2};
  const auto textured = engine_->retexture(retexture);
  ASSERT_TRUE(textured.ok()) << textured.status();
  EXPECT_EQ(picture_of(textured->samples.at(0)).width, 2 * 64);
  EXPECT_THAT(textured->seconds, Contains(Key("preview")));
}

TEST_F(PreviewTest, StopsBetweenTwoViews) {
  std::stop_source source;
  GenerateHooks hooks;
  hooks.stop = source.get_token();
  std::vector<std::pair<int, int>> views;
  hooks.progress = [&](std::string_view stage, int done, int total) {
    if (stage != "preview") return;
    views.emplace_back(done, total);
    source.request_stop();
  };
  EXPECT_TRUE(absl::IsCancelled(engine_->generate(with_preview(glb_request(), 4), hooks).status()));
  EXPECT_THAT(views, ElementsAre(std::pair(1, 4)));
}

TEST_F(PreviewTest, NamesTheFieldsThatAreWrong) {
  for (const auto& [size, views] : {std::pair(63, 0), std::pair(1025, 9)}) {
    GenerateRequest bad = glb_request();
    bad.preview = PreviewSettings{size, views};
    bad.formats.push_back(FileFormat::kPreview);
    std::vector<Fault> faults;
    EXPECT_TRUE(absl::IsInvalidArgument(engine_->generate(bad, {}, &faults).status()));
    EXPECT_THAT(faults, ElementsAre(Field(&Fault::field, "preview.size"), Field(&Fault::field, "preview.views"),
                                    Field(&Fault::field, "formats[1]")));
  }
}

}  // namespace
}  // namespace espalier::infer

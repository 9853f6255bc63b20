#include "evaluate/evaluation.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "common/files.h"
#include "common/philox.h"
#include "common/sha256.h"
#include "dataset/layout.h"
#include "dataset/npz.h"
#include "dataset/writer.h"
#include "evaluate/items.h"
#include "evaluate/report.h"
#include "image/codec.h"
#include "tests/infer_support/tiny_base.h"

namespace espalier::evaluate {
namespace {

namespace fs = std::filesystem;

constexpr int kCells = 4, kChannels = 8;  // of the tiny base's latents at tier 512
constexpr int kViewSide = 40;

template <class T>
T check(Result<T> result) {
  EXPECT_TRUE(result.ok()) << result.status();
  return *std::move(result);
}

// A red square on transparent ground.
std::string view_png() {
  image::Image picture{kViewSide, kViewSide, 4, std::vector<uint8_t>(kViewSide * kViewSide * 4)};
  for (int y = 8; y < 32; ++y) {
    for (int x = 8; x < 32; ++x) {
      picture.at(x, y)[0] = 200;
      picture.at(x, y)[3] = 255;
    }
  }
  return check(image::encode_png(picture));
}

// A tiny base, an adapter for each of its denoisers, and a dataset of random objects.
class Evaluate : public testing::Test {
 protected:
  Evaluate() {
    EXPECT_TRUE(infer::write_tiny_texture_base(path("base")));
    for (const char* denoiser : {"sparse_structure", "texture"}) {
      infer::TinyAdapter header;
      header.denoiser = denoiser;
      header.resolution = 512;
      EXPECT_TRUE(infer::write_tiny_adapter(path(std::string(denoiser) + ".safetensors"), 5, header));
    }
    manifest_.resolution = 512;
    manifest_.grid_scale = 1.0 / 8;
    manifest_.ss_resolution = 8;
    manifest_.render.views = 2;
    manifest_.render.size = kViewSide;
    manifest_.folders = {{"ss_latent", "ss_latents/enc_8"},
                         {"ss_occupancy", dataset::ss_occupancy_folder(8)},
                         {"shape_latent", dataset::shape_latent_folder("enc", 512)},
                         {"pbr_latent", dataset::pbr_latent_folder("enc", 512)},
                         {"render_cond", "renders_cond"}};
  }

  fs::path path(const std::string& name) const { return folder_->path() / name; }

  void add(const std::string& name, const std::string& split) {
    dataset::ObjectRecord object;
    object.sha256 = object.bundle_sha256 = sha256_hex(name);
    object.path = name + ".glb";
    object.name = name;
    object.split = split;
    for (const char* stage : {"sparse_structure", "geometry", "texture"}) object.stages[stage] = "ok";
    const std::vector<float> z(64, 0.5f);
    const std::vector<uint8_t> occupied = {1, 1, 1, 1, 1, 2, 6, 6, 6}, cells = {0, 0, 0, 1, 2, 3, 3, 3, 3};
    add_file(object, "ss_latent", {{"z", dataset::make_array(z, {8, 2, 2, 2})}});
    add_file(object, "ss_occupancy", {{"coords", dataset::make_array(occupied, {3, 3})}});
    for (const char* folder : {"shape_latent", "pbr_latent"}) {
      add_file(object, folder, {{"coords", dataset::make_array(cells, {3, 3})}, {"feats", features(name)}});
    }
    for (int view = 0; view < 2; ++view) {
      add_file(object, "renders_cond/" + object.sha256 + "/" + dataset::view_name(view), view_png());
    }
    manifest_.objects.push_back(object);
  }

  EvaluationConfig config() {
    for (const char* stage : {"sparse_structure", "geometry", "texture"}) {
      manifest_.stages[stage].ready = true;
      manifest_.stages[stage].objects = static_cast<int64_t>(manifest_.objects.size());
    }
    manifest_.source.unique_objects = manifest_.source.prepared = static_cast<int64_t>(manifest_.objects.size());
    const Status written = dataset::write_dataset(manifest_, files_, path("dataset.zip"));
    EXPECT_TRUE(written.ok()) << written;
    EvaluationConfig config;
    config.dataset = path("dataset.zip");
    config.base = path("base");
    config.view = 1;
    config.picture_size = 0;
    return config;
  }

  dataset::Manifest manifest_;

 private:
  static dataset::Array features(const std::string& name) {
    PhiloxStream random(name.size());
    std::vector<float> values;
    for (int i = 0; i < 3 * kChannels; ++i) values.push_back(static_cast<float>(random.normal()));
    return dataset::make_array(values, {3, kChannels});
  }
  void add_file(dataset::ObjectRecord& object, const std::string& folder,
                const std::map<std::string, dataset::Array>& arrays) {
    add_file(object, manifest_.folders.at(folder) + "/" + object.sha256 + ".npz", check(dataset::write_npz(arrays)));
  }
  void add_file(dataset::ObjectRecord& object, const std::string& name, const std::string& bytes) {
    const fs::path disk = path("file" + std::to_string(files_.size()));
    EXPECT_TRUE(write_file_atomic(disk, bytes).ok());
    object.files.push_back(check(dataset::record_file(name, disk)));
    files_[name] = disk;
  }

  Result<TempDir> folder_ = TempDir::create("evaluate_test");
  dataset::FilesOnDisk files_;
};

TEST_F(Evaluate, JudgesTheBaseAndItsAdapters) {
  add("a", "train");
  add("bb", "train");
  EvaluationConfig config = this->config();
  config.adapters = {path("sparse_structure.safetensors"), path("texture.safetensors")};
  config.each = true;
  config.seeds = 2;
  const EvaluationReport report = check(evaluate(config));
  ASSERT_EQ(report.candidates.size(), 4u);
  EXPECT_EQ(report.candidates[0].name, "base");
  EXPECT_EQ(report.candidates[1].name, "sparse_structure.safetensors");
  EXPECT_EQ(report.candidates[3].name, "adapters");
  EXPECT_FALSE(report.held_out_objects);
  for (const Candidate& candidate : report.candidates) {
    ASSERT_EQ(candidate.answers.size(), 2u);
    double sum = 0;
    for (const Answer& answer : candidate.answers) {
      EXPECT_GE(answer.score.structure.iou, 0);
      EXPECT_LE(answer.score.structure.iou, 1);
      ASSERT_TRUE(answer.score.shape && answer.score.color);
      EXPECT_GT(answer.score.shape->chamfer, 0);
      EXPECT_GT(answer.score.color->psnr, 0);
      sum += answer.score.shape->chamfer;
    }
    EXPECT_NEAR(candidate.mean.shape->chamfer, sum / 2, 1e-12);
  }
}

TEST_F(Evaluate, GivesTheBaseItselfAtScaleZero) {
  add("a", "train");
  EvaluationConfig config = this->config();
  config.adapters = {path("texture.safetensors")};
  config.scale = 0;
  const EvaluationReport off = check(evaluate(config));
  EXPECT_EQ(off.candidates[0].mean.color->psnr, off.candidates[1].mean.color->psnr);
  config.scale = 2;
  const EvaluationReport on = check(evaluate(config));
  EXPECT_EQ(on.candidates[0].mean.color->psnr, off.candidates[0].mean.color->psnr);
  EXPECT_NE(on.candidates[0].mean.color->psnr, on.candidates[1].mean.color->psnr);
}

TEST_F(Evaluate, PrefersObjectsThatWereHeldOut) {
  add("seen", "train");
  add("kept out", "val");
  const EvaluationReport report = check(evaluate(config()));
  EXPECT_TRUE(report.held_out_objects);
  ASSERT_EQ(report.objects.size(), 1u);
  EXPECT_EQ(report.objects[0].name, "kept out");
}

TEST_F(Evaluate, JudgesNoMoreObjectsThanAskedFor) {
  add("seen", "train");
  add("kept out", "val");
  add("kept out, too", "val");
  EvaluationConfig config = this->config();
  config.max_objects = 1;
  const EvaluationReport report = check(evaluate(config));
  ASSERT_EQ(report.objects.size(), 1u);
  EXPECT_EQ(report.objects[0].name, "kept out");
}

TEST_F(Evaluate, TakesWhatTheStoredLatentsDecodeToForTheTruth) {
  add("a", "train");
  const EvaluationConfig config = this->config();
  const auto engine = check(infer::Engine::open({.base = config.base}));
  const auto data = check(dataset::PreparedDataset::open(config.dataset));
  const Items items = check(load_items(data, 0, 0, *engine));
  ASSERT_EQ(items.items.size(), 1u);
  const auto& truth = items.items[0].truth;
  ASSERT_TRUE(truth);
  EXPECT_EQ(truth->colors.size(), truth->surface.positions.size());
  for (const mesh::Vec3& p : truth->surface.positions) {  // a voxel may reach out of its cell by its own size
    const auto near = [&](const mesh::Vec3& cell) {
      for (size_t i = 0; i < 3; ++i) {
        const float in_cells = (p[i] + 0.5f) * kCells;
        if (in_cells < cell[i] - 0.1f || in_cells > cell[i] + 1.1f) return false;
      }
      return true;
    };
    EXPECT_TRUE(near({0, 0, 0}) || near({1, 2, 3}) || near({3, 3, 3}));
  }
  EXPECT_EQ(items.items[0].cells, (std::vector<Cell>{{1, 1, 1}, {1, 1, 2}, {6, 6, 6}}));
}

TEST_F(Evaluate, NamesWhatIsWrong) {
  add("a", "train");
  const EvaluationConfig good = config();
  const struct {
    const char* what;
    std::function<void(EvaluationConfig&)> change;
    const char* message;
  } rows[] = {
      {"scale", [](auto& c) { c.scale = 3; }, "scale: must be 0 to 2"},
      {"seeds", [](auto& c) { c.seeds = 0; }, "seeds: must be 1 to 100"},
      {"view", [](auto& c) { c.view = -1; }, "view: must be 0 or more"},
      {"objects", [](auto& c) { c.max_objects = -1; }, "max_objects: must be 0 or more"},
      {"no such view", [](auto& c) { c.view = 2; }, "dataset: no object has a view 2"},
      {"picture size", [](auto& c) { c.picture_size = 5; }, "picture_size: must be 0, or 16 to 1024"},
      {"dataset", [](auto& c) { c.dataset = "/nowhere.zip"; }, "/nowhere.zip"},
      {"adapter", [](auto& c) { c.adapters = {"/nowhere.safetensors"}; }, "/nowhere.safetensors"},
  };
  for (const auto& row : rows) {
    EvaluationConfig config = good;
    row.change(config);
    const Status status = evaluate(config).status();
    EXPECT_NE(std::string(status.message()).find(row.message), std::string::npos) << row.what << ": " << status;
  }
}

TEST_F(Evaluate, ReportsAsTableJsonAndPicture) {
  add("a", "train");
  add("bb", "train");
  EvaluationConfig config = this->config();
  config.adapters = {path("texture.safetensors")};
  config.picture_size = 32;
  const EvaluationReport report = check(evaluate(config));
  const auto json = nlohmann::json::parse(to_json(report));
  EXPECT_EQ(json.at("objects").size(), 2u);
  EXPECT_EQ(json.at("candidates").at(1).at("name"), "adapters");
  EXPECT_EQ(json.at("candidates").at(0).at("mean").at("psnr"), report.candidates[0].mean.color->psnr);
  EXPECT_NE(to_table(report).find("normals"), std::string::npos);
  const image::Image sheet = check(contact_sheet(report));
  EXPECT_GE(sheet.width, 4 * 32);  // picture, object, base, adapters
  EXPECT_GE(sheet.height, 2 * 32);
  EXPECT_EQ(contact_sheet({0, false, {{"a", {}, {}}}, {}}).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(Pooled, JoinsCellsOfACoarserGrid) {
  EXPECT_EQ(pooled({{5, 0, 7}, {0, 0, 0}, {1, 1, 0}}, 8, 4), (std::vector<Cell>{{0, 0, 0}, {2, 0, 3}}));
  EXPECT_EQ(pooled({{5, 0, 7}}, 8, 8), (std::vector<Cell>{{5, 0, 7}}));
}

}  // namespace
}  // namespace espalier::evaluate

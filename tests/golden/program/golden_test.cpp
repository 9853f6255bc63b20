#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "common/files.h"
#include "nn/io/safetensors.h"
#include "process/child.h"

// The golden tool's own verdicts, on cases that were changed.
namespace espalier::golden {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class GoldenTool : public ::testing::Test {
 protected:
  // A copy of a case of tests/goldens.
  fs::path copy_of(const std::string& name) {
    const fs::path copy = folder_.path() / name;
    fs::copy(fs::path(ESP_SOURCE_DIR) / "tests/goldens" / name, copy, fs::copy_options::recursive);
    return copy;
  }

  static void without(const fs::path& file, const std::vector<std::string>& names) {
    const auto opened = nn::SafetensorsFile::open(file);
    ASSERT_TRUE(opened.ok()) << opened.status();
    auto tensors = *opened->tensors();
    for (const auto& name : names) ASSERT_EQ(tensors.erase(name), 1u) << name;
    for (auto& [name, tensor] : tensors) tensor = tensor.clone();
    ASSERT_TRUE(nn::write_safetensors(file, tensors).ok());
  }

  std::string verdict(const fs::path& test_case) {
    std::string output;
    const auto keep = [&](std::string_view line) { output.append(line).append("\n"); };
    const auto exit =
        process::run_child({{ESP_BIN_DIR "/golden", test_case.string()}, {}},
                           {.on_event = keep, .on_log = keep, .on_tick = [] {}}, {}, std::chrono::seconds(5));
    EXPECT_TRUE(exit.ok()) << exit.status();
    return output;
  }

  TempDir folder_ = *TempDir::create();
};

TEST_F(GoldenTool, NamesAMissingTensor) {
  const fs::path remesh = copy_of("ovoxel_remesh");
  without(remesh / "expected.safetensors", {"faces"});
  EXPECT_THAT(verdict(remesh),
              AllOf(HasSubstr("FAIL ovoxel_remesh"), HasSubstr("no tensor faces"), Not(HasSubstr("map::at"))));
  const fs::path import = copy_of("ovoxel_import_obj");
  without(import / "expected.safetensors", {"base_color"});
  EXPECT_THAT(verdict(import), AllOf(HasSubstr("FAIL ovoxel_import_obj"), HasSubstr("base_color")));
  const fs::path pictures = copy_of("train_condimg");
  without(pictures / "inputs.safetensors", {"rgba0"});
  EXPECT_THAT(verdict(pictures), AllOf(HasSubstr("FAIL train_condimg"), HasSubstr("no tensor rgba0")));
  const fs::path loss = copy_of("train_ss_loss");
  without(loss / "inputs.safetensors", {"step0.mb0.noise"});
  EXPECT_THAT(verdict(loss), AllOf(HasSubstr("FAIL train_ss_loss"), HasSubstr("no tensor step0.mb0.noise")));
}

TEST_F(GoldenTool, ComparesGeometryAloneWhereTheReferenceRejectedTheMaterials) {
  const fs::path import = copy_of("ovoxel_import_obj");
  without(import / "expected.safetensors", {"base_color", "metallic", "roughness", "alpha"});
  auto description = nlohmann::json::parse(*read_file(import / "params.json"));
  description["materials"] = nullptr;
  description["materials_rejected"] = "Unsupported node";
  ASSERT_TRUE(write_file_atomic(import / "params.json", description.dump()).ok());
  EXPECT_THAT(verdict(import), HasSubstr("PASS ovoxel_import_obj"));
}

}  // namespace
}  // namespace espalier::golden

#include "tests/dataset/small_set.h"

#include <span>
#include <vector>

#include "archive/extract.h"
#include "common/sha256.h"
#include "dataset/layout.h"
#include "dataset/npz.h"

namespace espalier::dataset::testing {

std::string png(char tag) {
  std::string out("\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x08\0\0\0\x08\x08\x06\0\0\0", 29);
  return out + std::string(20, tag);
}

CsvTable table_of(const std::filesystem::path& file) {
  const auto text = read_file(file);
  EXPECT_TRUE(text.ok()) << text.status();
  auto table = parse_csv(text.value_or(""));
  EXPECT_TRUE(table.ok()) << file << ": " << table.status();
  return table.value_or(CsvTable());
}

SmallSet::SmallSet() {
  manifest_.resolution = 512;
  manifest_.ss_resolution = 16;
  manifest_.render.views = kViews;
  manifest_.render.size = kSize;
  manifest_.folders = {{"ss_latent", "ss_latents/enc_16"},
                       {"ss_occupancy", "ss_occupancy_16"},
                       {"render_cond", "renders_cond"},
                       {"asset_stats", "asset_stats"}};
  manifest_.stages["sparse_structure"] = {true, 2, ""};
  manifest_.source.unique_objects = 2;
}

void SmallSet::add_file(ObjectRecord& object, const std::string& name, const std::string& bytes) {
  const std::filesystem::path disk = path("disk/" + name);
  std::filesystem::create_directories(disk.parent_path());
  ASSERT_TRUE(write_file_atomic(disk, bytes).ok());
  object.files.push_back(*record_file(name, disk));
  files_[name] = disk;
}

ObjectRecord& SmallSet::add_object(const std::string& content, float value) {
  ObjectRecord object;
  object.sha256 = sha256_hex(content);
  object.path = content + ".glb";
  object.name = content;
  object.stages["sparse_structure"] = "ok";
  const std::vector<float> z(8 * kGrid * kGrid * kGrid, value);
  const std::vector<uint8_t> coords = {0, 1, 2, 15, 15, 15};
  add_file(object, "ss_latents/enc_16/" + object.sha256 + ".npz",
           *write_npz({{"z", make_array(std::span(z), {8, kGrid, kGrid, kGrid})}}));
  add_file(object, "ss_occupancy_16/" + object.sha256 + ".npz",
           *write_npz({{"coords", make_array(std::span(coords), {2, 3})}}));
  for (int i = 0; i < kViews; ++i)
    add_file(object, "renders_cond/" + object.sha256 + "/" + view_name(i), png(static_cast<char>('a' + i)));
  manifest_.objects.push_back(object);
  return manifest_.objects.back();
}

std::filesystem::path SmallSet::unpacked() {
  EXPECT_TRUE(write().ok());
  EXPECT_TRUE(archive::extract(path("set.zip"), path("tree")).ok());
  return path("tree");
}

}  // namespace espalier::dataset::testing

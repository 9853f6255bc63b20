#include "common/files.h"
#include "nn/io/safetensors.h"
#include "ovoxel/curve.h"
#include "ovoxel/vxz.h"
#include "ovoxel/vxz/octree.h"
#include "tests/golden/golden.h"
#include "tests/golden/ovoxel_tensors.h"

// Files and encodings of the reference: everything decodes to equal bytes.
namespace espalier::golden {
namespace {

using nn::SafetensorsFile;

// Values of a table [N, channels] in the order of `names`, with z-order codes to sort by.
struct Content {
  at::Tensor codes, values;
};

Result<Content> content_of(const ovoxel::VoxelTable& table, const std::vector<std::string>& names) {
  std::vector<std::array<int64_t, 1>> codes;
  for (const auto& v : table.voxels) codes.push_back({ovoxel::z_order(v)});
  std::vector<at::Tensor> parts;
  for (const std::string& name : names) {
    const auto* attribute = table.attribute(name);
    if (attribute == nullptr) return absl::NotFoundError("no attribute " + name);
    parts.push_back(to_tensor(attribute->values).reshape({-1, static_cast<int64_t>(attribute->channels)}));
  }
  const auto order = to_tensor(codes).flatten().argsort();
  return Content{to_tensor(codes).flatten().index_select(0, order), torch::cat(parts, 1).index_select(0, order)};
}

Status compare_files(const Case& c, const Content& want, const std::vector<std::string>& names, Report& report) {
  for (const auto& entry : c.description.at("files")) {
    const std::string name = entry.at("file");
    ESP_ASSIGN(const std::string bytes, read_file(c.folder / name));
    const auto table = ovoxel::decode_vxz(bytes);
    if (!table.ok()) {
      report.fail(name + ": " + std::string(table.status().message()));
      continue;
    }
    ESP_ASSIGN(const Content got, content_of(*table, names));
    report.compare(name + " voxels", got.codes, want.codes, 0, 0);
    report.compare(name + " values", got.values, want.values, 0, 0);
  }
  return absl::OkStatus();
}

std::string as_bytes(const at::Tensor& tensor) {
  const auto plain = tensor.contiguous();
  return {static_cast<const char*>(plain.data_ptr()), plain.nbytes()};
}

at::Tensor as_tensor(const std::string& bytes) { return to_tensor(std::vector<uint8_t>(bytes.begin(), bytes.end())); }

Status compare_octree(const SafetensorsFile& expected, int depth, const Content& want, Report& report) {
  ESP_ASSIGN(const at::Tensor octree, expected.tensor("svo"));
  ESP_ASSIGN(const at::Tensor parent, expected.tensor("parent_delta"));
  ESP_ASSIGN(const at::Tensor neighbor, expected.tensor("neighbor_delta"));
  std::vector<uint32_t> codes;
  for (const auto& code : rows<uint32_t, 1>(want.codes)) codes.push_back(code[0]);
  const std::string bytes = ovoxel::internal::encode_octree(codes, depth);
  report.compare("svo", as_tensor(bytes), octree, 0, 0);
  ESP_ASSIGN(const auto decoded, ovoxel::internal::decode_octree(as_bytes(octree), depth, codes.size()));
  report.expect("svo decodes to its codes", decoded == codes);
  const auto channels = static_cast<size_t>(parent.size(1));
  const auto values = want.values.flatten();
  report.compare("parent_delta",
                 as_tensor(ovoxel::internal::undo_parent_filter(bytes, depth, as_bytes(parent), channels)), values, 0,
                 0);
  report.compare("neighbor_delta",
                 as_tensor(ovoxel::internal::undo_neighbor_filter(codes, as_bytes(neighbor), channels)), values, 0, 0);
  return absl::OkStatus();
}

Status compare_curves(const SafetensorsFile& expected, Report& report) {
  ESP_ASSIGN(const at::Tensor coords, expected.tensor("rand_coords"));
  std::vector<std::array<int64_t, 1>> z, z201, hilbert;
  bool inverses = true;
  for (const auto& v : rows<int32_t, 3>(coords)) {
    z.push_back({ovoxel::z_order(v)});
    z201.push_back({ovoxel::z_order({v[2], v[0], v[1]})});
    hilbert.push_back({ovoxel::hilbert_order(v)});
    inverses = inverses && ovoxel::from_z_order(ovoxel::z_order(v)) == v &&
               ovoxel::from_hilbert_order(ovoxel::hilbert_order(v)) == v;
  }
  report.expect("codes have inverses", inverses);
  for (const auto& [name, got] : {std::pair{"rand_z", &z}, {"rand_z_perm201", &z201}, {"rand_hilbert", &hilbert}}) {
    ESP_ASSIGN(const at::Tensor want, expected.tensor(name));
    report.compare(name, to_tensor(*got).flatten(), want, 0, 0);
  }
  return absl::OkStatus();
}

}  // namespace

Status run_vxz_case(const Case& c, Report& report) {
  ESP_ASSIGN(const auto expected, SafetensorsFile::open(c.folder / "expected.safetensors"));
  const auto names = c.description.at("attr_order").get<std::vector<std::string>>();
  ESP_ASSIGN(const at::Tensor coords, expected.tensor("coords"));
  ovoxel::VoxelTable table{rows<int32_t, 3>(coords), {}};
  for (const std::string& name : names) {
    ESP_ASSIGN(const at::Tensor values, expected.tensor("attr." + name));
    const std::string bytes = as_bytes(values);
    table.attributes.push_back({name, static_cast<size_t>(values.size(1)), {bytes.begin(), bytes.end()}});
  }
  ESP_ASSIGN(const Content want, content_of(table, names));
  ESP_ASSIGN(const at::Tensor codes, expected.tensor("z_order"));
  report.compare("z_order", want.codes, std::get<0>(codes.sort()), 0, 0);
  ESP_TRY(compare_files(c, want, names, report));
  ESP_TRY(compare_octree(expected, c.description.at("depth"), want, report));
  return compare_curves(expected, report);
}

}  // namespace espalier::golden

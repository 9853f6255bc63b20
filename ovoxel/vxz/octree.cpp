#include "ovoxel/vxz/octree.h"

#include <array>
#include <bit>

#include "absl/strings/str_cat.h"
#include "ovoxel/curve.h"
#include "ovoxel/voxel_index.h"

namespace espalier::ovoxel::internal {
namespace {

uint32_t child_of(uint32_t code, int level) { return code >> (3 * (level - 1)) & 7; }

void encode_node(std::span<const uint32_t> codes, int level, std::string& out) {
  const size_t node = out.size();
  out.push_back(0);
  for (size_t begin = 0; begin < codes.size();) {
    const uint32_t child = child_of(codes[begin], level);
    size_t end = begin + 1;
    while (end < codes.size() && child_of(codes[end], level) == child) ++end;
    out[node] = static_cast<char>(out[node] | 1 << child);
    if (level > 1) encode_node(codes.subspan(begin, end - begin), level - 1, out);
    begin = end;
  }
}

class OctreeReader {
 public:
  OctreeReader(std::string_view octree, size_t max_voxels) : octree_(octree), max_voxels_(max_voxels) {}

  // Reads the node at the place reached so far, and all below it.
  Status read(int level, uint32_t prefix) {
    if (at_ == octree_.size()) return absl::DataLossError("the octree is cut short");
    const auto node = static_cast<uint8_t>(octree_[at_++]);
    if (node == 0) return absl::DataLossError("the octree has a node without children");
    for (uint32_t child = 0; child < 8; ++child) {
      if ((node >> child & 1) == 0) continue;
      const uint32_t code = prefix << 3 | child;
      if (level > 1) {
        ESP_TRY(read(level - 1, code));
      } else {
        if (codes.size() == max_voxels_) {
          return absl::DataLossError(absl::StrCat("the octree has more than ", max_voxels_, " voxels"));
        }
        codes.push_back(code);
      }
    }
    return absl::OkStatus();
  }

  bool at_end() const { return at_ == octree_.size(); }

  std::vector<uint32_t> codes;

 private:
  std::string_view octree_;
  size_t max_voxels_;
  size_t at_ = 0;
};

class ParentFilter {
 public:
  ParentFilter(std::string_view octree, std::string_view differences, size_t channels)
      : octree_(octree), differences_(differences), channels_(channels), next_difference_(channels) {}

  std::string undo(int depth) {
    out_.reserve(differences_.size());
    Value root;
    std::copy_n(differences_.begin(), channels_, root.begin());
    visit(depth, root);
    return std::move(out_);
  }

 private:
  using Value = std::array<char, kMaxChannels>;

  void visit(int level, Value value) {
    if (level == 0) {
      out_.append(value.data(), channels_);
      return;
    }
    const int children = std::popcount(static_cast<uint8_t>(octree_[next_node_++]));
    size_t difference = next_difference_;  // the node's own block, reserved before its children's
    next_difference_ += channels_ * static_cast<size_t>(children - 1);
    visit(level - 1, value);
    for (int child = 1; child < children; ++child) {
      for (size_t c = 0; c < channels_; ++c) value[c] = static_cast<char>(value[c] + differences_[difference++]);
      visit(level - 1, value);
    }
  }

  std::string_view octree_, differences_;
  size_t channels_;
  size_t next_node_ = 0, next_difference_;
  std::string out_;
};

// Where a predictor may be, the preferred one first.
constexpr Voxel kPredictors[] = {{1, 1, 1}, {0, 1, 1}, {1, 0, 1}, {1, 1, 0}, {0, 0, 1}, {0, 1, 0}, {1, 0, 0}};

}  // namespace

std::string encode_octree(std::span<const uint32_t> codes, int depth) {
  std::string out;
  encode_node(codes, depth, out);
  return out;
}

Result<std::vector<uint32_t>> decode_octree(std::string_view octree, int depth, size_t max_voxels) {
  OctreeReader reader(octree, max_voxels);
  ESP_TRY(reader.read(depth, 0));
  if (!reader.at_end()) return absl::DataLossError("the octree is followed by other bytes");
  return std::move(reader.codes);
}

std::string undo_parent_filter(std::string_view octree, int depth, std::string_view differences, size_t channels) {
  return ParentFilter(octree, differences, channels).undo(depth);
}

std::string undo_neighbor_filter(std::span<const uint32_t> codes, std::string values, size_t channels) {
  std::vector<Voxel> voxels;
  voxels.reserve(codes.size());
  for (const uint32_t code : codes) voxels.push_back(from_z_order(code));
  const VoxelIndex index(voxels);
  // A predictor has no larger coordinate, hence a smaller code: its value is already final.
  for (size_t i = 0; i < voxels.size(); ++i) {
    for (const Voxel& offset : kPredictors) {
      const uint32_t found = index.find({voxels[i][0] - offset[0], voxels[i][1] - offset[1], voxels[i][2] - offset[2]});
      if (found == VoxelIndex::kNone) continue;
      for (size_t c = 0; c < channels; ++c) {
        values[i * channels + c] = static_cast<char>(values[i * channels + c] + values[found * channels + c]);
      }
      break;
    }
  }
  return values;
}

}  // namespace espalier::ovoxel::internal

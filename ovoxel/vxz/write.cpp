#include <algorithm>
#include <numeric>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/parallel.h"
#include "ovoxel/curve.h"
#include "ovoxel/voxel_index.h"
#include "ovoxel/vxz.h"
#include "ovoxel/vxz/header.h"
#include "ovoxel/vxz/octree.h"

namespace espalier::ovoxel {
namespace {

using internal::Chunk;
using internal::Header;

constexpr int32_t kChunkSize = 256;

Voxel chunk_of(const Voxel& v) { return {v[0] / kChunkSize, v[1] / kChunkSize, v[2] / kChunkSize}; }

uint32_t code_in_chunk(const Voxel& v) { return z_order({v[0] % kChunkSize, v[1] % kChunkSize, v[2] % kChunkSize}); }

Status check_voxels(const std::vector<Voxel>& voxels) {
  if (voxels.empty()) return absl::InvalidArgumentError("no voxels");
  for (const Voxel& v : voxels) {
    if (std::min({v[0], v[1], v[2]}) < 0 || std::max({v[0], v[1], v[2]}) >= VoxelIndex::kMaxSide) {
      return absl::InvalidArgumentError(
          absl::StrCat("voxel (", v[0], ", ", v[1], ", ", v[2], ") is outside 0..", VoxelIndex::kMaxSide - 1));
    }
  }
  return absl::OkStatus();
}

Status check_attributes(const VoxelTable& table) {
  std::set<std::string> taken = {"svo", "ptr", "idx"};
  size_t channels = 0;
  for (const VoxelAttribute& a : table.attributes) {
    if (a.name.empty() || !taken.insert(a.name).second) {
      return absl::InvalidArgumentError(absl::StrCat("attribute name \"", a.name, "\" is empty, taken or reserved"));
    }
    channels += a.channels;
    if (a.channels == 0 || channels > internal::kMaxChannels) {
      return absl::InvalidArgumentError(absl::StrCat("attribute ", a.name, ": channels must be 1..128 in all"));
    }
    if (a.values.size() != table.voxels.size() * a.channels) {
      return absl::InvalidArgumentError(absl::StrCat("attribute ", a.name, " has ", a.values.size(), " bytes for ",
                                                     table.voxels.size(), " voxels of ", a.channels, " channels"));
    }
  }
  return absl::OkStatus();
}

Result<int> level_of(const VxzOptions& options) {
  const internal::Levels levels = internal::levels_of(options.codec);
  if (options.level == 0) return levels.usual;
  if (options.level < levels.lowest || options.level > levels.highest) {
    return absl::InvalidArgumentError(
        absl::StrCat("compression level ", options.level, " is not in ", levels.lowest, "..", levels.highest));
  }
  return options.level;
}

// A voxel's place in the file: its chunk, then its z-order code.
struct Place {
  uint64_t key;  // chunk << 24 | code
  uint32_t voxel;

  uint64_t chunk() const { return key >> 24; }
};

Result<std::vector<Place>> sorted_places(const std::vector<Voxel>& voxels) {
  std::vector<Place> places(voxels.size());
  for (size_t i = 0; i < voxels.size(); ++i) {
    const Voxel c = chunk_of(voxels[i]);
    const auto chunk = static_cast<uint64_t>(c[0] << 6 | c[1] << 3 | c[2]);
    places[i] = {chunk << 24 | code_in_chunk(voxels[i]), static_cast<uint32_t>(i)};
  }
  std::sort(places.begin(), places.end(), [](const Place& a, const Place& b) { return a.key < b.key; });
  const auto twice =
      std::adjacent_find(places.begin(), places.end(), [](const Place& a, const Place& b) { return a.key == b.key; });
  if (twice != places.end()) {
    const Voxel& v = voxels[twice->voxel];
    return absl::InvalidArgumentError(absl::StrCat("voxel (", v[0], ", ", v[1], ", ", v[2], ") is listed twice"));
  }
  return places;
}

struct EncodedChunk {
  Chunk record;
  std::string bytes;
};

class ChunkWriter {
 public:
  ChunkWriter(const VoxelTable& table, const Header& header) : table_(table), header_(header) {}

  Result<EncodedChunk> write(std::span<const Place> places) const {
    EncodedChunk out;
    out.record.idx = chunk_of(table_.voxels[places[0].voxel]);
    std::vector<uint32_t> codes;
    codes.reserve(places.size());
    for (const Place& p : places) codes.push_back(static_cast<uint32_t>(p.key & 0xFFFFFF));
    ESP_ASSIGN(out.record.octree, append(internal::encode_octree(codes, header_.depth()), out.bytes));
    for (const VoxelAttribute& a : table_.attributes) {
      std::string values;
      values.reserve(places.size() * a.channels);
      for (const Place& p : places) {
        values.append(reinterpret_cast<const char*>(&a.values[p.voxel * a.channels]), a.channels);
      }
      ESP_ASSIGN(out.record.streams.emplace_back(), append(values, out.bytes));
    }
    return out;
  }

 private:
  Result<internal::Range> append(const std::string& raw, std::string& bytes) const {
    ESP_ASSIGN(const std::string packed, internal::compress(raw, header_.codec, header_.level));
    bytes += packed;
    return internal::Range{bytes.size() - packed.size(), packed.size()};
  }

  const VoxelTable& table_;
  const Header& header_;
};

// The places of one chunk each.
std::vector<std::span<const Place>> by_chunk(const std::vector<Place>& places) {
  std::vector<std::span<const Place>> out;
  for (size_t begin = 0; begin < places.size();) {
    size_t end = begin + 1;
    while (end < places.size() && places[end].chunk() == places[begin].chunk()) ++end;
    out.emplace_back(&places[begin], end - begin);
    begin = end;
  }
  return out;
}

Result<std::string> assembled(Header header, std::vector<Result<EncodedChunk>> chunks) {
  std::string binary;
  for (auto& chunk : chunks) {
    ESP_TRY(chunk.status());
    chunk->record.bytes = {binary.size(), chunk->bytes.size()};
    binary += chunk->bytes;
    header.chunks.push_back(std::move(chunk->record));
  }
  const std::string json = internal::format_header(header);
  const uint64_t start = json.size() + 8;
  if (start > UINT32_MAX) return absl::InvalidArgumentError("the header would be over 4 GiB");
  std::string out("VXZ\0", 4);
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(start >> shift & 0xFF));
  return out + json + binary;
}

}  // namespace

Result<std::string> encode_vxz(const VoxelTable& table, const VxzOptions& options) {
  ESP_TRY(check_voxels(table.voxels));
  ESP_TRY(check_attributes(table));
  Header header;
  header.voxels = table.voxels.size();
  header.chunk_size = kChunkSize;
  header.codec = options.codec;
  ESP_ASSIGN(header.level, level_of(options));
  for (const VoxelAttribute& a : table.attributes) header.attributes.push_back({a.name, a.channels});
  ESP_ASSIGN(const auto places, sorted_places(table.voxels));
  const auto parts = by_chunk(places);
  const ChunkWriter writer(table, header);
  std::vector<Result<EncodedChunk>> chunks(parts.size(), absl::UnknownError("not written"));
  parallel_for(parts.size(), worker_count(options.threads, parts.size()),
               [&](size_t c, int) { chunks[c] = writer.write(parts[c]); });
  return assembled(std::move(header), std::move(chunks));
}

}  // namespace espalier::ovoxel

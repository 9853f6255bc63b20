#include <algorithm>
#include <atomic>

#include "absl/strings/str_cat.h"
#include "common/parallel.h"
#include "ovoxel/curve.h"
#include "ovoxel/vxz.h"
#include "ovoxel/vxz/header.h"
#include "ovoxel/vxz/octree.h"

namespace espalier::ovoxel {
namespace {

using internal::Chunk;
using internal::Filter;
using internal::Header;
using internal::Range;
using internal::Stream;

constexpr size_t kPrefix = 8;  // "VXZ", version, big-endian start of the binary part

struct Parts {
  std::string_view json, binary;
};

Result<Parts> split(std::string_view bytes, const VxzLimits& limits) {
  if (bytes.size() < kPrefix || !bytes.starts_with("VXZ")) return absl::DataLossError("not a .vxz file");
  if (bytes[3] != 0) {
    return absl::DataLossError(absl::StrCat("version ", int{static_cast<uint8_t>(bytes[3])}, " is not 0"));
  }
  uint32_t start = 0;
  for (size_t i = 4; i < kPrefix; ++i) start = start << 8 | static_cast<uint8_t>(bytes[i]);
  if (start < kPrefix || start > bytes.size()) return absl::DataLossError("the header is cut short");
  if (start - kPrefix > limits.max_header_bytes) {
    return absl::ResourceExhaustedError(absl::StrCat("the header is over ", limits.max_header_bytes, " bytes"));
  }
  return Parts{bytes.substr(kPrefix, start - kPrefix), bytes.substr(start)};
}

std::string_view cut(std::string_view bytes, const Range& range) {
  return bytes.substr(static_cast<size_t>(range.offset), static_cast<size_t>(range.length));
}

struct DecodedChunk {
  std::vector<uint32_t> codes;
  std::string values;  // [codes, channels]
};

// Decodes the chunks of one file; const, so that threads can share it.
class ChunkReader {
 public:
  ChunkReader(const Header& header, std::string_view binary)
      : header_(header), binary_(binary), streams_(header.streams()), channels_(header.channels()) {}

  Result<DecodedChunk> read(size_t number) const {
    const Chunk& chunk = header_.chunks[number];
    const std::string_view bytes = cut(binary_, chunk.bytes);
    const auto side = static_cast<uint64_t>(header_.chunk_size);
    const uint64_t most = std::min(header_.voxels, side * side * side);
    auto octree = unpack(cut(bytes, chunk.octree), most * static_cast<uint64_t>(header_.depth()));
    if (!octree.ok()) return annotate(octree.status(), field(number, "svo"));
    DecodedChunk out;
    auto codes = internal::decode_octree(*octree, header_.depth(), static_cast<size_t>(most));
    if (!codes.ok()) return annotate(codes.status(), field(number, "svo"));
    out.codes = *std::move(codes);
    out.values.resize(out.codes.size() * channels_);
    for (size_t s = 0; s < streams_.size(); ++s) {
      const Status status = place(cut(bytes, chunk.streams[s]), streams_[s], out);
      if (!status.ok()) return annotate(status, field(number, streams_[s].name));
    }
    unfilter(*octree, out);
    return out;
  }

 private:
  static std::string field(size_t number, std::string_view part) {
    return absl::StrCat("chunks[", number, "].", std::string(part));
  }

  Result<std::string> unpack(std::string_view bytes, uint64_t max_bytes) const {
    return internal::decompress(bytes, header_.codec, header_.level, static_cast<size_t>(max_bytes));
  }

  // Puts one stream's channels in their place among all.
  Status place(std::string_view packed, const Stream& stream, DecodedChunk& out) const {
    const size_t count = out.codes.size();
    ESP_ASSIGN(const std::string values, unpack(packed, count * stream.channels));
    if (values.size() != count * stream.channels) {
      return absl::DataLossError(absl::StrCat("has ", values.size(), " bytes instead of ", count * stream.channels));
    }
    for (size_t i = 0; i < count; ++i) {
      std::copy_n(&values[i * stream.channels], stream.channels, &out.values[i * channels_ + stream.first]);
    }
    return absl::OkStatus();
  }

  void unfilter(const std::string& octree, DecodedChunk& out) const {
    if (channels_ == 0) return;
    if (header_.filter == Filter::kParent) {
      out.values = internal::undo_parent_filter(octree, header_.depth(), out.values, channels_);
    } else if (header_.filter == Filter::kNeighbor) {
      out.values = internal::undo_neighbor_filter(out.codes, std::move(out.values), channels_);
    }
  }

  const Header& header_;
  const std::string_view binary_;
  const std::vector<Stream> streams_;
  const size_t channels_;
};

VoxelTable joined(const Header& header, const std::vector<Result<DecodedChunk>>& chunks) {
  VoxelTable out;
  out.voxels.reserve(static_cast<size_t>(header.voxels));
  for (const auto& a : header.attributes) {
    out.attributes.push_back({a.name, a.channels, {}});
    out.attributes.back().values.reserve(static_cast<size_t>(header.voxels) * a.channels);
  }
  const size_t channels = header.channels();
  for (size_t c = 0; c < chunks.size(); ++c) {
    const Voxel& idx = header.chunks[c].idx;
    for (const uint32_t code : chunks[c]->codes) {
      Voxel voxel = from_z_order(code);
      for (size_t a = 0; a < 3; ++a) voxel[a] += idx[a] * header.chunk_size;
      out.voxels.push_back(voxel);
    }
    size_t first = 0;
    for (VoxelAttribute& a : out.attributes) {
      for (size_t i = 0; i < chunks[c]->codes.size(); ++i) {
        const auto* value = reinterpret_cast<const uint8_t*>(&chunks[c]->values[i * channels + first]);
        a.values.insert(a.values.end(), value, value + a.channels);
      }
      first += a.channels;
    }
  }
  return out;
}

Result<VoxelTable> decode(std::string_view bytes, const VxzLimits& limits, int threads) {
  ESP_ASSIGN(const Parts parts, split(bytes, limits));
  ESP_ASSIGN(const Header header, internal::parse_header(parts.json, parts.binary.size(), limits));
  const ChunkReader reader(header, parts.binary);
  std::vector<Result<DecodedChunk>> chunks(header.chunks.size(), absl::CancelledError());
  std::atomic<uint64_t> voxels{0};
  parallel_for(chunks.size(), worker_count(threads, chunks.size()), [&](size_t c, int) {
    if (voxels > header.voxels) return;
    chunks[c] = reader.read(c);
    // A chunk that cannot be read counts as too many: the others need not be tried.
    voxels += chunks[c].ok() ? chunks[c]->codes.size() : header.voxels + 1;
  });
  for (const auto& chunk : chunks) {
    if (!chunk.ok() && !absl::IsCancelled(chunk.status())) return chunk.status();
  }
  if (voxels != header.voxels) {
    return absl::DataLossError(absl::StrCat("num_voxel is ", header.voxels, ", but the chunks hold other voxels"));
  }
  return joined(header, chunks);
}

}  // namespace

const VoxelAttribute* VoxelTable::attribute(std::string_view name) const {
  for (const VoxelAttribute& a : attributes) {
    if (a.name == name) return &a;
  }
  return nullptr;
}

Result<VoxelTable> decode_vxz(std::string_view bytes, const VxzLimits& limits, int threads) {
  auto table = decode(bytes, limits, threads);
  if (!table.ok()) return annotate(table.status(), "vxz");
  return table;
}

}  // namespace espalier::ovoxel

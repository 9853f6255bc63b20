#include "ovoxel/vxz/header.h"

#include <algorithm>
#include <bit>
#include <nlohmann/json.hpp>
#include <set>

#include "absl/strings/str_cat.h"
#include "ovoxel/curve.h"
#include "ovoxel/voxel_index.h"
#include "ovoxel/vxz/octree.h"

namespace espalier::ovoxel::internal {
namespace {

using nlohmann::json;

constexpr size_t kMaxName = 256;
constexpr int32_t kSmallestChunk = 4, kLargestChunk = 1 << kCurveBits;  // the reference cannot decode chunks of 2

// "compression", "chunks[3].svo"
Status bad(std::string_view field, std::string_view what) {
  return absl::DataLossError(absl::StrCat(std::string(field), " ", std::string(what)));
}

Result<const json*> member(const json& node, const char* key) {
  const auto found = node.find(key);
  if (found == node.end()) return bad(key, "is missing");
  return &*found;
}

Result<uint64_t> as_integer(const json& node, std::string_view field, uint64_t low, uint64_t high) {
  if (!node.is_number_unsigned() || node.get<uint64_t>() < low || node.get<uint64_t>() > high) {
    return bad(field, absl::StrCat("must be an integer in ", low, "..", high));
  }
  return node.get<uint64_t>();
}

Result<uint64_t> integer(const json& node, const char* key, uint64_t low, uint64_t high) {
  ESP_ASSIGN(const json* value, member(node, key));
  return as_integer(*value, key, low, high);
}

template <class T>
Result<T> choice(const json& node, const char* key, std::initializer_list<std::pair<const char*, T>> choices) {
  ESP_ASSIGN(const json* value, member(node, key));
  std::string allowed;
  for (const auto& [name, result] : choices) {
    if (value->is_string() && value->get_ref<const std::string&>() == name) return result;
    absl::StrAppend(&allowed, allowed.empty() ? "" : ", ", name);
  }
  return bad(key, absl::StrCat("must be one of ", allowed));
}

// [offset, length] within `total` bytes.
Result<Range> range(const json& node, const std::string& field, uint64_t total) {
  if (!node.is_array() || node.size() != 2) return bad(field, "must be [offset, length]");
  ESP_ASSIGN(const uint64_t offset, as_integer(node[0], field, 0, total));
  ESP_ASSIGN(const uint64_t length, as_integer(node[1], field, 0, total - offset));
  return Range{offset, length};
}

Result<std::vector<Attribute>> attributes(const json& root) {
  ESP_ASSIGN(const json* list, member(root, "attr"));
  if (!list->is_array() || list->size() > kMaxChannels) return bad("attr", "must be a list of up to 128 attributes");
  std::vector<Attribute> out;
  size_t channels = 0;
  for (const json& entry : *list) {
    if (!entry.is_array() || entry.size() != 2 || !entry[0].is_string()) {
      return bad("attr", "must hold pairs [name, channels]");
    }
    ESP_ASSIGN(const uint64_t count, as_integer(entry[1], "attr: channels", 1, kMaxChannels));
    out.push_back({entry[0].get<std::string>(), static_cast<size_t>(count)});
    if (out.back().name.empty() || out.back().name.size() > kMaxName) return bad("attr", "has a name of no fit length");
    channels += count;
  }
  if (channels > kMaxChannels) return bad("attr", "has more than 128 channels");
  return out;
}

Status check_stream_names(const std::vector<Stream>& streams) {
  std::set<std::string> taken = {"svo", "ptr", "idx"};
  for (const Stream& stream : streams) {
    if (!taken.insert(stream.name).second) return bad("attr", absl::StrCat("gives two streams named ", stream.name));
  }
  return absl::OkStatus();
}

Result<Chunk> chunk(const json& node, const std::string& field, const Header& header,
                    const std::vector<Stream>& streams, uint64_t binary_bytes) {
  if (!node.is_object()) return bad(field, "must be an object");
  if (node.size() != streams.size() + 3) return bad(field, "must have idx, svo, ptr and one entry per stream");
  Chunk out;
  const auto part = [&](const char* key) -> Result<const json*> {
    const auto found = node.find(key);
    if (found == node.end()) return bad(absl::StrCat(field, ".", key), "is missing");
    return &*found;
  };
  ESP_ASSIGN(const json* idx, part("idx"));
  if (!idx->is_array() || idx->size() != 3) return bad(absl::StrCat(field, ".idx"), "must be [x, y, z]");
  const auto last = static_cast<uint64_t>(VoxelIndex::kMaxSide / header.chunk_size - 1);
  for (size_t a = 0; a < 3; ++a) {
    ESP_ASSIGN(const uint64_t at, as_integer((*idx)[a], absl::StrCat(field, ".idx"), 0, last));
    out.idx[a] = static_cast<int32_t>(at);
  }
  ESP_ASSIGN(const json* bytes, part("ptr"));
  ESP_ASSIGN(out.bytes, range(*bytes, absl::StrCat(field, ".ptr"), binary_bytes));
  ESP_ASSIGN(const json* octree, part("svo"));
  ESP_ASSIGN(out.octree, range(*octree, absl::StrCat(field, ".svo"), out.bytes.length));
  for (const Stream& stream : streams) {
    ESP_ASSIGN(const json* place, part(stream.name.c_str()));
    ESP_ASSIGN(out.streams.emplace_back(), range(*place, absl::StrCat(field, ".", stream.name), out.bytes.length));
  }
  return out;
}

Status read_chunks(const json& root, uint64_t binary_bytes, Header& header) {
  ESP_ASSIGN(const json* list, member(root, "chunks"));
  if (!list->is_array() || list->empty()) return bad("chunks", "must be a list with at least one chunk");
  if (list->size() > header.voxels) return bad("chunks", "must not outnumber the voxels");
  const auto streams = header.streams();
  ESP_TRY(check_stream_names(streams));
  std::set<Voxel> taken;
  for (size_t i = 0; i < list->size(); ++i) {
    const std::string field = absl::StrCat("chunks[", i, "]");
    ESP_ASSIGN(header.chunks.emplace_back(), chunk((*list)[i], field, header, streams, binary_bytes));
    if (!taken.insert(header.chunks.back().idx).second) return bad(field, "repeats the idx of another chunk");
  }
  return absl::OkStatus();
}

// The reference's raw_size counts coordinates as three int32.
uint64_t raw_size(const Header& header) { return header.voxels * (12 + header.channels()); }

Status read_sizes(const json& root, uint64_t binary_bytes, const VxzLimits& limits, Header& header) {
  if (header.voxels > limits.max_voxels || header.voxels * header.channels() > limits.max_value_bytes) {
    return absl::ResourceExhaustedError(absl::StrCat(header.voxels, " voxels of ", header.channels(),
                                                     " channels are more than the limit of ", limits.max_voxels,
                                                     " voxels and ", limits.max_value_bytes, " bytes"));
  }
  ESP_TRY(integer(root, "raw_size", raw_size(header), raw_size(header)).status());
  return integer(root, "compressed_size", binary_bytes, binary_bytes).status();
}

}  // namespace

int Header::depth() const { return std::countr_zero(static_cast<uint32_t>(chunk_size)); }

size_t Header::channels() const {
  size_t sum = 0;
  for (const Attribute& a : attributes) sum += a.channels;
  return sum;
}

std::vector<Stream> Header::streams() const {
  if (interleave == Interleave::kAll) return {{"attr", 0, channels()}};
  std::vector<Stream> out;
  size_t first = 0;
  for (const Attribute& a : attributes) {
    if (interleave == Interleave::kAsIs) {
      out.push_back({a.name, first, a.channels});
    } else {
      for (size_t c = 0; c < a.channels; ++c) out.push_back({absl::StrCat(a.name, "_", c), first + c, 1});
    }
    first += a.channels;
  }
  return out;
}

Result<Header> parse_header(std::string_view text, uint64_t binary_bytes, const VxzLimits& limits) {
  const json root = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!root.is_object()) return absl::DataLossError("the header is not a JSON object");
  Header out;
  ESP_ASSIGN(out.voxels, integer(root, "num_voxel", 1, uint64_t{1} << 33));
  ESP_ASSIGN(const uint64_t size, integer(root, "chunk_size", kSmallestChunk, kLargestChunk));
  if (!std::has_single_bit(size)) return bad("chunk_size", "must be a power of two");
  out.chunk_size = static_cast<int32_t>(size);
  ESP_ASSIGN(out.filter,
             choice<Filter>(root, "filter",
                            {{"none", Filter::kNone}, {"parent", Filter::kParent}, {"neighbor", Filter::kNeighbor}}));
  ESP_ASSIGN(
      out.codec,
      choice<Codec>(
          root, "compression",
          {{"none", Codec::kNone}, {"deflate", Codec::kDeflate}, {"lzma", Codec::kLzma}, {"zstd", Codec::kZstd}}));
  ESP_ASSIGN(const uint64_t level, integer(root, "compression_level", 0, out.codec == Codec::kZstd ? 22 : 9));
  out.level = static_cast<int>(level);
  ESP_ASSIGN(
      out.interleave,
      choice<Interleave>(root, "attr_interleave",
                         {{"none", Interleave::kNone}, {"as_is", Interleave::kAsIs}, {"all", Interleave::kAll}}));
  ESP_ASSIGN(out.attributes, attributes(root));
  ESP_TRY(read_sizes(root, binary_bytes, limits, out));
  ESP_TRY(read_chunks(root, binary_bytes, out));
  return out;
}

std::string format_header(const Header& header) {
  nlohmann::ordered_json root, chunks = nlohmann::ordered_json::array();
  uint64_t compressed = 0;
  const auto streams = header.streams();
  for (const Chunk& c : header.chunks) {
    nlohmann::ordered_json entry = {{"idx", c.idx}, {"svo", {c.octree.offset, c.octree.length}}};
    for (size_t i = 0; i < streams.size(); ++i) entry[streams[i].name] = {c.streams[i].offset, c.streams[i].length};
    entry["ptr"] = {c.bytes.offset, c.bytes.length};
    compressed += c.bytes.length;
    chunks.push_back(std::move(entry));
  }
  root["num_voxel"] = header.voxels;
  root["chunk_size"] = header.chunk_size;
  root["filter"] = "none";
  root["compression"] = codec_name(header.codec);
  root["compression_level"] = header.level;
  root["raw_size"] = raw_size(header);
  root["compressed_size"] = compressed;
  root["compress_ratio"] = static_cast<double>(raw_size(header)) / static_cast<double>(compressed);
  root["attr_interleave"] = "as_is";
  root["attr"] = nlohmann::ordered_json::array();
  for (const Attribute& a : header.attributes) root["attr"].push_back({a.name, a.channels});
  root["chunks"] = std::move(chunks);
  return root.dump();
}

}  // namespace espalier::ovoxel::internal

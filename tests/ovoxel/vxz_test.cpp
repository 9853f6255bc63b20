#include "ovoxel/vxz.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "golden_file.h"
#include "ovoxel/curve.h"
#include "ovoxel/vxz/octree.h"

namespace espalier::ovoxel {
namespace {

using nlohmann::json;

VoxelTable random_table(size_t count, int32_t side, uint32_t seed) {
  std::mt19937 random(seed);
  VoxelTable out;
  while (out.voxels.size() < count) {
    for (int i = 0; i < 16; ++i) {
      out.voxels.push_back({int32_t(random() % side), int32_t(random() % side), int32_t(random() % side)});
    }
    std::sort(out.voxels.begin(), out.voxels.end());
    out.voxels.erase(std::unique(out.voxels.begin(), out.voxels.end()), out.voxels.end());
  }
  std::shuffle(out.voxels.begin(), out.voxels.end(), random);
  out.attributes = {{"vertices", 3, {}}, {"intersected", 1, {}}};
  for (VoxelAttribute& a : out.attributes) {
    for (size_t i = 0; i < out.voxels.size() * a.channels; ++i) a.values.push_back(uint8_t(random() % 9));
  }
  return out;
}

// Voxel -> all bytes of its attributes, in (x, y, z) order.
std::vector<std::pair<Voxel, std::vector<uint8_t>>> content(const VoxelTable& table) {
  std::vector<std::pair<Voxel, std::vector<uint8_t>>> out;
  for (size_t i = 0; i < table.voxels.size(); ++i) {
    std::vector<uint8_t> values;
    for (const VoxelAttribute& a : table.attributes) {
      values.insert(values.end(), &a.values[i * a.channels], &a.values[i * a.channels] + a.channels);
    }
    out.push_back({table.voxels[i], values});
  }
  std::sort(out.begin(), out.end());
  return out;
}

size_t start_of(const std::string& file) {
  size_t start = 0;
  for (size_t i = 4; i < 8; ++i) start = start << 8 | uint8_t(file[i]);
  return start;
}

json header_of(const std::string& file) { return json::parse(file.substr(8, start_of(file) - 8)); }

std::string binary_of(const std::string& file) { return file.substr(start_of(file)); }

std::string file_of(const json& header, const std::string& binary) {
  const std::string text = header.dump();
  std::string out("VXZ\0", 4);
  const size_t start = text.size() + 8;
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(char(start >> shift & 0xFF));
  return out + text + binary;
}

TEST(Vxz, KeepsVoxelsAndAttributesForEveryCodec) {
  const VoxelTable table = random_table(3000, 600, 1);
  for (const VxzCodec codec : {VxzCodec::kNone, VxzCodec::kDeflate, VxzCodec::kLzma, VxzCodec::kZstd}) {
    for (const int level : {0, codec == VxzCodec::kNone ? 0 : 1}) {
      const auto bytes = encode_vxz(table, {codec, level, 2});
      ASSERT_TRUE(bytes.ok()) << bytes.status();
      const auto back = decode_vxz(*bytes);
      ASSERT_TRUE(back.ok()) << back.status();
      EXPECT_EQ(content(*back), content(table));
    }
  }
}

TEST(Vxz, StoresChunksInOrderAndVoxelsInZOrderInside) {
  const VoxelTable back = decode_vxz(encode_vxz(random_table(2000, 700, 2)).value()).value();
  const auto place = [](const Voxel& v) {
    return std::make_pair(Voxel{v[0] / 256, v[1] / 256, v[2] / 256}, z_order({v[0] % 256, v[1] % 256, v[2] % 256}));
  };
  for (size_t i = 1; i < back.voxels.size(); ++i) EXPECT_LT(place(back.voxels[i - 1]), place(back.voxels[i]));
}

TEST(Vxz, GivesTheSameBytesForEveryOrderAndThreadCount) {
  VoxelTable table = random_table(1500, 900, 3);
  const std::string bytes = encode_vxz(table, {VxzCodec::kDeflate, 6, 1}).value();
  const VoxelTable sorted = decode_vxz(bytes).value();
  EXPECT_EQ(encode_vxz(sorted, {VxzCodec::kDeflate, 6, 7}).value(), bytes);
}

TEST(Vxz, WritesTheReferencesSettings) {
  const VoxelTable table = random_table(100, 64, 4);
  const json header = header_of(encode_vxz(table).value());
  EXPECT_EQ(header["num_voxel"], table.voxels.size());
  EXPECT_EQ(header["chunk_size"], 256);
  EXPECT_EQ(header["filter"], "none");
  EXPECT_EQ(header["compression"], "lzma");
  EXPECT_EQ(header["compression_level"], 9);
  EXPECT_EQ(header["attr_interleave"], "as_is");
  EXPECT_EQ(header["attr"], json::parse(R"([["vertices", 3], ["intersected", 1]])"));
  EXPECT_EQ(header["raw_size"], table.voxels.size() * 16);
}

TEST(Vxz, OfOneVoxelAndOfNoAttributesCanBeRead) {
  const VoxelTable one{{{1023, 0, 511}}, {}};
  EXPECT_EQ(decode_vxz(encode_vxz(one).value())->voxels, one.voxels);
}

TEST(Vxz, RefusesToWriteWhatItCouldNotReadBack) {
  const VoxelTable good{{{1, 2, 3}, {4, 5, 6}}, {{"a", 1, {7, 8}}}};
  ASSERT_TRUE(encode_vxz(good).ok());
  const auto changed = [&](auto change) {
    VoxelTable table = good;
    change(table);
    return encode_vxz(table).status();
  };
  const std::vector<Status> rows = {
      changed([](VoxelTable& t) { t = {}; }),
      changed([](VoxelTable& t) { t.voxels[0][1] = -1; }),
      changed([](VoxelTable& t) { t.voxels[0][1] = 2048; }),
      changed([](VoxelTable& t) { t.voxels[1] = t.voxels[0]; }),
      changed([](VoxelTable& t) { t.attributes[0].values.pop_back(); }),
      changed([](VoxelTable& t) { t.attributes[0].name = ""; }),
      changed([](VoxelTable& t) { t.attributes[0].name = "svo"; }),
      changed([](VoxelTable& t) { t.attributes.push_back(t.attributes[0]); }),
      changed([](VoxelTable& t) { t.attributes[0].channels = 0; }),
      changed([](VoxelTable& t) {
        t.attributes[0] = {"a", 129, std::vector<uint8_t>(258)};
      }),
      encode_vxz(good, {VxzCodec::kLzma, 10}).status(),
      encode_vxz(good, {VxzCodec::kDeflate, -1}).status(),
  };
  for (const Status& status : rows) EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
}

struct Damage {
  const char* name;
  void (*change)(json& header, std::string& binary);
  absl::StatusCode code = absl::StatusCode::kDataLoss;
};

class DamagedVxz : public testing::TestWithParam<Damage> {};

TEST_P(DamagedVxz, IsRefused) {
  for (const VxzCodec codec : {VxzCodec::kNone, VxzCodec::kDeflate, VxzCodec::kLzma, VxzCodec::kZstd}) {
    const std::string file = encode_vxz(random_table(400, 300, 5), {codec}).value();
    json header = header_of(file);
    std::string binary = binary_of(file);
    GetParam().change(header, binary);
    const auto result = decode_vxz(file_of(header, binary));
    ASSERT_FALSE(result.ok()) << int(codec);
    EXPECT_EQ(result.status().code(), GetParam().code) << result.status();
    EXPECT_TRUE(std::string(result.status().message()).starts_with("vxz: ")) << result.status();
  }
}

const Damage kDamages[] = {
    {"NoVoxelCount", [](json& h, std::string&) { h.erase("num_voxel"); }},
    {"ZeroVoxels", [](json& h, std::string&) { h["num_voxel"] = 0; }},
    {"NegativeVoxels", [](json& h, std::string&) { h["num_voxel"] = -4; }},
    {"FractionOfAVoxel", [](json& h, std::string&) { h["num_voxel"] = 400.5; }},
    {"HugeVoxelCount", [](json& h, std::string&) { h["num_voxel"] = uint64_t{1} << 33; },
     absl::StatusCode::kResourceExhausted},
    {"OneVoxelTooFew",
     [](json& h, std::string&) {
       h["num_voxel"] = h["num_voxel"].get<int>() - 1;
       h["raw_size"] = h["raw_size"].get<int>() - 16;
     }},
    {"OneVoxelTooMany",
     [](json& h, std::string&) {
       h["num_voxel"] = h["num_voxel"].get<int>() + 1;
       h["raw_size"] = h["raw_size"].get<int>() + 16;
     }},
    {"ChunkSizeNoPowerOfTwo", [](json& h, std::string&) { h["chunk_size"] = 100; }},
    {"ChunkSizeTooSmall", [](json& h, std::string&) { h["chunk_size"] = 2; }},
    {"ChunkSizeTooLarge", [](json& h, std::string&) { h["chunk_size"] = 2048; }},
    {"OtherChunkSize", [](json& h, std::string&) { h["chunk_size"] = 64; }},
    {"UnknownFilter", [](json& h, std::string&) { h["filter"] = "paeth"; }},
    {"UnknownCodec", [](json& h, std::string&) { h["compression"] = "brotli"; }},
    {"CodecOfAnotherType", [](json& h, std::string&) { h["compression"] = 3; }},
    {"OtherCodec", [](json& h, std::string&) { h["compression"] = h["compression"] == "zstd" ? "deflate" : "zstd"; }},
    {"UnknownInterleaving", [](json& h, std::string&) { h["attr_interleave"] = "planar"; }},
    {"OtherInterleaving", [](json& h, std::string&) { h["attr_interleave"] = "all"; }},
    {"LevelOutOfRange", [](json& h, std::string&) { h["compression_level"] = 23; }},
    {"WrongRawSize", [](json& h, std::string&) { h["raw_size"] = 1; }},
    {"CutBinary", [](json&, std::string& b) { b.pop_back(); }},
    {"LongerBinary", [](json&, std::string& b) { b.push_back('x'); }},
    {"NoAttributeList", [](json& h, std::string&) { h["attr"] = "vertices"; }},
    {"AttributeObjects",
     [](json& h, std::string&) {
       h["attr"][0] = {{"name", "vertices"}, {"chs", 3}};
     }},
    {"AttributeTwice", [](json& h, std::string&) { h["attr"][1][0] = "vertices"; }},
    {"ReservedAttribute", [](json& h, std::string&) { h["attr"][0][0] = "svo"; }},
    {"MoreChannels",
     [](json& h, std::string&) {
       h["attr"][0][1] = 4;
       h["raw_size"] = h["num_voxel"].get<int>() * 17;
     }},
    {"TooManyChannels", [](json& h, std::string&) { h["attr"][0][1] = 128; }},
    {"NoChunks", [](json& h, std::string&) { h["chunks"] = json::array(); }},
    {"MoreChunksThanVoxels",
     [](json& h, std::string&) {
       h["chunks"] = json::array();
       for (int i = 0; i < 1000; ++i) h["chunks"].push_back(0);
     }},
    {"ChunkOfAnotherType", [](json& h, std::string&) { h["chunks"][0] = 7; }},
    {"ChunkTwice", [](json& h, std::string&) { h["chunks"][1]["idx"] = h["chunks"][0]["idx"]; }},
    {"ChunkWithoutOctree",
     [](json& h, std::string&) {
       h["chunks"][0].erase("svo");
       h["chunks"][0]["extra"] = {0, 1};
     }},
    {"ChunkWithAnotherStream",
     [](json& h, std::string&) {
       h["chunks"][0]["extra"] = {0, 1};
     }},
    {"NegativeChunk", [](json& h, std::string&) { h["chunks"][0]["idx"][0] = -1; }},
    {"FarChunk", [](json& h, std::string&) { h["chunks"][0]["idx"][0] = 8; }},
    {"ChunkBehindTheEnd",
     [](json& h, std::string& b) {
       h["chunks"][0]["ptr"] = {b.size(), 1};
     }},
    {"OverflowingChunk",
     [](json& h, std::string&) {
       h["chunks"][0]["ptr"] = {1, UINT64_MAX};
     }},
    {"StreamBehindTheChunk",
     [](json& h, std::string&) {
       h["chunks"][0]["svo"] = {h["chunks"][0]["ptr"][1], 1};
     }},
    {"EmptyOctree", [](json& h, std::string&) { h["chunks"][0]["svo"][1] = 0; }},
    {"CutOctree", [](json& h, std::string&) { h["chunks"][0]["svo"][1] = h["chunks"][0]["svo"][1].get<int>() - 1; }},
    {"LongerOctree", [](json& h, std::string&) { h["chunks"][0]["svo"][1] = h["chunks"][0]["svo"][1].get<int>() + 1; }},
    {"CutValues",
     [](json& h, std::string&) { h["chunks"][0]["vertices"][1] = h["chunks"][0]["vertices"][1].get<int>() - 1; }},
    {"SwappedStreams", [](json& h, std::string&) { h["chunks"][0]["vertices"] = h["chunks"][0]["intersected"]; }},
};

INSTANTIATE_TEST_SUITE_P(Vxz, DamagedVxz, testing::ValuesIn(kDamages),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(Vxz, WithABrokenPrefixIsRefused) {
  const std::string file = encode_vxz(random_table(50, 100, 6)).value();
  for (size_t length : {0, 3, 7, 8, 50}) EXPECT_FALSE(decode_vxz(std::string_view(file).substr(0, length)).ok());
  for (const auto& [at, value] : {std::pair<size_t, char>{0, 'v'}, {3, 1}, {4, 127}, {7, 0}}) {
    std::string other = file;
    other[at] = value;
    EXPECT_EQ(decode_vxz(other).status().code(), absl::StatusCode::kDataLoss);
  }
}

TEST(Vxz, SurvivesAnyFlippedByte) {
  const VoxelTable table = random_table(300, 40, 7);
  std::mt19937 random(8);
  for (const VxzCodec codec : {VxzCodec::kNone, VxzCodec::kDeflate, VxzCodec::kLzma, VxzCodec::kZstd}) {
    const std::string file = encode_vxz(table, {codec}).value();
    for (int i = 0; i < 300; ++i) {
      std::string other = file;
      other[random() % other.size()] ^= char(1 + random() % 255);
      const auto result = decode_vxz(other, {}, 1);  // may pass: values have no checksum
      if (result.ok()) {
        EXPECT_EQ(result->voxels.size(), table.voxels.size());
      }
    }
  }
}

TEST(Vxz, ThatClaimsMoreThanItsLimitsIsRefusedBeforeItIsRead) {
  const std::string file = encode_vxz(random_table(500, 100, 9)).value();
  EXPECT_TRUE(absl::IsResourceExhausted(decode_vxz(file, {.max_voxels = 499}).status()));
  EXPECT_TRUE(absl::IsResourceExhausted(decode_vxz(file, {.max_value_bytes = 1999}).status()));
  EXPECT_TRUE(absl::IsResourceExhausted(decode_vxz(file, {.max_header_bytes = 100}).status()));
}

TEST(Octree, HasTheReferencesBytes) {
  const std::vector<uint32_t> codes = {0, 29, 63};
  const std::string bytes = internal::encode_octree(codes, 2);
  EXPECT_EQ(bytes, "\x89\x01\x20\x80");
  EXPECT_EQ(internal::decode_octree(bytes, 2, 3).value(), codes);
  EXPECT_FALSE(internal::decode_octree(bytes, 2, 2).ok());
  EXPECT_FALSE(internal::decode_octree(bytes, 3, 9).ok());
  EXPECT_FALSE(internal::decode_octree(bytes + "\x01", 2, 9).ok());
  EXPECT_FALSE(internal::decode_octree(std::string("\x01\x00", 2), 2, 9).ok());
}

TEST(Curve, HasTheReferencesCodesAndInverses) {
  EXPECT_EQ(z_order({1, 2, 3}), 29u);
  EXPECT_EQ(z_order({3, 3, 3}), 63u);
  EXPECT_EQ(hilbert_order({1, 2, 3}), 36u);
  EXPECT_EQ(hilbert_order({3, 3, 3}), 45u);
  std::mt19937 random(10);
  for (int i = 0; i < 1000; ++i) {
    const Voxel v{int32_t(random() % 1024), int32_t(random() % 1024), int32_t(random() % 1024)};
    EXPECT_EQ(from_z_order(z_order(v)), v);
    EXPECT_EQ(from_hilbert_order(hilbert_order(v)), v);
  }
  // Neighbours on the Hilbert curve are neighbours in space.
  for (uint32_t code = 0; code < 4096; ++code) {
    const Voxel a = from_hilbert_order(code), b = from_hilbert_order(code + 1);
    EXPECT_EQ(std::abs(a[0] - b[0]) + std::abs(a[1] - b[1]) + std::abs(a[2] - b[2]), 1);
  }
}

// Every codec, filter, interleaving and several chunk sizes, as the reference wrote them.
TEST(Vxz, ReadsEveryFileOfTheReference) {
  const auto folder = golden_folder() / "ovoxel_io";
  const GoldenFile expected(folder / "expected.safetensors");
  VoxelTable want{expected.rows<int32_t, 3>("coords"), {}};
  const auto params = json::parse(read_file(folder / "params.json").value());
  for (const std::string name : params["attr_order"]) {
    const auto bytes = expected.rows<uint8_t, 1>("attr." + name);
    VoxelAttribute attribute{name, bytes.size() / want.voxels.size(), {}};
    for (const auto& byte : bytes) attribute.values.push_back(byte[0]);
    want.attributes.push_back(attribute);
  }
  ASSERT_EQ(params["files"].size(), 13u);
  for (const auto& file : params["files"]) {
    const auto got = decode_vxz(read_file(folder / file["file"].get<std::string>()).value());
    ASSERT_TRUE(got.ok()) << file << got.status();
    EXPECT_EQ(content(*got), content(want)) << file;
  }
}

}  // namespace
}  // namespace espalier::ovoxel

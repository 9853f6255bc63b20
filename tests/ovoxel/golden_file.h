#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/files.h"

namespace espalier::ovoxel {

// One safetensors file of the goldens, read in the plainest way.
class GoldenFile {
 public:
  explicit GoldenFile(const std::filesystem::path& path) {
    bytes_ = read_file(path).value();
    uint64_t length = 0;
    std::memcpy(&length, bytes_.data(), 8);
    header_ = nlohmann::json::parse(bytes_.substr(8, length));
    data_ = 8 + length;
  }

  bool has(const std::string& name) const { return header_.contains(name); }

  // [rows, 3] or [rows, N] of a plain type.
  template <class T, size_t N>
  std::vector<std::array<T, N>> rows(const std::string& name) const {
    const auto& entry = header_.at(name);
    const size_t begin = entry.at("data_offsets").at(0), end = entry.at("data_offsets").at(1);
    std::vector<std::array<T, N>> out((end - begin) / sizeof(std::array<T, N>));
    std::memcpy(out.data(), bytes_.data() + data_ + begin, end - begin);
    return out;
  }

 private:
  std::string bytes_;
  nlohmann::json header_;
  size_t data_ = 0;
};

inline std::filesystem::path golden_folder() { return std::filesystem::path(ESP_SOURCE_DIR) / "tests/goldens"; }

}  // namespace espalier::ovoxel

#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "common/status.h"
#include "nn/io/safetensors.h"

namespace espalier::nn {

struct SafetensorsHeader {
  std::map<std::string, SafetensorsFile::Entry> entries;
  std::map<std::string, std::string> metadata;
};

// Parses the JSON header and checks every entry against the size of the data section in bytes. Errors name the tensor.
Result<SafetensorsHeader> parse_safetensors_header(std::string_view json, uint64_t data_bytes,
                                                   const SafetensorsLimits& limits);

// Bytes per element of a type of the format; 0 when the type is not known.
uint64_t safetensors_item_size(std::string_view dtype);

}  // namespace espalier::nn

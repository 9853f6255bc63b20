#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/status.h"
#include "nn/parameters.h"

namespace espalier::nn {

struct SafetensorsLimits {
  uint64_t header_bytes = 100'000'000;  // models; use kAdapterHeaderBytes for tenant files
  uint64_t metadata_bytes = 64u << 10;  // keys and values of __metadata__ together
  uint64_t file_bytes = uint64_t{1} << 40;
  size_t name_bytes = 512;
  int dimensions = 8;
};
inline constexpr uint64_t kAdapterHeaderBytes = 8u << 20;

// A safetensors file, mapped into memory and checked as a whole before anything is handed out.
//
// Strict: JSON without duplicate keys, known types only, shape times item size equal to the byte range, ranges without
// overlap or holes that cover the data exactly. C64 tensors (recomputed rotation tables in training checkpoints) may be
// present and listed, but are not loadable.
// Errors: NOT_FOUND, or DATA_LOSS / RESOURCE_EXHAUSTED naming the file, the tensor and the rule.
// Cheap to copy (shares the mapping); thread-safe to read. Reference: huggingface/safetensors, format description.
class SafetensorsFile {
 public:
  static Result<SafetensorsFile> open(const std::filesystem::path& path, const SafetensorsLimits& limits = {});

  std::vector<std::string> names() const;  // sorted
  bool contains(const std::string& name) const;
  const std::map<std::string, std::string>& metadata() const;
  // Shape and type without touching the data; type is the file's spelling, e.g. "BF16". Null when absent.
  struct Entry {
    std::string dtype;
    std::vector<int64_t> shape;
    uint64_t begin = 0, end = 0;  // bytes, relative to the data section
  };
  const Entry* entry(const std::string& name) const;

  // A view into the mapping, which it keeps alive. READ-ONLY: writing to it faults; clone() before changing it.
  // NOT_FOUND for an unknown name, UNIMPLEMENTED for C64.
  Result<at::Tensor> tensor(const std::string& name) const;
  // Every loadable tensor, as views.
  Result<TensorMap> tensors() const;

 private:
  struct Content;
  explicit SafetensorsFile(std::shared_ptr<const Content> content) : content_(std::move(content)) {}
  std::shared_ptr<const Content> content_;
};

// Writes tensors sorted by name with the header padded to 8 bytes, replacing `path` in one step. Tensors may live on
// any device and need not be contiguous. INVALID_ARGUMENT for a type the format lacks or a name that is empty or
// "__metadata__".
Status write_safetensors(const std::filesystem::path& path, const TensorMap& tensors,
                         const std::map<std::string, std::string>& metadata = {});

}  // namespace espalier::nn

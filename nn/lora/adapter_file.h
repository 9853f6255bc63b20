#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "common/status.h"
#include "nn/lora/adapter.h"

// Adapter files: safetensors in PEFT layout, keys "base_model.model.<module>.lora_A.weight" and "…lora_B.weight", with
// what the adapter is for in the header (see docs/formats/adapter.md). Never executes anything of the file.
namespace espalier::nn {

// The espalier.* entries of the header. Strings are empty and numbers absent when the file does not say.
struct AdapterInfo {
  std::string denoiser;      // sparse_structure, geometry, texture
  int resolution = 0;        // 512, 1024; 0: unknown
  std::string base_model;    // checkpoint name
  std::string base_sha256;   // of the checkpoint file
  int64_t steps = 0;         //
  double learning_rate = 0;  //
  std::string optimizer = "AdamW";
  uint64_t seed = 0;
  std::string dataset_id;
  std::string job_id;
  std::string created_utc;  // RFC 3339
};

// What a file is expected to be; empty members are not checked.
struct AdapterSlot {
  std::string denoiser;
  int resolution = 0;
  std::string base_sha256;
};

enum class SaveDtype { kBFloat16, kFloat32, kFloat16 };
Result<SaveDtype> parse_save_dtype(std::string_view text);  // bf16, fp32, fp16

// Writes in one step. The header also carries "lora_adapter_metadata" (the PEFT config) and
// "espalier.weights_sha256". INVALID_ARGUMENT: a weight is not finite, also after rounding.
Status write_adapter(const std::filesystem::path& path, const LoraAdapter& adapter, const AdapterInfo& info,
                     SaveDtype dtype = SaveDtype::kBFloat16);

// The folder form PeftModel.from_pretrained reads: adapter_config.json and adapter_model.safetensors.
Status write_peft_folder(const std::filesystem::path& folder, const LoraAdapter& adapter, const AdapterInfo& info,
                         SaveDtype dtype = SaveDtype::kBFloat16);

struct AdapterFile {
  LoraAdapter adapter;  // float32
  AdapterInfo info;
};

// Reads a file, or a folder in PEFT form, and checks it against the network before anything uses it: every tensor
// belongs to a module of `targets` (all modules of the same preset need not be present), both halves are there, shapes
// fit, one rank, every number finite and at most 1e4. Also accepts no prefix, "transformer." and "diffusion_model."
// prefixes, lora_down/lora_up for A/B, the adapter infix ".default.", and "<module>.alpha" scalars.
// The denoiser, resolution and base recorded in the file must be the slot's; a sparse-structure adapter fits both
// resolutions. INVALID_ARGUMENT names the offending key. NOT_FOUND: no such file.
Result<AdapterFile> read_adapter(const std::filesystem::path& path, const LoraTargets& targets,
                                 const AdapterSlot& slot = {});

// Only the header: cheap, to decide which slot a file is for.
Result<AdapterInfo> read_adapter_info(const std::filesystem::path& path);

}  // namespace espalier::nn

#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <memory>
#include <optional>
#include <string>

#include "common/status.h"
#include "nn/io/base_model.h"
#include "nn/networks/dinov3.h"
#include "nn/networks/sc_vae.h"
#include "nn/networks/slat_flow.h"
#include "nn/networks/ss_flow.h"
#include "nn/networks/ss_vae.h"

// Networks of a base model, ready to run.
namespace espalier::nn {

struct LoadOptions {
  // Type of the torso (blocks' linear layers or convolutions). Default: what the model file says.
  std::optional<at::ScalarType> dtype;
  c10::Device device = c10::kCPU;
};

// Errors: NOT_FOUND (missing file), DATA_LOSS (broken file), INVALID_ARGUMENT (wrong class, config or parameters).
Result<std::unique_ptr<SparseStructureFlow>> load_ss_flow(const BaseModel& base, const LoadOptions& options = {});
// key: "shape_slat_flow_model_512", "tex_slat_flow_model_1024", ...
Result<std::unique_ptr<SLatFlow>> load_slat_flow(const BaseModel& base, const std::string& key,
                                                 const LoadOptions& options = {});
Result<std::unique_ptr<SparseStructureEncoder>> load_ss_encoder(const BaseModel& base, const LoadOptions& options = {});
Result<std::unique_ptr<SparseStructureDecoder>> load_ss_decoder(const BaseModel& base, const LoadOptions& options = {});
// key: "shape_slat_encoder" or "tex_slat_encoder"; "shape_slat_decoder" or "tex_slat_decoder".
Result<std::unique_ptr<ScVaeEncoder>> load_sc_encoder(const BaseModel& base, const std::string& key,
                                                      const LoadOptions& options = {});
Result<std::unique_ptr<ScVaeDecoder>> load_sc_decoder(const BaseModel& base, const std::string& key,
                                                      const LoadOptions& options = {});
Result<std::unique_ptr<DinoV3>> load_image_encoder(const BaseModel& base, const LoadOptions& options = {});

}  // namespace espalier::nn

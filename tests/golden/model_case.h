#pragma once

#include <ATen/core/Tensor.h>

#include <nlohmann/json.hpp>
#include <string>

#include "common/status.h"
#include "nn/parameters.h"
#include "tests/golden/golden.h"

namespace espalier::golden {

// One folder of the `models` set, read: weights.safetensors, io.safetensors (in.*, out.*, mid.*) and tolerances.
struct ModelCase {
  static Result<ModelCase> open(const Case& golden);

  bool has(const std::string& name) const { return tensors.count(name) > 0; }
  const at::Tensor& io(const std::string& name) const { return named(tensors, name); }
  // Against the tensor of that name; integers and booleans must be equal. Booleans are stored as uint8.
  void compare(Report& report, const std::string& name, const at::Tensor& got) const;
  // The same, or nothing when the case has no such tensor.
  void compare_if(Report& report, const std::string& name, const at::Tensor& got) const;

  nlohmann::json config, args;
  nn::TensorMap weights, tensors;
  double atol = 0, rtol = 0;
};

// Embeddings, norms and sparse operators on their own.
Status run_primitives(const ModelCase&, Report&);
// The sparse VAEs of shape and texture.
Status run_sparse_encoder(const ModelCase&, Report&);
Status run_sparse_decoder(const ModelCase&, Report&);

}  // namespace espalier::golden

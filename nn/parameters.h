#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"

// The parameters of a network, by the key they have in its checkpoint.
namespace espalier::nn {

using TensorMap = std::map<std::string, at::Tensor>;

// One parameter a network has: its checkpoint key, its shape, and the type the network computes it in.
struct ParameterSpec {
  std::string name;
  std::vector<int64_t> shape;
  at::ScalarType dtype;
};

// The tensors a network of these specs is built from: exactly the named ones, cast to the wanted type.
//
// A tensor that already has the wanted type is passed through unchanged (same storage, same autograd leaf): layers then
// share it with the map, so an optimizer that updates the map's tensors in place trains the network. A cast makes a new
// tensor without gradient history.
// INVALID_ARGUMENT, naming every offending key at once: a missing key, an unexpected key (except the recomputed buffers
// `rope_phases` and `pos_emb`, which are dropped), a wrong shape, or a type that is not floating point.
Result<TensorMap> conform(const std::vector<ParameterSpec>& specs, const TensorMap& tensors, std::string_view network);

// Marks every parameter as a trainable leaf (requires_grad). Parameters that are views into a file mapping are
// read-only: pass tensors made by init_parameters() or detach_copy().
void require_gradients(TensorMap& parameters);

// Copies with own memory, without gradient history: safe to train, and independent of the file they came from.
TensorMap detach_copy(const TensorMap& parameters);

}  // namespace espalier::nn

#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

namespace espalier::nn {

// Part of a network: its inputs -> one output. It must give the same bits for the same inputs, and is called again in
// the backward pass, so everything it refers to must live as long as the graph.
using Segment = std::function<at::Tensor(const std::vector<at::Tensor>& inputs)>;

// segment(inputs), but only the inputs are kept for the backward pass, which runs the segment again (gradient
// checkpointing): memory of one segment instead of all, for a second forward pass. Output and gradients are the same
// bits as without it. `leaves`: every tensor beside the inputs that the segment uses and whose gradient may be wanted.
// Without a gradient to compute it is a plain call.
// Chen et al., "Training Deep Nets with Sublinear Memory Cost".
at::Tensor recomputed(Segment segment, const std::vector<at::Tensor>& inputs, const std::vector<at::Tensor>& leaves);

}  // namespace espalier::nn

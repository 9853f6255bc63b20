#include "nn/layers/recompute.h"

#include <ATen/core/ivalue.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/types.h>

#include <algorithm>
#include <utility>

namespace espalier::nn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

struct HeldSegment : torch::CustomClassHolder {
  explicit HeldSegment(Segment held) : segment(std::move(held)) {}
  const Segment segment;
};

// A graph of its own over copies of the inputs. Both passes make one, although the forward pass throws it away: some
// operators choose their kernel by whether a gradient is wanted, and the bits must not differ.
struct Replay {
  variable_list inputs;
  at::Tensor output;

  Replay(const Segment& segment, const variable_list& originals) {
    const at::AutoGradMode with_graph(true);
    for (const auto& original : originals) {
      inputs.push_back(original.detach().requires_grad_(original.requires_grad()));
    }
    output = segment(inputs);
  }
};

class RecomputeFunction : public torch::autograd::Function<RecomputeFunction> {
 public:
  static Variable forward(AutogradContext* ctx, const c10::intrusive_ptr<HeldSegment>& held, at::TensorList inputs,
                          at::TensorList leaves) {
    variable_list saved = inputs.vec();
    saved.insert(saved.end(), leaves.begin(), leaves.end());
    ctx->save_for_backward(std::move(saved));
    ctx->saved_data["segment"] = c10::IValue::make_capsule(held);
    ctx->saved_data["inputs"] = static_cast<int64_t>(inputs.size());
    return Replay(held->segment, inputs.vec()).output.detach();
  }

  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    auto tensors = ctx->get_saved_variables();
    const auto inputs = static_cast<size_t>(ctx->saved_data["inputs"].toInt());
    const auto held = ctx->saved_data["segment"].toCapsule();
    const Replay replay(static_cast<const HeldSegment&>(*held).segment, {tensors.begin(), tensors.begin() + inputs});
    std::copy(replay.inputs.begin(), replay.inputs.end(), tensors.begin());

    variable_list wanted;
    for (const auto& tensor : tensors) {
      if (tensor.requires_grad()) wanted.push_back(tensor);
    }
    const auto found = torch::autograd::grad({replay.output}, wanted, gradients, std::nullopt, false, true);
    variable_list result(1);  // none for the segment itself
    size_t next = 0;
    for (const auto& tensor : tensors) result.push_back(tensor.requires_grad() ? found[next++] : Variable());
    return result;
  }
};

}  // namespace

at::Tensor recomputed(Segment segment, const std::vector<at::Tensor>& inputs, const std::vector<at::Tensor>& leaves) {
  const auto wants_gradient = [](const at::Tensor& tensor) { return tensor.requires_grad(); };
  if (!at::GradMode::is_enabled() || (std::none_of(inputs.begin(), inputs.end(), wants_gradient) &&
                                      std::none_of(leaves.begin(), leaves.end(), wants_gradient))) {
    return segment(inputs);
  }
  return RecomputeFunction::apply(c10::make_intrusive<HeldSegment>(std::move(segment)), at::TensorList(inputs),
                                  at::TensorList(leaves));
}

}  // namespace espalier::nn

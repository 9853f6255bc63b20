#include "train/flat_parameters.h"

#include <torch/types.h>

#include <set>

namespace espalier::train {

FlatParameters::FlatParameters(std::vector<Parameter> parameters) : parameters_(std::move(parameters)) {
  TORCH_CHECK(!parameters_.empty(), "nothing to train");
  std::set<std::string> names;
  int64_t total = 0;
  for (const auto& [name, tensor] : parameters_) {
    TORCH_CHECK(names.insert(name).second, "parameter ", name, " is given twice");
    TORCH_CHECK(tensor.scalar_type() == torch::kFloat32 && tensor.is_leaf(), name, " must be a float32 leaf");
    TORCH_CHECK(tensor.device() == parameters_.front().tensor.device(), name, " is on another device");
    slices_.push_back({name, tensor.sizes().vec(), total, tensor.numel()});
    total += tensor.numel();
  }
  const auto options = torch::dtype(torch::kFloat32).device(parameters_.front().tensor.device());
  values_ = torch::empty({total}, options);
  exchange_ = torch::zeros({total + 1}, options);
  gradient_ = exchange_.narrow(0, 0, total);
  for (size_t i = 0; i < slices_.size(); ++i) {
    auto& tensor = parameters_[i].tensor;
    const auto& slice = slices_[i];
    auto view = values_.narrow(0, slice.offset, slice.size).view(slice.shape);
    view.copy_(tensor.detach());
    tensor.set_data(view);
    tensor.set_requires_grad(true);
    tensor.mutable_grad() = gradient_.narrow(0, slice.offset, slice.size).view(slice.shape);
  }
}

void FlatParameters::zero_gradient() { exchange_.zero_(); }

void FlatParameters::check_gradients_in_place() const {
  for (size_t i = 0; i < slices_.size(); ++i) {
    const auto& gradient = parameters_[i].tensor.grad();
    TORCH_CHECK(gradient.defined() && gradient.const_data_ptr() ==
                                          static_cast<const float*>(gradient_.const_data_ptr()) + slices_[i].offset,
                "the gradient of ", slices_[i].name, " left its buffer");
  }
}

}  // namespace espalier::train

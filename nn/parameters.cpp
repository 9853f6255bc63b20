#include "nn/parameters.h"

#include <torch/types.h>

#include <set>
#include <sstream>

#include "absl/strings/str_cat.h"

namespace espalier::nn {
namespace {

constexpr int kNamedFaults = 20;  // enough to recognise a wrong file, short enough for a log line

std::string shape_text(at::IntArrayRef shape) {
  std::ostringstream text;
  text << shape;
  return text.str();
}

class Faults {
 public:
  void add(std::string fault) {
    if (++count_ <= kNamedFaults) absl::StrAppend(&text_, count_ > 1 ? "; " : "", fault);
  }
  Status status(std::string_view network) const {
    if (count_ == 0) return absl::OkStatus();
    const int more = count_ - kNamedFaults;
    return absl::InvalidArgumentError(absl::StrCat(std::string(network), ": ", text_,
                                                   more > 0 ? absl::StrCat("; and ", more, " more") : std::string()));
  }

 private:
  int count_ = 0;
  std::string text_;
};

bool is_recomputed(const std::string& name) { return name == "rope_phases" || name == "pos_emb"; }

}  // namespace

Result<TensorMap> conform(const std::vector<ParameterSpec>& specs, const TensorMap& tensors, std::string_view network) {
  Faults faults;
  TensorMap result;
  for (const auto& spec : specs) {
    const auto found = tensors.find(spec.name);
    if (found == tensors.end()) {
      faults.add(absl::StrCat("missing ", spec.name));
    } else if (found->second.sizes() != at::IntArrayRef(spec.shape)) {
      faults.add(
          absl::StrCat(spec.name, " is ", shape_text(found->second.sizes()), " instead of ", shape_text(spec.shape)));
    } else if (!found->second.is_floating_point()) {
      faults.add(absl::StrCat(spec.name, " is of type ", c10::toString(found->second.scalar_type())));
    } else {
      const auto& tensor = found->second;
      result[spec.name] = tensor.scalar_type() == spec.dtype ? tensor : tensor.detach().to(spec.dtype);
    }
  }
  std::set<std::string> known;
  for (const auto& spec : specs) known.insert(spec.name);
  for (const auto& [name, tensor] : tensors) {
    if (!known.count(name) && !is_recomputed(name)) faults.add(absl::StrCat("unexpected ", name));
  }
  ESP_TRY(faults.status(network));
  return result;
}

void require_gradients(TensorMap& parameters) {
  for (auto& [name, tensor] : parameters) {
    TORCH_CHECK(tensor.is_leaf(), name, " is not a leaf; train a detached copy");
    tensor.requires_grad_(true);
  }
}

TensorMap detach_copy(const TensorMap& parameters) {
  TensorMap copy;
  for (const auto& [name, tensor] : parameters) copy[name] = tensor.detach().clone(at::MemoryFormat::Contiguous);
  return copy;
}

}  // namespace espalier::nn

#include "tests/golden/model_case.h"

#include <torch/types.h>

#include "nn/io/safetensors.h"

namespace espalier::golden {

Result<ModelCase> ModelCase::open(const Case& golden) {
  ModelCase result;
  result.config = golden.description;
  result.args = golden.description.value("args", nlohmann::json::object());
  ESP_ASSIGN(auto weights, nn::SafetensorsFile::open(golden.folder / "weights.safetensors"));
  ESP_ASSIGN(auto io, nn::SafetensorsFile::open(golden.folder / "io.safetensors"));
  ESP_ASSIGN(result.weights, weights.tensors());
  ESP_ASSIGN(result.tensors, io.tensors());
  const auto& tolerance = golden.index.at("tolerance");
  result.atol = tolerance.at("atol");
  result.rtol = tolerance.at("rtol");
  return result;
}

void ModelCase::compare(Report& report, const std::string& name, const at::Tensor& got) const {
  const auto found = tensors.find(name);
  if (found == tensors.end()) return report.fail(name + " is missing from the case");
  const bool exact = !found->second.is_floating_point();
  const at::Tensor& want = found->second;
  report.compare(name, got.scalar_type() == at::kBool ? got.to(at::kByte) : got, want, exact ? 0 : atol,
                 exact ? 0 : rtol);
}

void ModelCase::compare_if(Report& report, const std::string& name, const at::Tensor& got) const {
  if (has(name)) compare(report, name, got);
}

}  // namespace espalier::golden

#pragma once

#include <torch/types.h>

#include <cmath>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "common/philox.h"
#include "common/status.h"

// What the benchmarks share.
namespace espalier::bench {

// N(0, scale^2), the same on every machine.
inline at::Tensor random_tensor(at::IntArrayRef shape, double scale, uint32_t stream) {
  PhiloxStream random(1, stream);
  auto tensor = torch::empty(shape, torch::kFloat32);
  auto* values = tensor.data_ptr<float>();
  for (int64_t i = 0; i < tensor.numel(); ++i) values[i] = static_cast<float>(scale * random.normal());
  return tensor;
}

// A sphere's shell two voxels thick, [T, 4] int32 of one sample, ascending; T is about 8 pi radius^2.
inline at::Tensor shell(double radius) {
  const int64_t side = 2 * static_cast<int64_t>(std::ceil(radius)) + 8;
  const auto axis = (torch::arange(side, torch::kFloat32) - (static_cast<float>(side) - 1) / 2).square();
  std::vector<at::Tensor> slices;
  for (int64_t x = 0; x < side; ++x) {  // slice by slice: the whole grid would dwarf the shell
    const auto r = (axis.view({-1, 1}) + axis + axis[x]).sqrt();
    const auto yz = ((r - radius).abs() < 1).nonzero();
    slices.push_back(at::cat({torch::zeros({yz.size(0), 1}, torch::kLong), torch::full({yz.size(0), 1}, x), yz}, 1));
  }
  return at::cat(slices).to(torch::kInt);
}

inline int64_t peak_rss_mib() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    if (word == "VmHWM:") {
      int64_t kib = 0;
      status >> kib;
      return kib / 1024;
    }
  }
  return 0;
}

// Prints a result as one line of JSON or as a list; returns the program's exit code.
inline int print(const Result<nlohmann::json>& result, bool as_json) {
  if (!result.ok()) {
    std::cerr << result.status() << "\n";
    return 1;
  }
  if (as_json) {
    std::cout << result->dump() << "\n";
  } else {
    for (const auto& [name, value] : result->items()) std::cout << name << ": " << value << "\n";
  }
  return 0;
}

}  // namespace espalier::bench

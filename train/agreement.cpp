#include "train/agreement.h"

#include <torch/types.h>

#include <algorithm>

#include "common/sha256.h"

namespace espalier::train {

std::string broadcast_text(std::string text, Collective& collective, c10::Device device) {
  auto size = torch::tensor({static_cast<int64_t>(text.size())}, torch::kInt64).to(device);
  collective.broadcast(size);
  auto bytes = torch::zeros({size.item<int64_t>()}, torch::kUInt8);
  if (collective.rank() == 0) std::copy(text.begin(), text.end(), bytes.data_ptr<uint8_t>());
  bytes = bytes.to(device);
  if (bytes.numel() > 0) collective.broadcast(bytes);
  bytes = bytes.cpu();
  const auto* data = bytes.const_data_ptr<uint8_t>();
  return {data, data + bytes.numel()};
}

int64_t ranks_where(bool condition, Collective& collective, c10::Device device) {
  auto votes = torch::full({1}, condition ? 1 : 0, torch::dtype(torch::kInt64).device(device));
  collective.all_reduce_sum(votes);
  return votes.item<int64_t>();
}

int64_t ranks_that_differ(const at::Tensor& values, const std::string& settings, Collective& collective) {
  if (collective.world_size() == 1) return 0;
  Sha256 digest;
  digest.update(settings);
  const auto bytes = values.cpu();
  digest.update(std::string_view(static_cast<const char*>(bytes.const_data_ptr()), bytes.nbytes()));
  const auto mine = digest.hex_digest();
  const bool differs = broadcast_text(mine, collective, values.device()) != mine;
  return ranks_where(differs, collective, values.device());
}

}  // namespace espalier::train

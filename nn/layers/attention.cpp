#include "nn/layers/attention.h"

#include <torch/types.h>

namespace espalier::nn {

at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  const at::Tensor out =
      at::scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2));  // [B, H, N, d]
  return out.transpose(1, 2).flatten(2);
}

at::Tensor attend_ragged(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                         const std::vector<int64_t>& q_offsets, const std::vector<int64_t>& k_offsets) {
  TORCH_CHECK(q_offsets.size() == k_offsets.size(), "queries have ", q_offsets.size() - 1, " samples, keys ",
              k_offsets.size() - 1);
  if (q.size(0) == 0) return q.flatten(1);
  // One split for all samples: its gradient is one concatenation, where that of a slice each is a sum over all rows.
  const auto by_sample = [](const at::Tensor& x, const std::vector<int64_t>& offsets) {
    std::vector<int64_t> sizes;
    for (size_t b = 0; b + 1 < offsets.size(); ++b) sizes.push_back(offsets[b + 1] - offsets[b]);
    return x.unsqueeze(0).split_with_sizes(sizes, 1);
  };
  const auto queries = by_sample(q, q_offsets), keys = by_sample(k, k_offsets), values = by_sample(v, k_offsets);
  std::vector<at::Tensor> parts;
  for (size_t b = 0; b < queries.size(); ++b) {
    if (queries[b].size(1) == 0) continue;
    TORCH_CHECK(keys[b].size(1) > 0, "sample ", b, " has nothing to attend to");
    parts.push_back(attend(queries[b], keys[b], values[b]));
  }
  return at::cat(parts, 1).squeeze(0);
}

}  // namespace espalier::nn

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
  std::vector<at::Tensor> parts;
  for (size_t b = 0; b + 1 < q_offsets.size(); ++b) {
    const int64_t rows = q_offsets[b + 1] - q_offsets[b], keys = k_offsets[b + 1] - k_offsets[b];
    if (rows == 0) continue;
    TORCH_CHECK(keys > 0, "sample ", b, " has nothing to attend to");
    const auto part = [](const at::Tensor& x, int64_t begin, int64_t n) { return x.narrow(0, begin, n).unsqueeze(0); };
    parts.push_back(attend(part(q, q_offsets[b], rows), part(k, k_offsets[b], keys), part(v, k_offsets[b], keys)));
  }
  if (parts.empty()) return q.flatten(1);
  return at::cat(parts, 1).squeeze(0);
}

}  // namespace espalier::nn

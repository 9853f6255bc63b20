#include "nn/sparse/conv_gather.h"

#include <torch/types.h>

#include <algorithm>

#include "nn/sparse/conv_cpu.h"

namespace espalier::nn {
namespace {

constexpr int64_t kChunkBytes = 64 << 20;  // of gathered neighbours: bounds memory

int64_t chunk_rows(const at::Tensor& feats) {
  return std::max<int64_t>(256, kChunkBytes / (kKernelOffsets * feats.size(1) * feats.element_size()));
}

// [n, 27 * C]: the features of the neighbours of rows begin .. begin+n, zeros where there is none.
at::Tensor gather(const at::Tensor& feats, const at::Tensor& map, int64_t begin, int64_t n) {
  const at::Tensor index = map.narrow(0, begin, n).flatten();
  const at::Tensor rows = feats.index_select(0, index.clamp_min(0));
  return rows.masked_fill_(index.lt(0).unsqueeze(1), 0).view({n, kKernelOffsets * feats.size(1)});
}

}  // namespace

at::Tensor convolve_gathered(const at::Tensor& feats, const at::Tensor& map, const at::Tensor& kernel,
                             const at::Tensor& bias) {
  const int64_t rows = feats.size(0), step = chunk_rows(feats);
  const at::Tensor out = torch::empty({rows, kernel.size(2)}, feats.options()), flat = kernel.flatten(0, 1);
  for (int64_t begin = 0; begin < rows; begin += step) {
    const int64_t n = std::min(step, rows - begin);
    at::Tensor part = out.narrow(0, begin, n);
    const at::Tensor neighbours = gather(feats, map, begin, n);
    if (bias.defined()) {
      at::addmm_out(part, bias, neighbours, flat);
    } else {
      at::mm_out(part, neighbours, flat);
    }
  }
  return out;
}

at::Tensor weight_gradient_gathered(const at::Tensor& grad, const at::Tensor& feats, const at::Tensor& map) {
  const int64_t rows = feats.size(0), step = chunk_rows(feats);
  at::Tensor sum = torch::zeros({grad.size(1), kKernelOffsets * feats.size(1)}, grad.options());
  for (int64_t begin = 0; begin < rows; begin += step) {
    const int64_t n = std::min(step, rows - begin);
    sum.addmm_(grad.narrow(0, begin, n).t(), gather(feats, map, begin, n));
  }
  return sum.view({grad.size(1), kKernelOffsets, feats.size(1)}).transpose(0, 1);
}

}  // namespace espalier::nn

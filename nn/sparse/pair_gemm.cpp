#include "nn/sparse/pair_gemm.h"

#include <ATen/Parallel.h>
#include <ATen/native/CPUBlas.h>
#include <torch/types.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

namespace espalier::nn {
namespace {

constexpr int64_t kBlockRows = 1024;     // of an output block: with 64 channels it fills an eighth of a level-2 cache
constexpr int64_t kGradientRows = 4096;  // of a block of the weight gradient
constexpr int64_t kTileRows = 64;        // of one call of the matrix kernel
constexpr int64_t kTileStep = 16;        // the last tile is filled up to a multiple: few kernels are ever generated
constexpr int64_t kPanel = 64;           // output channels of one call

// The rows of a block that have a neighbour at one offset, and where it is.
struct Pairs {
  std::vector<int32_t> rows;     // within the block
  std::vector<int32_t> sources;  // within all rows

  void clear() {
    rows.clear();
    sources.clear();
  }
  void add(int64_t row, int32_t source) {
    rows.push_back(static_cast<int32_t>(row));
    sources.push_back(source);
  }
  int64_t size() const { return static_cast<int64_t>(rows.size()); }
};

void gather(const float* from, const std::vector<int32_t>& rows, int64_t channels, float* to) {
  for (const int32_t row : rows) {
    std::memcpy(to, from + row * channels, sizeof(float) * channels);
    to += channels;
  }
}

void add_to(float* __restrict to, const float* __restrict from, int64_t count) {
  constexpr int64_t kStep = 16;  // a constant that the compiler turns into vectors
  for (; count >= kStep; count -= kStep, to += kStep, from += kStep) {
    for (int64_t i = 0; i < kStep; ++i) to[i] += from[i];
  }
  for (int64_t i = 0; i < count; ++i) to[i] += from[i];
}

// kernel [27, K, N] in panels of 64 output channels: [27, ceil(N / 64), K, 64].
at::Tensor packed(const at::Tensor& kernel) {
  const int64_t k = kernel.size(1), n = kernel.size(2), panels = (n + kPanel - 1) / kPanel;
  const at::Tensor padded = at::constant_pad_nd(kernel, {0, panels * kPanel - n});
  return padded.view({kKernelOffsets, k, panels, kPanel}).permute({0, 2, 1, 3}).contiguous();
}

// One thread's work on blocks of output rows.
class BlockConvolution {
 public:
  BlockConvolution(const float* feats, const float* kernel, int64_t in, int64_t out)
      : feats_(feats), kernel_(kernel), in_(in), out_(out), gathered_(kBlockRows * in), product_(kTileRows * kPanel) {}

  // map: 27 per row; out: the block's rows, which the products are added to.
  void run(const int32_t* map, int64_t rows, float* out) {
    find_pairs(map, rows);
    const int64_t panels = (out_ + kPanel - 1) / kPanel;
    for (int64_t v = 0; v < kKernelOffsets; ++v) {
      if (pairs_[v].size() == 0) continue;
      gather(feats_, pairs_[v].sources, in_, gathered_.data());
      for (int64_t panel = 0; panel < panels; ++panel) {
        add_panel(pairs_[v], kernel_ + (v * panels + panel) * in_ * kPanel, panel * kPanel, out);
      }
    }
  }

 private:
  void find_pairs(const int32_t* map, int64_t rows) {
    for (auto& pairs : pairs_) pairs.clear();
    for (int64_t row = 0; row < rows; ++row, map += kKernelOffsets) {
      for (int64_t v = 0; v < kKernelOffsets; ++v) {
        if (map[v] >= 0) pairs_[v].add(row, map[v]);
      }
    }
  }

  void add_panel(const Pairs& pairs, const float* panel, int64_t first_channel, float* out) {
    const int64_t width = std::min(kPanel, out_ - first_channel);
    for (int64_t begin = 0; begin < pairs.size(); begin += kTileRows) {
      const int64_t rows = std::min(kTileRows, pairs.size() - begin);
      const int64_t filled = (rows + kTileStep - 1) / kTileStep * kTileStep;
      at::native::cpublas::brgemm(filled, width, in_, in_, kPanel, kPanel, /*add_C=*/false,
                                  gathered_.data() + begin * in_, panel, product_.data(), /*is_vnni=*/false);
      for (int64_t i = 0; i < rows; ++i) {
        add_to(out + pairs.rows[begin + i] * out_ + first_channel, product_.data() + i * kPanel, width);
      }
    }
  }

  const float *feats_, *kernel_;
  int64_t in_, out_;
  std::array<Pairs, kKernelOffsets> pairs_;
  std::vector<float> gathered_, product_;
};

// One offset's part of the weight gradient, added to `sum` [N, K].
void add_outer_products(const at::Tensor& grad, const at::Tensor& feats, const int32_t* map, int64_t offset,
                        at::Tensor sum) {
  const int64_t rows = grad.size(0), out = grad.size(1), in = feats.size(1);
  const at::Tensor left = torch::empty({kGradientRows, out}), right = torch::empty({kGradientRows, in});
  Pairs pairs;
  for (int64_t begin = 0; begin < rows; begin += kGradientRows) {
    pairs.clear();
    for (int64_t row = begin; row < std::min(rows, begin + kGradientRows); ++row) {
      const int32_t source = map[row * kKernelOffsets + offset];
      if (source >= 0) pairs.add(row, source);
    }
    gather(grad.const_data_ptr<float>(), pairs.rows, out, left.mutable_data_ptr<float>());
    gather(feats.const_data_ptr<float>(), pairs.sources, in, right.mutable_data_ptr<float>());
    sum.addmm_(left.narrow(0, 0, pairs.size()).t(), right.narrow(0, 0, pairs.size()));
  }
}

}  // namespace

at::Tensor convolve_pairs(const at::Tensor& feats, const at::Tensor& map, const at::Tensor& kernel,
                          const at::Tensor& bias) {
  const int64_t rows = feats.size(0), in = feats.size(1), out = kernel.size(2);
  const at::Tensor panels = packed(kernel);
  const at::Tensor result = torch::empty({rows, out}, feats.options());
  float* to = result.mutable_data_ptr<float>();
  at::parallel_for(0, (rows + kBlockRows - 1) / kBlockRows, 1, [&](int64_t first, int64_t last) {
    BlockConvolution convolution(feats.const_data_ptr<float>(), panels.const_data_ptr<float>(), in, out);
    for (int64_t begin = first * kBlockRows; begin < std::min(rows, last * kBlockRows); begin += kBlockRows) {
      const int64_t n = std::min(kBlockRows, rows - begin);
      for (int64_t t = begin; t < begin + n; ++t) {
        if (bias.defined()) {
          std::memcpy(to + t * out, bias.const_data_ptr<float>(), sizeof(float) * out);
        } else {
          std::memset(to + t * out, 0, sizeof(float) * out);
        }
      }
      convolution.run(map.const_data_ptr<int32_t>() + begin * kKernelOffsets, n, to + begin * out);
    }
  });
  return result;
}

at::Tensor pair_outer_products(const at::Tensor& grad, const at::Tensor& feats, const at::Tensor& map) {
  const at::Tensor sum = torch::zeros({kKernelOffsets, grad.size(1), feats.size(1)}, grad.options());
  at::parallel_for(0, kKernelOffsets, 1, [&](int64_t first, int64_t last) {
    for (int64_t v = first; v < last; ++v) {
      add_outer_products(grad, feats, map.const_data_ptr<int32_t>(), v, sum.select(0, v));
    }
  });
  return sum;
}

}  // namespace espalier::nn

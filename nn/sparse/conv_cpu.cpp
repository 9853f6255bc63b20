#include "nn/sparse/conv_cpu.h"

#include <ATen/native/CPUBlas.h>
#include <torch/types.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "nn/layers/parallel.h"

// Submanifold convolution (Graham, Engelcke and van der Maaten 2018) with a 3x3x3 kernel, by gathering, multiplying and
// scattering. Of a block of output rows, the rows that have a neighbour at an offset are collected, offset by offset;
// the neighbours' features, side by side, are multiplied with the offset's matrix, and the products added to the rows.
// The block's size keeps its outputs in the cache while all 27 offsets add to them.
//
// A row belongs to one block, and the offsets add to it in ascending order: no thread count changes a bit.
namespace espalier::nn {
namespace {

constexpr int64_t kBlockRows = 1024;    // of an output block: with 64 channels it fills an eighth of a level-2 cache
constexpr int64_t kGradientRows = 512;  // of a block of the weight gradient
constexpr int64_t kGradientStep = 64;   // the pairs of a block are filled up to a multiple of it
constexpr int64_t kColumnStride = 528;  // >= kGradientRows, and not so even that all columns fall on one cache set
constexpr int64_t kTileRows = 64;       // of one call of the matrix kernel
constexpr int64_t kTileStep = 16;       // the last tile is filled up to a multiple: few kernels are ever generated
constexpr int64_t kPanel = 64;          // output channels of one call
constexpr int64_t kFewProducts = 1024;  // K * N below which finding and adding pairs costs more than it saves

int64_t panels_of(int64_t channels) { return (channels + kPanel - 1) / kPanel; }

// kernel [V, K, N] in panels of 64 output channels: [V, ceil(N / 64), K, 64].
at::Tensor packed(const at::Tensor& kernel) {
  const int64_t v = kernel.size(0), k = kernel.size(1), n = kernel.size(2), panels = panels_of(n);
  const at::Tensor padded = at::constant_pad_nd(kernel, {0, panels * kPanel - n});
  return padded.view({v, k, panels, kPanel}).permute({0, 2, 1, 3}).contiguous();
}

// c [rows, width] (+)= a [rows, k] panel [k, 64], row strides lda, 64 and ldc.
void multiply(int64_t rows, int64_t width, int64_t k, const float* a, const float* panel, float* c, int64_t ldc,
              bool add) {
  at::native::cpublas::brgemm(rows, width, k, k, kPanel, ldc, add, a, panel, c, /*is_vnni=*/false);
}

void add_to(float* __restrict to, const float* __restrict from, int64_t count) {
  constexpr int64_t kStep = 16;  // a constant that the compiler turns into vectors
  for (; count >= kStep; count -= kStep, to += kStep, from += kStep) {
    for (int64_t i = 0; i < kStep; ++i) to[i] += from[i];
  }
  for (int64_t i = 0; i < count; ++i) to[i] += from[i];
}

// The rows of a block that have a neighbour at one offset, and where it is among all rows.
struct Pairs {
  std::vector<int32_t> rows, sources;
  int64_t count = 0;

  explicit Pairs(int64_t block_rows) : rows(block_rows), sources(block_rows) {}
  void add_if_present(int64_t row, int32_t source) {
    rows[count] = static_cast<int32_t>(row);  // overwritten by the next when absent: no branch to mispredict
    sources[count] = source;
    count += source >= 0;
  }
};

void gather(const float* from, const std::vector<int32_t>& rows, int64_t count, int64_t channels, float* to) {
  for (int64_t i = 0; i < count; ++i)
    std::memcpy(to + i * channels, from + rows[i] * channels, sizeof(float) * channels);
}

// The same transposed: to [channels, kColumnStride].
void gather_columns(const float* from, const std::vector<int32_t>& rows, int64_t count, int64_t channels, float* to) {
  for (int64_t i = 0; i < count; ++i) {
    const float* row = from + rows[i] * channels;
    for (int64_t c = 0; c < channels; ++c) to[c * kColumnStride + i] = row[c];
  }
}

// One thread's work on blocks of output rows, pair by pair.
class PairConvolution {
 public:
  PairConvolution(const at::Tensor& feats, const at::Tensor& panels, int64_t out)
      : feats_(feats.const_data_ptr<float>()),
        panels_(panels.const_data_ptr<float>()),
        in_(feats.size(1)),
        out_(out),
        pairs_(kKernelOffsets, Pairs(kBlockRows)),
        gathered_(kBlockRows * in_),
        product_(kTileRows * kPanel) {}

  // map: 27 per row; out: the block's rows, which the products are added to.
  void run(const int32_t* map, int64_t rows, float* out) {
    for (auto& pairs : pairs_) pairs.count = 0;
    for (int64_t row = 0; row < rows; ++row, map += kKernelOffsets) {
      for (int64_t v = 0; v < kKernelOffsets; ++v) pairs_[v].add_if_present(row, map[v]);
    }
    const int64_t panels = panels_of(out_);
    for (int64_t v = 0; v < kKernelOffsets; ++v) {
      gather(feats_, pairs_[v].sources, pairs_[v].count, in_, gathered_.data());
      for (int64_t panel = 0; panel < panels; ++panel) {
        add_panel(pairs_[v], panels_ + (v * panels + panel) * in_ * kPanel, panel * kPanel, out);
      }
    }
  }

 private:
  // The rows that fill up a tile hold features gathered before; their products are left behind.
  void add_panel(const Pairs& pairs, const float* panel, int64_t first_channel, float* out) {
    const int64_t width = std::min(kPanel, out_ - first_channel);
    for (int64_t begin = 0; begin < pairs.count; begin += kTileRows) {
      const int64_t rows = std::min(kTileRows, pairs.count - begin);
      const int64_t filled = (rows + kTileStep - 1) / kTileStep * kTileStep;
      multiply(filled, width, in_, gathered_.data() + begin * in_, panel, product_.data(), kPanel, /*add=*/false);
      for (int64_t i = 0; i < rows; ++i) {
        add_to(out + pairs.rows[begin + i] * out_ + first_channel, product_.data() + i * kPanel, width);
      }
    }
  }

  const float *feats_, *panels_;
  int64_t in_, out_;
  std::vector<Pairs> pairs_;
  std::vector<float> gathered_, product_;
};

// The same with all neighbours of a row side by side, for few channels. The kernel is taken as [1, 27 K, N].
class DenseConvolution {
 public:
  DenseConvolution(const at::Tensor& feats, const at::Tensor& panels, int64_t out)
      : feats_(feats.const_data_ptr<float>()),
        panels_(panels.const_data_ptr<float>()),
        in_(feats.size(1)),
        out_(out),
        gathered_(kTileRows * kKernelOffsets * in_) {}

  void run(const int32_t* map, int64_t rows, float* out) {
    const int64_t k = kKernelOffsets * in_;
    for (int64_t begin = 0; begin < rows; begin += kTileRows) {
      const int64_t count = std::min(kTileRows, rows - begin);
      gather_neighbours(map + begin * kKernelOffsets, count * kKernelOffsets);
      for (int64_t panel = 0; panel < panels_of(out_); ++panel) {
        multiply(count, std::min(kPanel, out_ - panel * kPanel), k, gathered_.data(), panels_ + panel * k * kPanel,
                 out + begin * out_ + panel * kPanel, out_, /*add=*/true);
      }
    }
  }

 private:
  void gather_neighbours(const int32_t* map, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
      float* to = gathered_.data() + i * in_;
      if (map[i] < 0) {
        std::memset(to, 0, sizeof(float) * in_);
      } else {
        std::memcpy(to, feats_ + map[i] * in_, sizeof(float) * in_);
      }
    }
  }

  const float *feats_, *panels_;
  int64_t in_, out_;
  std::vector<float> gathered_;
};

// `out` holds the bias already.
template <class Convolution>
void run_blocks(const at::Tensor& feats, const at::Tensor& map, const at::Tensor& panels, at::Tensor& out) {
  const int64_t rows = out.size(0), channels = out.size(1);
  float* to = out.mutable_data_ptr<float>();
  parallel_for((rows + kBlockRows - 1) / kBlockRows, 1, [&](int64_t first, int64_t last) {
    Convolution convolution(feats, panels, channels);
    for (int64_t begin = first * kBlockRows; begin < std::min(rows, last * kBlockRows); begin += kBlockRows) {
      convolution.run(map.const_data_ptr<int32_t>() + begin * kKernelOffsets, std::min(kBlockRows, rows - begin),
                      to + begin * channels);
    }
  });
}

// One offset's part of the weight gradient, added to sum [N, K]: a product over the pairs. General matrix products are
// several times slower here, because they would rather cut the long common side among threads.
class OuterProducts {
 public:
  OuterProducts(const at::Tensor& grad, const at::Tensor& feats)
      : grad_(grad.const_data_ptr<float>()),
        feats_(feats.const_data_ptr<float>()),
        rows_(grad.size(0)),
        out_(grad.size(1)),
        in_(feats.size(1)),
        pairs_(kGradientRows),
        left_(out_ * kColumnStride),
        right_(kGradientRows * in_) {}

  void add(const int32_t* map, int64_t offset, float* sum) {
    for (int64_t begin = 0; begin < rows_; begin += kGradientRows) {
      pairs_.count = 0;
      for (int64_t row = begin; row < std::min(rows_, begin + kGradientRows); ++row) {
        pairs_.add_if_present(row, map[row * kKernelOffsets + offset]);
      }
      if (pairs_.count > 0) add_block(sum);
    }
  }

 private:
  void add_block(float* sum) {
    const int64_t filled = (pairs_.count + kGradientStep - 1) / kGradientStep * kGradientStep;
    gather_columns(grad_, pairs_.rows, pairs_.count, out_, left_.data());
    // The sum runs over the pairs, so what fills up their number must be zero.
    for (int64_t c = 0; c < out_; ++c) {
      std::fill_n(left_.data() + c * kColumnStride + pairs_.count, filled - pairs_.count, 0.0f);
    }
    gather(feats_, pairs_.sources, pairs_.count, in_, right_.data());
    std::fill_n(right_.data() + pairs_.count * in_, (filled - pairs_.count) * in_, 0.0f);
    at::native::cpublas::brgemm(out_, in_, filled, kColumnStride, in_, in_, /*add=*/true, left_.data(), right_.data(),
                                sum, /*is_vnni=*/false);
  }

  const float *grad_, *feats_;
  int64_t rows_, out_, in_;
  Pairs pairs_;
  std::vector<float> left_, right_;
};

}  // namespace

at::Tensor convolve_cpu(const at::Tensor& feats, const at::Tensor& map, const at::Tensor& kernel,
                        const at::Tensor& bias) {
  const int64_t in = kernel.size(1), out = kernel.size(2);
  at::Tensor result = bias.defined() ? bias.expand({feats.size(0), out}).clone(at::MemoryFormat::Contiguous)
                                     : torch::zeros({feats.size(0), out}, feats.options());
  if (in * out < kFewProducts) {
    run_blocks<DenseConvolution>(feats, map, packed(kernel.reshape({1, kKernelOffsets * in, out})), result);
  } else {
    run_blocks<PairConvolution>(feats, map, packed(kernel), result);
  }
  return result;
}

at::Tensor weight_gradient_cpu(const at::Tensor& grad, const at::Tensor& feats, const at::Tensor& map) {
  const at::Tensor sum = torch::zeros({kKernelOffsets, grad.size(1), feats.size(1)}, grad.options());
  const int64_t size = grad.size(1) * feats.size(1);
  parallel_for(kKernelOffsets, 1, [&](int64_t first, int64_t last) {
    OuterProducts products(grad, feats);
    for (int64_t v = first; v < last; ++v) {
      products.add(map.const_data_ptr<int32_t>(), v, sum.mutable_data_ptr<float>() + v * size);
    }
  });
  return sum;
}

}  // namespace espalier::nn

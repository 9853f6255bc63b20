#include "nn/layers/by_rows.h"

#include <torch/types.h>

#include <algorithm>

namespace espalier::nn {
namespace {

constexpr int64_t kPiece = 8192;

}  // namespace

at::Tensor by_rows(const at::Tensor& x, const std::function<at::Tensor(const at::Tensor&)>& map) {
  const int64_t rows = x.size(0);
  if (at::GradMode::is_enabled() || rows <= kPiece) return map(x);
  at::Tensor result;
  for (int64_t begin = 0; begin < rows; begin += kPiece) {
    const at::Tensor piece = map(x.narrow(0, begin, std::min(kPiece, rows - begin)));
    if (!result.defined()) result = torch::empty({rows, piece.size(1)}, piece.options());
    result.narrow(0, begin, piece.size(0)).copy_(piece);
  }
  return result;
}

}  // namespace espalier::nn

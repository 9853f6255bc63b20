#include "infer/latent_cells.h"

#include <torch/types.h>

#include "nn/sparse/sparse_tensor.h"

namespace espalier::infer {

bool has_repeated_cell(const at::Tensor& cells) {
  return std::get<0>(at::_unique2(nn::cell_keys(cells))).size(0) != cells.size(0);
}

}  // namespace espalier::infer

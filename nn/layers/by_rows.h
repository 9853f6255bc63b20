#pragma once

#include <functional>

namespace at {
class Tensor;
}

namespace espalier::nn {

// map(x) for a map that treats every row [C] by itself. Where no graph is made, the map sees some rows at a time, so
// that what it makes in between stays small however many rows there are.
//   x [T, C]; map: [n, C] -> [n, C'], any n; returns [T, C']
at::Tensor by_rows(const at::Tensor& x, const std::function<at::Tensor(const at::Tensor&)>& map);

}  // namespace espalier::nn

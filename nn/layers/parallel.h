#pragma once

#include <cstdint>
#include <functional>

namespace espalier::nn {

// Shares [0, count) among LibTorch's threads in ranges [begin, end) of at least `grain`. Serial within another parallel
// region. An exception of `work` is thrown on as std::runtime_error.
//
// at::parallel_for itself is a template that is silently serial wherever it is compiled without OpenMP; this one is
// the library's own.
void parallel_for(int64_t count, int64_t grain, const std::function<void(int64_t begin, int64_t end)>& work);

}  // namespace espalier::nn

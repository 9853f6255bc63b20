#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"

// NumPy's .npy and .npz files, read strictly: nothing of the header is evaluated, only its fixed grammar is accepted.
//
// Accepted: format versions 1.0 and 2.0, dtypes |u1 <i4 <i8 <f2 <f4 <f8 (also |b1 |i1), C and Fortran order (converted
// to C order), up to 8 dimensions. Object arrays, pickles, structured types and big-endian data are refused.
// Reference: NumPy "NEP 1 — a simple file format for NumPy arrays".
namespace espalier::dataset {

struct Array {
  std::string dtype;  // as in the header: "<f4", "|u1", …
  std::vector<int64_t> shape;
  std::string bytes;  // C order, little endian; product(shape) * item size

  int64_t size() const;  // number of elements
  // The elements. INVALID_ARGUMENT when the dtype is another one.
  Result<std::vector<float>> floats() const;
  Result<std::vector<uint8_t>> u8() const;
};

struct NpyLimits {
  uint64_t max_bytes = uint64_t{1} << 30;  // of one array
};

// INVALID_ARGUMENT: anything outside the above, or a payload that is not exactly shape * item size.
// RESOURCE_EXHAUSTED: larger than the limit; nothing has been allocated then.
Result<Array> read_npy(std::string_view file, const NpyLimits& limits = {});
std::string write_npy(const Array& array);

// Members by name without ".npy". INVALID_ARGUMENT also for a member that is no .npy, two of one name, no members.
Result<std::map<std::string, Array>> read_npz(std::string_view file, const NpyLimits& limits = {});
// Like numpy.savez_compressed: a zip with deflated members in name order and fixed times, so equal arrays give equal
// bytes.
Result<std::string> write_npz(const std::map<std::string, Array>& arrays);

Array make_array(std::span<const float> values, std::vector<int64_t> shape);
Array make_array(std::span<const uint8_t> values, std::vector<int64_t> shape);

}  // namespace espalier::dataset

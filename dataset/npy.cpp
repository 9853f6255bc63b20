#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstring>
#include <optional>

#include "absl/strings/str_cat.h"
#include "dataset/npz.h"

namespace espalier::dataset {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr size_t kMaxHeader = 4096;
constexpr size_t kMaxDims = 8;

Status fault(std::string_view what) { return absl::InvalidArgumentError(absl::StrCat("npy: ", std::string(what))); }

std::optional<size_t> item_size(std::string_view dtype) {
  static constexpr std::array<std::pair<std::string_view, size_t>, 8> kTypes = {
      {{"|u1", 1}, {"|i1", 1}, {"|b1", 1}, {"<f2", 2}, {"<i4", 4}, {"<f4", 4}, {"<i8", 8}, {"<f8", 8}}};
  for (const auto& [name, size] : kTypes) {
    if (name == dtype) return size;
  }
  return std::nullopt;
}

struct Header {
  std::string dtype;
  bool fortran = false;
  std::vector<int64_t> shape;
};

// The header's one dictionary: {'descr': '<f4', 'fortran_order': False, 'shape': (8, 16), }
class HeaderParser {
 public:
  explicit HeaderParser(std::string_view text) : rest_(text) {}

  Result<Header> parse() {
    Header header;
    bool descr = false, order = false, shape = false;
    if (!eat("{")) return fault("the header is not a dictionary");
    while (!eat("}")) {
      std::string key;
      if (!quoted(key) || !eat(":")) return fault("the header has a malformed key");
      bool* seen = key == "descr" ? &descr : key == "fortran_order" ? &order : key == "shape" ? &shape : nullptr;
      if (seen == nullptr) return fault("the header has an unknown key");
      if (std::exchange(*seen, true)) return fault("the header has a key twice");
      const bool good = seen == &descr   ? quoted(header.dtype)
                        : seen == &order ? boolean(header.fortran)
                                         : tuple(header);
      if (!good) return fault(absl::StrCat("the header's ", key, " is malformed"));
      if (!eat(",") && !(skip(), rest_.starts_with("}"))) return fault("the header is malformed");
    }
    skip();
    if (!rest_.empty() || !descr || !order || !shape) return fault("the header is incomplete or has trailing text");
    return header;
  }

 private:
  void skip() {
    while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\n')) rest_.remove_prefix(1);
  }
  bool eat(std::string_view token) {
    skip();
    if (!rest_.starts_with(token)) return false;
    rest_.remove_prefix(token.size());
    return true;
  }
  bool quoted(std::string& out) {
    skip();
    if (rest_.empty() || (rest_.front() != '\'' && rest_.front() != '"')) return false;
    const size_t end = rest_.find(rest_.front(), 1);
    if (end == std::string_view::npos) return false;
    out = std::string(rest_.substr(1, end - 1));
    rest_.remove_prefix(end + 1);
    return true;
  }
  bool boolean(bool& out) {
    if (eat("False")) return out = false, true;
    return out = true, eat("True");
  }
  bool tuple(Header& header) {
    if (!eat("(")) return false;
    while (!eat(")")) {
      skip();
      int64_t value = 0;
      const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
      if (error != std::errc() || value < 0 || header.shape.size() == kMaxDims) return false;
      rest_.remove_prefix(static_cast<size_t>(end - rest_.data()));
      header.shape.push_back(value);
      if (!eat(",") && !(skip(), rest_.starts_with(")"))) return false;
    }
    return true;
  }
  std::string_view rest_;
};

// Reorders column-major items to row-major.
std::string to_c_order(std::string_view bytes, const std::vector<int64_t>& shape, size_t item) {
  std::string out(bytes.size(), '\0');
  const size_t count = bytes.size() / item;
  for (size_t c = 0; c < count; ++c) {
    size_t rest = c, fortran = 0;
    std::array<size_t, kMaxDims> stride{};
    size_t step = 1;
    for (size_t d = 0; d < shape.size(); ++d) stride[d] = step, step *= static_cast<size_t>(shape[d]);
    for (size_t d = shape.size(); d-- > 0;) {
      fortran += rest % static_cast<size_t>(shape[d]) * stride[d];
      rest /= static_cast<size_t>(shape[d]);
    }
    std::memcpy(&out[c * item], &bytes[fortran * item], item);
  }
  return out;
}

// Elements times item size; nullopt on overflow or above `limit`.
std::optional<uint64_t> payload_bytes(const std::vector<int64_t>& shape, size_t item, uint64_t limit) {
  uint64_t bytes = item;
  for (const int64_t side : shape) {
    if (__builtin_mul_overflow(bytes, static_cast<uint64_t>(side), &bytes)) return std::nullopt;
  }
  if (bytes > limit) return std::nullopt;
  return bytes;
}

float half_to_float(uint16_t half) {
  const int exponent = (half >> 10) & 0x1F;
  const int mantissa = half & 0x3FF;
  float value = 0;
  if (exponent == 31) {
    value = mantissa == 0 ? INFINITY : NAN;
  } else {
    value = exponent == 0 ? std::ldexp(static_cast<float>(mantissa), -24)
                          : std::ldexp(static_cast<float>(mantissa + 1024), exponent - 25);
  }
  return (half & 0x8000) != 0 ? -value : value;
}

template <class T>
T load(const std::string& bytes, int64_t i) {
  T value;
  std::memcpy(&value, bytes.data() + static_cast<size_t>(i) * sizeof(T), sizeof(T));
  return value;
}

}  // namespace

int64_t Array::size() const {
  const auto item = item_size(dtype);
  return item ? static_cast<int64_t>(bytes.size() / *item) : 0;
}

Result<std::vector<float>> Array::floats() const {
  std::vector<float> out(static_cast<size_t>(size()));
  for (int64_t i = 0; i < size(); ++i) {
    float& value = out[static_cast<size_t>(i)];
    if (dtype == "<f4") {
      value = load<float>(bytes, i);
    } else if (dtype == "<f2") {
      value = half_to_float(load<uint16_t>(bytes, i));
    } else if (dtype == "<f8") {
      value = static_cast<float>(load<double>(bytes, i));
    } else {
      return fault(absl::StrCat("dtype is ", dtype, "; expected a float type"));
    }
  }
  return out;
}

Result<std::vector<uint8_t>> Array::u8() const {
  if (dtype != "|u1") return fault(absl::StrCat("dtype is ", dtype, "; expected |u1"));
  return std::vector<uint8_t>(bytes.begin(), bytes.end());
}

Result<Array> read_npy(std::string_view file, const NpyLimits& limits) {
  if (!file.starts_with(kMagic) || file.size() < 10) return fault("not an npy file");
  const int major = file[6];
  if ((major != 1 && major != 2) || file[7] != 0) return fault("unknown version; supported are 1.0 and 2.0");
  const size_t start = major == 1 ? 10 : 12;
  if (file.size() < start) return fault("truncated");
  size_t length = 0;
  for (size_t i = start; i-- > 8;) length = (length << 8) | static_cast<unsigned char>(file[i]);
  if (length > kMaxHeader || length > file.size() - start) return fault("the header is too long or truncated");
  ESP_ASSIGN(Header header, HeaderParser(file.substr(start, length)).parse());
  const auto item = item_size(header.dtype);
  if (!item) return fault(absl::StrCat("dtype \"", header.dtype.substr(0, 20), "\" is not accepted"));
  const auto expected = payload_bytes(header.shape, *item, limits.max_bytes);
  if (!expected)
    return absl::ResourceExhaustedError(absl::StrCat("npy: larger than the limit of ", limits.max_bytes, " bytes"));
  const std::string_view payload = file.substr(start + length);
  if (payload.size() != *expected)
    return fault(absl::StrCat("has ", payload.size(), " bytes of data; its shape needs ", *expected));
  const bool reorder = header.fortran && header.shape.size() > 1;
  return Array{std::move(header.dtype), header.shape,
               reorder ? to_c_order(payload, header.shape, *item) : std::string(payload)};
}

std::string write_npy(const Array& array) {
  std::string header = absl::StrCat("{'descr': '", array.dtype, "', 'fortran_order': False, 'shape': (");
  for (size_t i = 0; i < array.shape.size(); ++i) absl::StrAppend(&header, i > 0 ? ", " : "", array.shape[i]);
  absl::StrAppend(&header, array.shape.size() == 1 ? ",), }" : "), }");
  const size_t unpadded = kMagic.size() + 4 + header.size() + 1;
  header.append((64 - unpadded % 64) % 64, ' ');
  header.push_back('\n');
  std::string out(kMagic);
  out += '\x01';
  out += '\0';
  out += static_cast<char>(header.size() & 0xFF);
  out += static_cast<char>(header.size() >> 8);
  return out + header + array.bytes;
}

Array make_array(std::span<const float> values, std::vector<int64_t> shape) {
  return {"<f4", std::move(shape), std::string(reinterpret_cast<const char*>(values.data()), values.size_bytes())};
}

Array make_array(std::span<const uint8_t> values, std::vector<int64_t> shape) {
  return {"|u1", std::move(shape), std::string(values.begin(), values.end())};
}

}  // namespace espalier::dataset

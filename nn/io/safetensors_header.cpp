#include "nn/io/safetensors_header.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "absl/strings/str_cat.h"

namespace espalier::nn {
namespace {

constexpr uint64_t kLargestInteger = uint64_t{1} << 53;  // what every JSON reader holds exactly
constexpr const char* kMetadata = "__metadata__";

// Reads the header event by event: duplicate keys and deep nesting are seen, and nothing is built from a hostile one.
class HeaderReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit HeaderReader(const SafetensorsLimits& limits) : limits_(limits) {}

  bool null() override { return fail("null is not allowed"); }
  bool boolean(bool) override { return fail("a boolean is not allowed"); }
  bool number_integer(number_integer_t) override { return fail("a negative number is not allowed"); }
  bool number_float(number_float_t, const string_t&) override { return fail("a fraction is not allowed"); }
  bool binary(binary_t&) override { return fail("binary data is not allowed"); }

  bool number_unsigned(number_unsigned_t value) override {
    if (!in_array_) return fail("a number is not allowed here");
    if (value > kLargestInteger) return fail("a number is larger than 2^53");
    numbers_.push_back(value);
    if (numbers_.size() > 64) return fail("an array has too many numbers");
    return true;
  }

  bool string(string_t& value) override {
    if (depth_ != 2 || in_array_) return fail("a string is not allowed here");
    if (in_metadata_) return add_metadata(value);
    if (field_ != "dtype") return fail(absl::StrCat(field_, " must be an array of numbers"));
    entry_.dtype = value;
    return true;
  }

  bool start_object(size_t) override {
    if (in_array_ || depth_ >= 2) return fail("the nesting is too deep");
    if (++depth_ == 2) {
      entry_ = {};
      fields_.clear();
    }
    return true;
  }

  bool key(string_t& value) override {
    if (depth_ == 1) return begin_tensor(value);
    if (!fields_.insert(value).second) return fail(absl::StrCat("the key ", value, " appears twice"));
    field_ = value;
    if (!in_metadata_ && value != "dtype" && value != "shape" && value != "data_offsets") {
      return fail(absl::StrCat("unknown field ", value));
    }
    return true;
  }

  bool end_object() override {
    if (--depth_ != 1 || in_metadata_) return true;
    if (fields_.size() != 3) return fail("dtype, shape and data_offsets are required");
    header.entries[name_] = entry_;
    return true;
  }

  bool start_array(size_t) override {
    if (depth_ != 2 || in_array_ || in_metadata_ || field_ == "dtype") return fail("an array is not allowed here");
    in_array_ = true;
    numbers_.clear();
    return true;
  }

  bool end_array() override {
    in_array_ = false;
    if (field_ == "shape") {
      entry_.shape.assign(numbers_.begin(), numbers_.end());
      return true;
    }
    if (numbers_.size() != 2) return fail("data_offsets must be two numbers");
    entry_.begin = numbers_[0];
    entry_.end = numbers_[1];
    return true;
  }

  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception&) override {
    name_.clear();
    return fail(absl::StrCat("the header is not valid JSON at byte ", position));
  }

  SafetensorsHeader header;
  std::string fault;

 private:
  bool fail(std::string_view why) {
    fault = name_.empty() ? std::string(why) : absl::StrCat("tensor ", name_.substr(0, 200), ": ", std::string(why));
    return false;
  }

  bool begin_tensor(const std::string& name) {
    name_ = name;
    if (!names_.insert(name).second) return fail("the name appears twice");
    if (name.empty() || name.size() > limits_.name_bytes) return fail("the name is empty or too long");
    in_metadata_ = name == kMetadata;
    return true;
  }

  bool add_metadata(const std::string& value) {
    metadata_bytes_ += field_.size() + value.size();
    if (metadata_bytes_ > limits_.metadata_bytes) return fail("too large");
    header.metadata[field_] = value;
    return true;
  }

  const SafetensorsLimits& limits_;
  std::set<std::string> names_, fields_;
  std::string name_, field_;
  SafetensorsFile::Entry entry_;
  std::vector<uint64_t> numbers_;
  uint64_t metadata_bytes_ = 0;
  int depth_ = 0;
  bool in_array_ = false, in_metadata_ = false;
};

Status check_entry(const std::string& name, const SafetensorsFile::Entry& entry, uint64_t data_bytes,
                   const SafetensorsLimits& limits) {
  const auto fail = [&](std::string_view why) {
    return absl::DataLossError(absl::StrCat("tensor ", name, ": ", std::string(why)));
  };
  uint64_t bytes = safetensors_item_size(entry.dtype);
  if (bytes == 0) return fail(absl::StrCat("unknown dtype ", entry.dtype.substr(0, 32)));
  if (entry.shape.size() > static_cast<size_t>(limits.dimensions)) return fail("too many dimensions");
  bool empty = false;
  for (const int64_t side : entry.shape) {
    if (side == 0)
      empty = true;
    else if (__builtin_mul_overflow(bytes, static_cast<uint64_t>(side), &bytes))
      return fail("the shape overflows");
  }
  if (bytes > static_cast<uint64_t>(INT64_MAX)) return fail("the shape overflows");
  if (empty) bytes = 0;
  if (entry.begin > entry.end || entry.end > data_bytes) return fail("data_offsets lie outside the file");
  if (entry.end - entry.begin != bytes) return fail("data_offsets do not match dtype and shape");
  return absl::OkStatus();
}

Status check_coverage(const SafetensorsHeader& header, uint64_t data_bytes) {
  std::vector<std::pair<uint64_t, uint64_t>> ranges;
  for (const auto& [name, entry] : header.entries) ranges.emplace_back(entry.begin, entry.end);
  std::sort(ranges.begin(), ranges.end());
  uint64_t position = 0;
  for (const auto& [begin, end] : ranges) {
    if (begin != position) {
      return absl::DataLossError(absl::StrCat("tensor data ", begin < position ? "overlap" : "leave a hole",
                                              " at byte ", std::min(begin, position)));
    }
    position = end;
  }
  if (position != data_bytes) return absl::DataLossError(absl::StrCat("no tensor covers the bytes from ", position));
  return absl::OkStatus();
}

}  // namespace

uint64_t safetensors_item_size(std::string_view dtype) {
  static const std::map<std::string, uint64_t, std::less<>> kSizes = {{"F64", 8}, {"F32", 4},  {"F16", 2}, {"BF16", 2},
                                                                      {"I64", 8}, {"I32", 4},  {"I16", 2}, {"I8", 1},
                                                                      {"U8", 1},  {"BOOL", 1}, {"C64", 8}};
  const auto found = kSizes.find(dtype);
  return found == kSizes.end() ? 0 : found->second;
}

Result<SafetensorsHeader> parse_safetensors_header(std::string_view json, uint64_t data_bytes,
                                                   const SafetensorsLimits& limits) {
  if (json.empty() || json.front() != '{') return absl::DataLossError("the header does not start with '{'");
  HeaderReader reader(limits);
  if (!nlohmann::json::sax_parse(json.begin(), json.end(), &reader)) return absl::DataLossError(reader.fault);
  for (const auto& [name, entry] : reader.header.entries) ESP_TRY(check_entry(name, entry, data_bytes, limits));
  ESP_TRY(check_coverage(reader.header, data_bytes));
  return std::move(reader.header);
}

}  // namespace espalier::nn

#include "dataset/json_fields.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace espalier::dataset {

JsonFields::JsonFields(const nlohmann::json& node, std::string where, Status& status)
    : node_(node), where_(std::move(where)), status_(status) {
  if (!node_.is_object()) fail("", "must be an object");
}

std::string JsonFields::path(std::string_view key) const {
  if (key.empty()) return where_.empty() ? "the document" : where_;
  return where_.empty() ? std::string(key) : absl::StrCat(where_, ".", std::string(key));
}

void JsonFields::fail(std::string_view key, std::string_view what) {
  if (status_.ok()) status_ = absl::InvalidArgumentError(absl::StrCat(path(key), ": ", std::string(what)));
}

const nlohmann::json* JsonFields::find(const char* key) const {
  if (!node_.is_object()) return nullptr;
  const auto found = node_.find(key);
  return found == node_.end() || found->is_null() ? nullptr : &*found;
}

std::string JsonFields::text(const char* key, size_t max_bytes) {
  if (!has(key)) fail(key, "is missing");
  return text_or(key, {}, max_bytes);
}

std::string JsonFields::text_or(const char* key, std::string fallback, size_t max_bytes) {
  const nlohmann::json* value = find(key);
  if (value == nullptr) return fallback;
  if (!value->is_string() || value->get_ref<const std::string&>().size() > max_bytes) {
    fail(key, absl::StrCat("must be a string of at most ", max_bytes, " bytes"));
    return fallback;
  }
  return value->get<std::string>();
}

int64_t JsonFields::integer(const char* key, int64_t low, int64_t high) {
  if (!has(key)) fail(key, "is missing");
  return integer_or(key, low, low, high);
}

int64_t JsonFields::integer_or(const char* key, int64_t fallback, int64_t low, int64_t high) {
  const nlohmann::json* value = find(key);
  if (value == nullptr) return fallback;
  const bool fits = value->is_number_integer() && (!value->is_number_unsigned() || value->get<uint64_t>() <= INT64_MAX);
  const int64_t number = fits ? value->get<int64_t>() : 0;
  if (!fits || number < low || number > high) {
    fail(key, absl::StrCat("must be an integer from ", low, " to ", high));
    return fallback;
  }
  return number;
}

double JsonFields::number_or(const char* key, double fallback) {
  const nlohmann::json* value = find(key);
  if (value == nullptr) return fallback;
  if (!value->is_number() || !std::isfinite(value->get<double>())) {
    fail(key, "must be a finite number");
    return fallback;
  }
  return value->get<double>();
}

bool JsonFields::boolean_or(const char* key, bool fallback) {
  const nlohmann::json* value = find(key);
  if (value == nullptr) return fallback;
  if (!value->is_boolean()) {
    fail(key, "must be true or false");
    return fallback;
  }
  return value->get<bool>();
}

std::vector<double> JsonFields::numbers(const char* key, size_t max_count) {
  const nlohmann::json* value = find(key);
  const auto is_number = [](const nlohmann::json& v) { return v.is_number() && std::isfinite(v.get<double>()); };
  if (value == nullptr || !value->is_array() || value->size() > max_count ||
      !std::all_of(value->begin(), value->end(), is_number)) {
    fail(key, absl::StrCat("must be an array of at most ", max_count, " finite numbers"));
    return {};
  }
  return value->get<std::vector<double>>();
}

void JsonFields::object(const char* key, const std::function<void(JsonFields&)>& read) {
  const nlohmann::json* value = find(key);
  if (value == nullptr) return fail(key, "is missing");
  JsonFields fields(*value, path(key), status_);
  read(fields);
}

void JsonFields::each_member(const char* key, const std::function<void(const std::string&, JsonFields&)>& read) {
  const nlohmann::json* value = find(key);
  if (value == nullptr) return;
  if (!value->is_object()) return fail(key, "must be an object");
  for (const auto& [name, member] : value->items()) {
    JsonFields fields(member, absl::StrCat(path(key), ".", name), status_);
    if (member.is_object()) read(name, fields);
  }
}

void JsonFields::each_text_member(const char* key, const std::function<void(const std::string&, std::string)>& read) {
  const nlohmann::json* value = find(key);
  if (value == nullptr) return;
  if (!value->is_object()) return fail(key, "must be an object");
  for (const auto& [name, member] : value->items()) {
    if (!member.is_string()) return fail(key, "must hold strings only");
    read(name, member.get<std::string>());
  }
}

void JsonFields::each_integer_member(const char* key, const std::function<void(const std::string&, int64_t)>& read) {
  const nlohmann::json* value = find(key);
  if (value == nullptr) return;
  if (!value->is_object()) return fail(key, "must be an object");
  for (const auto& [name, member] : value->items()) {
    if (!member.is_number_integer() || member.get<int64_t>() < 0) return fail(key, "must hold integers >= 0 only");
    read(name, member.get<int64_t>());
  }
}

void JsonFields::each_element(const char* key, size_t max_count, const std::function<void(JsonFields&)>& read) {
  const nlohmann::json* value = find(key);
  if (value == nullptr) return fail(key, "is missing");
  if (!value->is_array() || value->size() > max_count)
    return fail(key, absl::StrCat("must be an array of at most ", max_count, " elements"));
  for (size_t i = 0; i < value->size() && status_.ok(); ++i) {
    JsonFields fields((*value)[i], absl::StrCat(path(key), "[", i, "]"), status_);
    if ((*value)[i].is_object()) read(fields);
  }
}

}  // namespace espalier::dataset

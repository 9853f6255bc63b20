#include "nn/io/json_args.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace espalier::nn {

JsonArgs::JsonArgs(const nlohmann::json& object, std::string where) : object_(object), where_(std::move(where)) {
  if (!object_.is_object()) faults_ = "not a JSON object";
}

bool JsonArgs::has(const char* field) const {
  return object_.is_object() && object_.contains(field) && !object_[field].is_null();
}

const nlohmann::json* JsonArgs::find(const char* field, bool required) {
  known_.insert(field);
  if (has(field)) return &object_[field];
  if (required) fault(field, "is required");
  return nullptr;
}

void JsonArgs::fault(const std::string& field, const std::string& allowed) {
  absl::StrAppend(&faults_, faults_.empty() ? "" : "; ", field, " ", allowed);
}

void JsonArgs::integer(const char* field, int64_t& value, int64_t low, int64_t high, bool required) {
  const auto* found = find(field, required);
  if (!found) return;
  const bool fits = found->is_number_integer() && !(found->is_number_unsigned() && found->get<uint64_t>() > INT64_MAX);
  if (!fits || found->get<int64_t>() < low || found->get<int64_t>() > high) {
    return fault(field, absl::StrCat("must be a whole number from ", low, " to ", high));
  }
  value = found->get<int64_t>();
}

void JsonArgs::number(const char* field, double& value, double low, double high) {
  const auto* found = find(field, false);
  if (!found) return;
  if (!found->is_number() || !(found->get<double>() >= low && found->get<double>() <= high)) {
    return fault(field, absl::StrCat("must be a number from ", low, " to ", high));
  }
  value = found->get<double>();
}

void JsonArgs::boolean(const char* field, bool& value) {
  const auto* found = find(field, false);
  if (!found) return;
  if (!found->is_boolean()) return fault(field, "must be true or false");
  value = found->get<bool>();
}

void JsonArgs::text(const char* field, std::string& value, const std::vector<std::string>& allowed) {
  const auto* found = find(field, false);
  if (!found) return;
  if (!found->is_string()) return fault(field, "must be a text");
  auto text = found->get<std::string>();
  if (!allowed.empty() && std::find(allowed.begin(), allowed.end(), text) == allowed.end()) {
    return fault(field, absl::StrCat("must be one of ", absl::StrJoin(allowed, ", ")));
  }
  value = std::move(text);
}

void JsonArgs::texts(const char* field, std::vector<std::string>& value, const std::vector<std::string>& allowed,
                     size_t max_count) {
  const auto* found = find(field, true);
  if (!found) return;
  const auto good = [&](const nlohmann::json& item) {
    return item.is_string() && std::find(allowed.begin(), allowed.end(), item.get<std::string>()) != allowed.end();
  };
  if (!found->is_array() || found->size() > max_count || !std::all_of(found->begin(), found->end(), good)) {
    return fault(field, absl::StrCat("must be up to ", max_count, " of ", absl::StrJoin(allowed, ", ")));
  }
  value = found->get<std::vector<std::string>>();
}

void JsonArgs::integers(const char* field, std::vector<int64_t>& value, int64_t low, int64_t high, size_t max_count) {
  const auto* found = find(field, true);
  if (!found) return;
  const auto good = [&](const nlohmann::json& item) {
    return item.is_number_integer() && item.get<int64_t>() >= low && item.get<int64_t>() <= high;
  };
  if (!found->is_array() || found->empty() || found->size() > max_count ||
      !std::all_of(found->begin(), found->end(), good)) {
    return fault(field, absl::StrCat("must be 1 to ", max_count, " whole numbers from ", low, " to ", high));
  }
  value = found->get<std::vector<int64_t>>();
}

Status JsonArgs::status(bool reject_unknown) {
  if (reject_unknown && object_.is_object()) {
    for (const auto& [field, value] : object_.items()) {
      if (!known_.count(field)) fault(field, "is not a known argument");
    }
  }
  return faults_.empty() ? absl::OkStatus() : absl::InvalidArgumentError(absl::StrCat(where_, ": ", faults_));
}

}  // namespace espalier::nn

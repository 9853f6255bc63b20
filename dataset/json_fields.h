#pragma once

#include <cmath>
#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"

namespace espalier::dataset {

// Typed reading of one JSON object. The first fault, named by its path ("objects[3].sha256"), is kept in the status
// shared by a tree of readers; reading goes on with default values, so that a caller checks the status once at the end.
class JsonFields {
 public:
  JsonFields(const nlohmann::json& node, std::string where, Status& status);

  // Absent (or null) optional fields give `fallback`.
  std::string text(const char* key, size_t max_bytes = 4096);
  std::string text_or(const char* key, std::string fallback, size_t max_bytes = 4096);
  int64_t integer(const char* key, int64_t low, int64_t high);
  int64_t integer_or(const char* key, int64_t fallback, int64_t low, int64_t high);
  double number_or(const char* key, double fallback);
  bool boolean_or(const char* key, bool fallback);
  std::vector<double> numbers(const char* key, size_t max_count);  // required
  bool has(const char* key) const { return find(key) != nullptr; }

  void object(const char* key, const std::function<void(JsonFields&)>& read);  // required
  void each_member(const char* key, const std::function<void(const std::string& name, JsonFields&)>& read);
  void each_text_member(const char* key, const std::function<void(const std::string& name, std::string)>& read);
  void each_integer_member(const char* key, const std::function<void(const std::string& name, int64_t)>& read);
  void each_element(const char* key, size_t max_count, const std::function<void(JsonFields&)>& read);

  void fail(std::string_view key, std::string_view what);

 private:
  const nlohmann::json* find(const char* key) const;
  std::string path(std::string_view key) const;

  const nlohmann::json& node_;
  const std::string where_;
  Status& status_;
};

}  // namespace espalier::dataset

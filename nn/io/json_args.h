#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "common/status.h"

namespace espalier::nn {

// Reads the fields of a model's JSON object with their allowed ranges, and collects every fault into one error.
// A field that is absent leaves the default untouched unless it is required.
class JsonArgs {
 public:
  // The object must outlive this reader.
  JsonArgs(const nlohmann::json& object, std::string where);

  void integer(const char* field, int64_t& value, int64_t low, int64_t high, bool required = false);
  void number(const char* field, double& value, double low, double high);
  void boolean(const char* field, bool& value);
  void text(const char* field, std::string& value, const std::vector<std::string>& allowed = {});
  void texts(const char* field, std::vector<std::string>& value, const std::vector<std::string>& allowed,
             size_t max_count);
  void integers(const char* field, std::vector<int64_t>& value, int64_t low, int64_t high, size_t max_count);
  void ignore(const char* field) { known_.insert(field); }
  bool has(const char* field) const;
  void fault(const std::string& field, const std::string& allowed);

  // OK, or INVALID_ARGUMENT with all faults. `reject_unknown`: fields nobody asked for are faults too.
  Status status(bool reject_unknown);

 private:
  const nlohmann::json* find(const char* field, bool required);

  const nlohmann::json& object_;
  std::string where_, faults_;
  std::set<std::string> known_;
};

}  // namespace espalier::nn

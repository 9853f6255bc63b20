#pragma once

#include <string>
#include <vector>

namespace espalier::client {

enum class Health { kOk, kWarn, kFail };

// One thing that was looked at.
struct DoctorRow {
  std::string what;
  Health health = Health::kOk;
  std::string found;
  std::string remedy = {};  // of what is not well
};

using DoctorRows = std::vector<DoctorRow>;

}  // namespace espalier::client

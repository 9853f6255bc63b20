#pragma once

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "espalier/v1/tenants.pb.h"

// Roles as people write them: "operator" for ROLE_OPERATOR.
namespace espalier {

// "unknown" for a role of another version.
inline std::string role_name(v1::Role role) {
  const std::string& name = v1::Role_Name(role);
  return name.empty() ? "unknown" : absl::AsciiStrToLower(name.substr(std::string("ROLE_").size()));
}

// ROLE_UNSPECIFIED for any other text.
inline v1::Role role_named(const std::string& name) {
  v1::Role role = v1::ROLE_UNSPECIFIED;
  return v1::Role_Parse(absl::StrCat("ROLE_", absl::AsciiStrToUpper(name)), &role) ? role : v1::ROLE_UNSPECIFIED;
}

}  // namespace espalier

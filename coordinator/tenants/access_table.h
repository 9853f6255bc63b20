#pragma once

#include <optional>
#include <string>

#include "espalier/v1/tenants.pb.h"

namespace google::protobuf {
class Descriptor;
}

namespace espalier::coordinator {

// What a call takes.
struct Access {
  v1::Role role = v1::ROLE_OPERATOR;  // least role of a tenant's key
  bool workers = false;               // workers may call it too; with role UNSPECIFIED only they
  std::string method;                 // "JobService.GetJob"
};

// The row of the rpc whose request message this is. Nothing for a method that access_table.cpp does not name: the call
// must be refused then.
std::optional<Access> access_of(const google::protobuf::Descriptor& request);

}  // namespace espalier::coordinator

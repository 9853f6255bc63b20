#pragma once

#include <google/protobuf/timestamp.pb.h>

#include <string>

#include "client/command.h"
#include "espalier/v1/tenants.pb.h"

// The verbs under `espalier admin`: one add_… per subject.
namespace espalier::client {

void add_tenants(cli::App& admin, Command& command);       // tenant create|list|show|suspend|resume
void add_keys(cli::App& admin, Command& command);          // key create|list|revoke
void add_quotas(cli::App& admin, Command& command);        // quota set|show
void add_audit(cli::App& admin, Command& command);         // audit
void add_credit(cli::App& admin, Command& command);        // grant, adjust, reverse, ledger verify
void add_certificates(cli::App& admin, Command& command);  // certificates

// As local_time(); "-" for an absent one.
std::string time_text(const google::protobuf::Timestamp& time, bool present);

// Several lines for a person.
std::string describe(const v1::Tenant& tenant);

}  // namespace espalier::client

#pragma once

#include <string>
#include <vector>

#include "coordinator/tenants/caller.h"
#include "rpc/status.h"

namespace espalier::coordinator {

// What requests of TenantService must hold. All faults at once; empty when there are none.
std::vector<FieldFault> faults_of(const v1::CreateTenantRequest& request);
std::vector<FieldFault> faults_of(const v1::UpdateTenantRequest& request);
std::vector<FieldFault> faults_of(const v1::CreateKeyRequest& request, const std::string& tenant_id, int64_t now_us);

// Whether the caller may make or revoke a key with this role.
bool may_handle(const Caller& caller, v1::Role role);

}  // namespace espalier::coordinator

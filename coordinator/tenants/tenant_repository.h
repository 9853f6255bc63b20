#pragma once

#include <string>
#include <utility>
#include <vector>

#include "common/status.h"
#include "coordinator/jobs/job_repository.h"
#include "espalier/v1/tenants.pb.h"

namespace soci {
class session;
}

namespace espalier::coordinator {

struct TenantRecord {
  long long number = 0;  // order of creation
  std::string id;
  std::string display_name;
  v1::TenantState state = v1::TENANT_STATE_ACTIVE;
  double weight = 1;        // fair share relative to other tenants
  v1::TenantLimits limits;  // every field set; 0: no limit
  bool post_paid = false;
  long long create_us = 0;
};

v1::Tenant to_proto(const TenantRecord& record);

// Limits of a tenant that nobody has set any for.
v1::TenantLimits default_limits();
// All fields present and 0.
v1::TenantLimits no_limits();

// Tenant rows in the open transaction of `sql`.
class TenantRepository {
 public:
  explicit TenantRepository(soci::session& sql) : sql_(sql) {}

  void insert(const TenantRecord& tenant);
  void update(const TenantRecord& tenant);
  Result<TenantRecord> find(const std::string& id);               // NOT_FOUND
  Result<std::vector<TenantRecord>> all();                        // in order of creation
  Result<std::vector<TenantRecord>> list(const PageQuery& page);  // newest first

 private:
  soci::session& sql_;
};

}  // namespace espalier::coordinator

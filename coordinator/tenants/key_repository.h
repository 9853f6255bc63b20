#pragma once

#include <string>
#include <vector>

#include "common/status.h"
#include "coordinator/jobs/job_repository.h"
#include "espalier/v1/tenants.pb.h"

namespace soci {
class session;
}

namespace espalier::coordinator {

struct KeyRecord {
  long long number = 0;  // order of creation
  std::string id;
  std::string tenant_id;
  std::string name;
  v1::Role role = v1::ROLE_UNSPECIFIED;
  std::string digest;  // Pepper::digest; the secret itself is stored nowhere
  long long create_us = 0;
  long long expire_us = 0;    // 0: never
  long long revoke_us = 0;    // 0: not revoked
  long long last_use_us = 0;  // to the minute; 0: never used
};

v1::Key to_proto(const KeyRecord& record);

// Key rows in the open transaction of `sql`.
class KeyRepository {
 public:
  explicit KeyRepository(soci::session& sql) : sql_(sql) {}

  void insert(const KeyRecord& key);
  Result<KeyRecord> find(const std::string& id);  // NOT_FOUND
  std::vector<KeyRecord> list(const std::string& tenant_id, const PageQuery& page);
  void revoke(const std::string& id, long long now_us);  // the first time counts
  void note_use(const std::string& id, long long now_us);

 private:
  soci::session& sql_;
};

}  // namespace espalier::coordinator

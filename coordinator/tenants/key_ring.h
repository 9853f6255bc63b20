#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "common/status.h"
#include "coordinator/clock.h"
#include "coordinator/storage/database.h"
#include "coordinator/tenants/key_repository.h"
#include "coordinator/tenants/secrets.h"
#include "coordinator/tenants/tenant_repository.h"
#include "rpc/credentials.h"

namespace espalier::coordinator {

// Tells whether a key and its secret are right, mostly from memory: what it remembers of the database is at most 2 s
// old, so revocation and suspension act within that time (at once when done through this object). A key that does not
// exist costs the same work as a wrong secret. Thread-safe.
class KeyRing {
 public:
  // All must outlive the ring.
  KeyRing(Database& database, const Pepper& pepper, const Clock& clock)
      : database_(database), pepper_(pepper), clock_(clock) {}

  struct Holder {
    KeyRecord key;
    TenantRecord tenant;
  };
  // UNAUTHENTICATED with a reason of tenants.proto. Does not look at the tenant's state.
  Result<Holder> verify(const Credentials& credentials);
  // The key of a caller that verify() has let in before; UNAUTHENTICATED when it has ended since.
  Result<Holder> still_valid(const std::string& key_id);
  // Records that a verified key is in use, at most once a minute. Only logs when that cannot be stored.
  void note_use(const KeyRecord& key);
  // Whether verify() would be answered from memory, without the database.
  bool remembers(const std::string& key_id);
  // Forgets everything, so that the next call reads the database. Call after keys or tenants have changed.
  void forget();

 private:
  struct Memory {
    std::optional<Holder> holder;  // absent: no such key
    int64_t read_us = 0;
  };
  Result<Memory> look_up(const std::string& key_id);
  Result<Memory> read(const std::string& key_id, int64_t now_us);

  Database& database_;
  const Pepper& pepper_;
  const Clock& clock_;
  std::mutex mutex_;  // guards the two below
  std::unordered_map<std::string, Memory> memory_;
  uint64_t generation_ = 0;  // counts forget()
};

}  // namespace espalier::coordinator

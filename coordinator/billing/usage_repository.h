#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "common/status.h"
#include "coordinator/jobs/job_repository.h"
#include "espalier/v1/billing.pb.h"

namespace soci {
class session;
}

namespace espalier::coordinator {

// A span of time in microseconds since 1970: since <= t < until.
struct TimeSpan {
  long long since_us = 0;
  long long until_us = std::numeric_limits<long long>::max();
};

struct UsageRecord {
  long long number = 0;  // order of writing
  v1::UsageEvent event;
};

// One charged job.
struct InvoiceRecord {
  long long number = 0;
  v1::Invoice invoice;
};

// Usage events, the invoices they make up, and the queue of those that wait to be exported; in the open transaction of
// `sql`. Events are only ever added.
class UsageRepository {
 public:
  explicit UsageRepository(soci::session& sql) : sql_(sql) {}

  // Stores the event and queues it for the export. A second event of the same line of a job violates the schema.
  void insert(const v1::UsageEvent& event);
  // Newest first.
  std::vector<UsageRecord> list(const std::string& tenant_id, const PageQuery& page);
  // Oldest first, those with a number above `after`.
  std::vector<UsageRecord> span(const std::string& tenant_id, const TimeSpan& time, long long after, int limit);

  // Empty (no lines) for a job that was not charged.
  v1::Invoice invoice(const std::string& job_id);
  // Newest first.
  std::vector<InvoiceRecord> invoices(const std::string& tenant_id, const TimeSpan& time, const PageQuery& page);
  struct Total {
    int64_t charged_nanos = 0;
    int64_t refunded_nanos = 0;  // of those charges, whenever that was
  };
  Total total(const std::string& tenant_id, const TimeSpan& time);

  // The oldest events that wait to be exported.
  std::vector<UsageRecord> unexported(int limit);
  void mark_exported(const std::vector<UsageRecord>& events);

 private:
  soci::session& sql_;
};

}  // namespace espalier::coordinator

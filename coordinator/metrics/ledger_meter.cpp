#include "coordinator/metrics/ledger_meter.h"

#include <soci/soci.h>

#include <algorithm>
#include <map>

namespace espalier::coordinator {

Status LedgerMeter::start() {
  const std::lock_guard lock(mutex_);
  return database_.transaction([&](soci::session& sql) -> Status {
    sql << "SELECT COALESCE(MAX(number), 0) FROM ledger_transactions", soci::into(last_number_);
    return absl::OkStatus();
  });
}

Status LedgerMeter::update() {
  const std::lock_guard lock(mutex_);
  std::map<v1::LedgerKind, int64_t> moved;
  long long last = last_number_;
  const Status status = database_.transaction([&](soci::session& sql) -> Status {
    long long number = 0, amount = 0;
    int kind = 0;
    soci::statement statement =
        (sql.prepare << "SELECT number, kind, (SELECT SUM(amount_nanos) FROM ledger_postings WHERE transaction_id = "
                        "ledger_transactions.id AND amount_nanos > 0) FROM ledger_transactions WHERE number > :last",
         soci::into(number), soci::into(kind), soci::into(amount), soci::use(last_number_));
    statement.execute();
    while (statement.fetch()) {
      moved[static_cast<v1::LedgerKind>(kind)] += amount;
      last = std::max(last, number);
    }
    return absl::OkStatus();
  });
  ESP_TRY(status);
  last_number_ = last;
  for (const auto& [kind, nanos] : moved) meter_.booked(kind, nanos);
  return absl::OkStatus();
}

}  // namespace espalier::coordinator

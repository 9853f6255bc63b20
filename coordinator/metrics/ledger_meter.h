#pragma once

#include <mutex>

#include "common/status.h"
#include "coordinator/metrics/meter.h"
#include "coordinator/storage/database.h"

namespace espalier::coordinator {

// Counts the money that the ledger moves, from its committed transactions. Thread-safe.
class LedgerMeter {
 public:
  // Both must outlive it.
  LedgerMeter(Database& database, Meter& meter) : database_(database), meter_(meter) {}

  // Call once after a start: what was booked before is not counted again.
  Status start();
  // Counts what was booked since the last call.
  Status update();

 private:
  Database& database_;
  Meter& meter_;
  std::mutex mutex_;           // one update at a time; guards the one below
  long long last_number_ = 0;  // of transactions
};

}  // namespace espalier::coordinator

#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <type_traits>

#include "common/status.h"

namespace soci {
class session;
}

namespace espalier::coordinator {

// The coordinator's SQLite file: WAL, synchronous=FULL, foreign keys on. All access goes through transactions on one
// connection, one at a time, so a transaction sees and leaves a consistent state, also after kill -9.
// Thread-safe. Do not call transaction() inside a transaction.
class Database {
 public:
  // Creates the file when it is missing and brings the schema up to date, one numbered migration after the other, each
  // in its own transaction and recorded in schema_migrations.
  // FAILED_PRECONDITION: the file was written by a newer program. UNAVAILABLE: locked by another process.
  static Result<std::unique_ptr<Database>> open(const std::filesystem::path& file);
  ~Database();

  // Runs `body(session)`, which returns Status or Result<T>; commits when it is OK, else rolls back.
  // Exceptions of the library become INTERNAL, or RESOURCE_EXHAUSTED for a full disk.
  template <class Body>
  auto transaction(Body&& body) -> std::invoke_result_t<Body, soci::session&> {
    using Outcome = std::invoke_result_t<Body, soci::session&>;
    std::optional<Outcome> outcome;
    Status status = run([&](soci::session& sql) -> Status {
      outcome.emplace(body(sql));
      if constexpr (std::is_same_v<Outcome, Status>)
        return *outcome;
      else
        return outcome->status();
    });
    if (!status.ok()) return status;
    return *std::move(outcome);
  }

  int schema_version();

 private:
  Database();
  Status run(const std::function<Status(soci::session&)>& body);
  Status migrate();

  std::mutex mutex_;  // guards session_
  std::unique_ptr<soci::session> session_;
};

}  // namespace espalier::coordinator

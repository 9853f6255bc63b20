#pragma once

#include <condition_variable>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "common/status.h"

namespace soci {
class session;
}

namespace espalier::coordinator {

// The coordinator's SQLite file: WAL, synchronous=FULL, foreign keys on. All changes go through transactions on one
// connection, one after the other, so a transaction sees and leaves a consistent state, also after kill -9. Those that
// wait for each other are committed together: one of the waiting threads runs the bodies of all, each in a savepoint of
// its own, and the disk is waited for once. A body must therefore take no lock that a caller of transaction() may hold.
// Queries that change nothing have connections of their own and never wait for a transaction.
// Thread-safe. Call neither transaction() nor read() inside one of them.
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
    return outcome_of(body, [this](const SqlBody& sql_body) { return run(sql_body); });
  }

  // Runs `body(session)` on one consistent state of everything committed until now. Its statements may not change
  // anything: such a statement fails.
  template <class Body>
  auto read(Body&& body) -> std::invoke_result_t<Body, soci::session&> {
    return outcome_of(body, [this](const SqlBody& sql_body) { return run_reader(sql_body); });
  }

  int schema_version();

 private:
  using SqlBody = std::function<Status(soci::session&)>;
  struct Request {
    const SqlBody& body;
    Status status;
    bool done = false;
  };

  // What `body` returns when `run` has run it, else the error of `run`.
  template <class Body, class Run>
  static auto outcome_of(Body& body, Run run) -> std::invoke_result_t<Body, soci::session&> {
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

  Database();
  Status run(const SqlBody& body);
  Status run_reader(const SqlBody& body);
  void commit(const std::vector<Request*>& batch);
  Status migrate();

  std::unique_ptr<soci::session> session_;  // used by the thread that leads
  std::mutex mutex_;                        // guards the two below
  std::condition_variable changed_;
  std::vector<Request*> waiting_;
  bool led_ = false;  // a thread is running a batch

  std::mutex readers_mutex_;  // guards readers_
  std::condition_variable reader_free_;
  std::vector<std::unique_ptr<soci::session>> readers_;  // idle ones
};

}  // namespace espalier::coordinator

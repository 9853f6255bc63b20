#include "coordinator/storage/database.h"

#include <soci/soci.h>
#include <soci/sqlite3/soci-sqlite3.h>

#include <stdexcept>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/failpoint.h"
#include "coordinator/storage/migrations.h"

namespace espalier::coordinator {
namespace {

constexpr int kReaders = 4;

Status database_error(const std::exception& error) {
  const std::string what = error.what();
  if (absl::StrContains(what, "disk is full") || absl::StrContains(what, "full")) {
    return absl::ResourceExhaustedError(absl::StrCat("database: ", what));
  }
  if (absl::StrContains(what, "locked") || absl::StrContains(what, "busy")) {
    return absl::UnavailableError(absl::StrCat("database is locked by another process: ", what));
  }
  return absl::InternalError(absl::StrCat("database: ", what));
}

void apply(soci::session& sql, const Migration& migration) {
  for (const auto statement : absl::StrSplit(migration.sql, ";\n")) {
    const std::string text(absl::StripAsciiWhitespace(statement));
    if (!text.empty()) sql << text;
  }
  const std::string name(migration.name);  // outlives the statement, which runs when its whole expression ends
  sql << "INSERT INTO schema_migrations (version, name) VALUES (:version, :name)", soci::use(migration.version),
      soci::use(name);
}

}  // namespace

Database::Database() = default;
Database::~Database() = default;

Result<std::unique_ptr<Database>> Database::open(const std::filesystem::path& file) {
  auto database = std::unique_ptr<Database>(new Database);
  const std::string connection = absl::StrCat("dbname=\"", file.string(), "\" timeout=10 synchronous=full");
  try {
    database->session_ = std::make_unique<soci::session>(soci::sqlite3, connection);
    std::string mode;
    *database->session_ << "PRAGMA journal_mode=WAL", soci::into(mode);
    *database->session_ << "PRAGMA foreign_keys=ON";
    *database->session_ << "PRAGMA synchronous=FULL";
  } catch (const std::exception& error) {
    return annotate(database_error(error), file.string());
  }
  ESP_TRY(annotate(database->migrate(), file.string()));
  try {
    for (int i = 0; i < kReaders; ++i) {
      auto reader = std::make_unique<soci::session>(soci::sqlite3, connection);
      *reader << "PRAGMA query_only=ON";
      database->readers_.push_back(std::move(reader));
    }
  } catch (const std::exception& error) {
    return annotate(database_error(error), file.string());
  }
  return database;
}

Status Database::migrate() {
  int current = 0;
  ESP_TRY(run([&](soci::session& sql) -> Status {
    sql << "CREATE TABLE IF NOT EXISTS schema_migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL)";
    sql << "SELECT COALESCE(MAX(version), 0) FROM schema_migrations", soci::into(current);
    return absl::OkStatus();
  }));
  if (current > migrations().back().version) {
    return absl::FailedPreconditionError(absl::StrCat("the database has schema ", current, ", this program knows ",
                                                      migrations().back().version, ": use a newer program"));
  }
  for (const Migration& migration : migrations()) {
    if (migration.version <= current) continue;
    const Status applied = run([&](soci::session& sql) -> Status {
      apply(sql, migration);
      return absl::OkStatus();
    });
    ESP_TRY(applied);
  }
  return absl::OkStatus();
}

int Database::schema_version() {
  int version = 0;
  const Status status = run([&](soci::session& sql) -> Status {
    sql << "SELECT COALESCE(MAX(version), 0) FROM schema_migrations", soci::into(version);
    return absl::OkStatus();
  });
  return status.ok() ? version : 0;
}

Status Database::run(const SqlBody& body) {
  Request request{body, absl::OkStatus()};
  std::unique_lock lock(mutex_);
  waiting_.push_back(&request);
  changed_.wait(lock, [&] { return request.done || !led_; });
  if (request.done) return request.status;
  led_ = true;
  const std::vector<Request*> batch = std::exchange(waiting_, {});
  lock.unlock();
  commit(batch);
  lock.lock();
  for (Request* each : batch) each->done = true;
  led_ = false;
  changed_.notify_all();
  return request.status;
}

// Each body in its own savepoint; when the one commit fails, none has happened.
void Database::commit(const std::vector<Request*>& batch) {
  try {
    soci::transaction transaction(*session_);
    for (Request* request : batch) {
      *session_ << "SAVEPOINT request";
      try {
        request->status = request->body(*session_);
      } catch (const std::exception& error) {
        request->status = database_error(error);
      }
      if (!request->status.ok()) *session_ << "ROLLBACK TO request";
      *session_ << "RELEASE request";
    }
    if (failpoint("database.commit")) throw std::runtime_error("the disk is full");
    transaction.commit();  // without it the destructor rolls back
    failpoint("database.committed");
  } catch (const std::exception& error) {
    for (Request* request : batch) {
      if (request->status.ok()) request->status = database_error(error);
    }
  }
}

Status Database::run_reader(const SqlBody& body) {
  std::unique_lock lock(readers_mutex_);
  reader_free_.wait(lock, [this] { return !readers_.empty(); });
  std::unique_ptr<soci::session> session = std::move(readers_.back());
  readers_.pop_back();
  lock.unlock();
  Status status;
  try {
    soci::transaction snapshot(*session);
    status = body(*session);
  } catch (const std::exception& error) {
    status = database_error(error);
  }
  lock.lock();
  readers_.push_back(std::move(session));
  reader_free_.notify_one();
  return status;
}

}  // namespace espalier::coordinator

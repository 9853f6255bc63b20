#include "coordinator/storage/database.h"

#include <soci/soci.h>
#include <soci/sqlite3/soci-sqlite3.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/failpoint.h"
#include "coordinator/storage/migrations.h"

namespace espalier::coordinator {
namespace {

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
  sql << "INSERT INTO schema_migrations (version, name) VALUES (:version, :name)", soci::use(migration.version),
      soci::use(std::string(migration.name));
}

}  // namespace

Database::Database() = default;
Database::~Database() = default;

Result<std::unique_ptr<Database>> Database::open(const std::filesystem::path& file) {
  auto database = std::unique_ptr<Database>(new Database);
  try {
    database->session_ = std::make_unique<soci::session>(
        soci::sqlite3, absl::StrCat("dbname=\"", file.string(), "\" timeout=10 synchronous=full"));
    std::string mode;
    *database->session_ << "PRAGMA journal_mode=WAL", soci::into(mode);
    *database->session_ << "PRAGMA foreign_keys=ON";
    *database->session_ << "PRAGMA synchronous=FULL";
  } catch (const std::exception& error) {
    return annotate(database_error(error), file.string());
  }
  ESP_TRY(annotate(database->migrate(), file.string()));
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

Status Database::run(const std::function<Status(soci::session&)>& body) {
  const std::lock_guard lock(mutex_);
  try {
    soci::transaction transaction(*session_);
    Status status = body(*session_);
    if (!status.ok()) return status;  // the destructor rolls back
    if (failpoint("database.commit")) return absl::ResourceExhaustedError("database: the disk is full");
    transaction.commit();
    failpoint("database.committed");
    return status;
  } catch (const std::exception& error) {
    return database_error(error);
  }
}

}  // namespace espalier::coordinator

// What no accident and no other program may do to the books.
#include <soci/soci.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "coordinator/billing/ledger_repository.h"
#include "tests/coordinator/books.h"

namespace espalier::coordinator {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

// Kills the process right before a database statement.
class KillBefore final : public soci::logger_impl {
 public:
  static inline int statements_left = 0;
  void start_query(const std::string&) override {
    if (--statements_left == 0) ::raise(SIGKILL);
  }

 private:
  soci::logger_impl* do_clone() const override { return new KillBefore; }
};

// One job whose last task is about to report its end.
class KillTest : public ::testing::Test {
 protected:
  KillTest() {
    auto request = inside.request("request-1", {v1::DENOISER_GEOMETRY, v1::DENOISER_TEXTURE});
    request.set_expected_objects(10);
    job_id = inside.desk->submit(kLocalTenant, request)->job().job_id();
    FakeWorker worker(inside, kWorkerA);
    EXPECT_TRUE(worker.attach().ok());
    EXPECT_TRUE(worker.prepared(*worker.link->assigned(), 10).ok());
    EXPECT_TRUE(worker.trained(*worker.link->assigned()).ok());
    const v1::AssignTask last = *worker.link->assigned();
    lease = last.lease();
    report.set_seq(worker.seq + 1);
    *report.mutable_task_finished()->mutable_lease() = lease;
    report.mutable_task_finished()->mutable_trained()->set_artefact_id(
        inside.store(v1::ARTEFACT_KIND_ADAPTER, "adapter", &lease));
    worker.detach();
    inside.close();
    std::filesystem::copy_file(database(), saved());
  }

  std::filesystem::path database() const { return inside.folder->path() / "test.db"; }
  std::filesystem::path saved() const { return inside.folder->path() / "saved.db"; }

  void restore() {
    for (const char* rest : {"-wal", "-shm"}) std::filesystem::remove(database().string() + rest);
    std::filesystem::copy_file(saved(), database(), std::filesystem::copy_options::overwrite_existing);
  }

  void finish() {
    FakeWorker worker(inside, kWorkerA);
    (void)worker.attach({lease});
    (void)worker.raw(report);
  }

  // Whether the process that stores the report dies before its n-th statement; it has fewer otherwise.
  bool killed_at(int statement) {
    const pid_t child = ::fork();
    if (child == 0) {
      inside.reopen();
      KillBefore::statements_left = statement;
      (void)inside.database->transaction([](soci::session& sql) -> Status {
        sql.set_logger(new KillBefore);
        return absl::OkStatus();
      });
      finish();
      ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
  }

  Inside inside;
  std::string job_id;
  v1::TaskLease lease;
  v1::WorkerMessage report;
};

TEST_F(KillTest, ChargesExactlyOnceWhereverTheCoordinatorDies) {
  int kills = 0;
  for (bool killed = true; killed; kills += killed) {
    restore();
    killed = killed_at(kills + 1);
    inside.reopen();
    finish();  // the worker has no ack, so it reports again
    Books books(inside);
    ASSERT_EQ(inside.job(job_id).state(), v1::JOB_STATE_SUCCEEDED) << "killed before statement " << kills + 1;
    ASSERT_THAT(books.booked(job_id),
                ::testing::ElementsAre("HOLD submit 1664700000", "CAPTURE preparation 1002300000",
                                       "CAPTURE training:geometry 324600000", "CAPTURE training:texture 337800000"));
    ASSERT_EQ(books.usage().size(), 3u);
    ASSERT_EQ(books.balance().held_nanos(), 0);
    ASSERT_THAT(books.faults(), IsEmpty());
    inside.close();
  }
  EXPECT_GT(kills, 20);  // there were that many places to die at
  RecordProperty("kills", kills);
}

// A job that was charged, in books that are then tampered with behind the program's back.
class TamperTest : public ::testing::Test {
 protected:
  TamperTest() {
    inside.submit({v1::DENOISER_GEOMETRY});
    FakeWorker worker(inside, kWorkerA);
    EXPECT_TRUE(worker.attach().ok());
    EXPECT_TRUE(worker.prepared(*worker.link->assigned(), 10).ok());
    EXPECT_TRUE(worker.trained(*worker.link->assigned()).ok());
    inside.submit({v1::DENOISER_GEOMETRY});
  }

  Status run(const std::string& statement) {
    return inside.database->transaction([&](soci::session& sql) -> Status {
      sql << statement;
      return absl::OkStatus();
    });
  }

  void drop_triggers() {
    for (const char* name : {"ledger_transactions_balance", "ledger_postings_complete", "ledger_transactions_stay",
                             "ledger_transactions_keep", "ledger_postings_stay", "ledger_postings_keep",
                             "usage_events_stay", "usage_events_keep"}) {
      ASSERT_TRUE(run(std::string("DROP TRIGGER ") + name).ok()) << name;
    }
  }

  Inside inside;
  Books books{inside};
};

TEST_F(TamperTest, TheDatabaseRefusesWhatIsNotBookkeeping) {
  const char* refused[] = {
      "UPDATE ledger_postings SET amount_nanos = 1",
      "DELETE FROM ledger_postings",
      "UPDATE ledger_transactions SET tenant_id = 'x'",
      "DELETE FROM ledger_transactions",
      "UPDATE usage_events SET amount_nanos = 0",
      "DELETE FROM usage_events",
      // adds to a complete transaction
      "INSERT INTO ledger_postings SELECT id, 5, 1 FROM ledger_transactions LIMIT 1",
      // no postings
      "INSERT INTO ledger_transactions (id, tenant_id, kind, line, reverses, note, time_us) "
      "VALUES ('x', 'local', 5, '', '', '', 1)",
      // a posting without its transaction: the commit fails
      "INSERT INTO ledger_postings VALUES ('x', 1, 5)",
      // a second usage event of a line
      "INSERT INTO usage_events SELECT NULL, 'x', tenant_id, job_id, kind, denoiser, 1, 1, 1, 1, 1, '', 1 "
      "FROM usage_events LIMIT 1",
  };
  for (const char* statement : refused) EXPECT_FALSE(run(statement).ok()) << statement;
  EXPECT_THAT(books.faults(), IsEmpty());
}

TEST_F(TamperTest, TheDatabaseRefusesASecondChargeOfALine) {
  const std::string job_id = books.usage()[0].job_id();
  const auto hold = billing::hold(job_id, "again", 500);
  const auto charge = billing::capture(job_id, "preparation", 500);
  const auto book = [&](const billing::Transaction& transaction) {
    return inside.database->transaction([&](soci::session& sql) {
      return LedgerRepository(sql).insert({.tenant_id = kLocalTenant, .transaction = transaction}, true);
    });
  };
  const auto before = books.booked();
  EXPECT_FALSE(book(*charge).ok());
  EXPECT_EQ(books.booked(), before);
  EXPECT_TRUE(book(*hold).ok());
  EXPECT_THAT(books.faults(), Contains(StartsWith("local held: credit held for a job that has ended")));
}

TEST_F(TamperTest, TheCheckFindsEveryKindOfTampering) {
  const std::pair<const char*, const char*> cases[] = {
      {"UPDATE ledger_balances SET available = available + 1", "local available: the stored balance"},
      {"UPDATE ledger_balances SET revenue = 0", "local revenue: the stored balance"},
      {"DELETE FROM ledger_balances", "local revenue: the stored balance"},
      {"UPDATE ledger_postings SET amount_nanos = amount_nanos + 1 WHERE account = 3 AND rowid = (SELECT MIN(rowid) "
       "FROM ledger_postings WHERE account = 3)",
       "local : the sum of a transaction's postings"},
      {"DELETE FROM ledger_postings WHERE account = 3", "local : the sum of a transaction's postings"},
      {"UPDATE ledger_transactions SET tenant_id = 'ten_other' WHERE kind = 2",
       "ten_other revenue: the stored balance"},
      {"DELETE FROM usage_outbox", ""},  // that only means exported
      {"UPDATE usage_events SET amount_nanos = amount_nanos + 1",
       "local revenue: charged for a job, against its usage"},
      {"UPDATE jobs SET cost_json = '' WHERE cost_json <> ''", "against the cost that it tells"},
      {"UPDATE jobs SET state = 6", "local held: credit held for a job that has ended"},
  };
  drop_triggers();
  ASSERT_THAT(books.faults(), IsEmpty());
  for (const auto& [statement, found] : cases) {
    (void)inside.database->transaction([&](soci::session& sql) -> Status {  // rolled back by the error
      sql << "PRAGMA defer_foreign_keys = ON";
      sql << statement;
      std::vector<std::string> lines;
      const v1::VerifyLedgerResponse checked = check_ledger(sql);
      for (const v1::LedgerFault& fault : checked.faults()) {
        lines.push_back(fault.tenant_id() + " " + fault.account() + ": " + fault.description());
      }
      if (std::string(found).empty()) {
        EXPECT_THAT(lines, IsEmpty()) << statement;
      } else {
        EXPECT_THAT(lines, Contains(HasSubstr(found))) << statement;
      }
      return absl::AbortedError("undo");
    });
  }
  EXPECT_THAT(books.faults(), IsEmpty());
}

}  // namespace
}  // namespace espalier::coordinator

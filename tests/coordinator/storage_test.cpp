#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <soci/soci.h>
#include <soci/sqlite3/soci-sqlite3.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <thread>

#include "coordinator/jobs/event_repository.h"
#include "coordinator/jobs/job_repository.h"
#include "coordinator/jobs/task_repository.h"
#include "coordinator/storage/migrations.h"
#include "tests/coordinator/fixtures.h"

namespace espalier::coordinator {
namespace {

using ::testing::HasSubstr;

TEST(Database, RefusesAFileOfANewerProgram) {
  const auto folder = TempDir::create();
  const auto file = folder->path() / "it's a file.db";
  {
    auto database = Database::open(file);
    ASSERT_TRUE(database.ok()) << database.status();
    EXPECT_EQ((*database)->schema_version(), migrations().back().version);
    ASSERT_TRUE((*database)
                    ->transaction([](soci::session& sql) -> Status {
                      sql << "INSERT INTO schema_migrations (version, name) VALUES (99, 'future')";
                      return absl::OkStatus();
                    })
                    .ok());
  }
  EXPECT_TRUE(absl::IsFailedPrecondition(Database::open(file).status()));
}

// A file of the first schema with a job whose training runs.
void write_first_schema(const std::filesystem::path& file) {
  soci::session sql(soci::sqlite3, file.string());
  const std::string script = std::string(migrations().front().sql) + R"(;
CREATE TABLE schema_migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL);
INSERT INTO schema_migrations VALUES (1, 'first');
INSERT INTO jobs VALUES (1, 'job_1', 'local', 'request-1', '', '', 3, '{}', '{}', '{}', '', '', '', '[]', 1, 1, 0, 0, 0);
INSERT INTO tasks VALUES (1, 'task_1', 'job_1', 'local', 1, 1, 3, 2, 1, 9, 'wrk_1', 5, 0, 'art_1', 50, '{}', 'e');
INSERT INTO attempts VALUES ('task_1', 2, 9, 'wrk_1', 1, 0, '');
INSERT INTO metrics VALUES ('task_1', 1, 0.5, 0, 0, 0))";
  for (size_t from = 0; from < script.size();) {
    const size_t end = std::min(script.find(";\n", from), script.size());
    const std::string statement = script.substr(from, end - from);
    if (statement.find_first_not_of(" \n") != std::string::npos) sql << statement;
    from = end + 2;
  }
}

TEST(Database, BringsAFileOfTheFirstSchemaUpToDateWithWhatRuns) {
  const auto folder = TempDir::create();
  write_first_schema(folder->path() / "a.db");
  auto database = Database::open(folder->path() / "a.db");
  ASSERT_TRUE(database.ok()) << database.status();
  const auto task = (*database)->read([](soci::session& sql) { return TaskRepository(sql).find("task_1"); });
  ASSERT_TRUE(task.ok()) << task.status();
  EXPECT_EQ(task->kind, TaskKind::kTraining);
  EXPECT_EQ(task->checkpoint_step, 50);
  ASSERT_EQ(task->members.size(), 1u);
  EXPECT_EQ(task->members[0].worker_id, "wrk_1");
  const auto points = (*database)->read([](soci::session& sql) -> Result<std::vector<v1::MetricPoint>> {
    return EventRepository(sql).metrics("task_1");
  });
  EXPECT_EQ(points->size(), 1u);
}

Result<long long> counted(Database& database) {
  return database.read([](soci::session& sql) -> Result<long long> {
    long long value = 0;
    sql << "SELECT value FROM counters WHERE name = 'fencing_token'", soci::into(value);
    return value;
  });
}

TEST(Database, CommitsManyCallersTogetherAndEachOnItsOwn) {
  const auto folder = TempDir::create();
  auto database = *Database::open(folder->path() / "a.db");
  std::atomic<int> committed = 0, refused = 0;
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 8; ++caller) {
    callers.emplace_back([&, caller] {
      for (int i = 0; i < 20; ++i) {
        const Status status = database->transaction([&](soci::session& sql) -> Status {
          sql << "UPDATE counters SET value = value + 1 WHERE name = 'fencing_token'";
          if (caller % 4 == 1) return absl::AbortedError("no");
          if (caller % 4 == 3) sql << "INSERT INTO nowhere VALUES (1)";
          return absl::OkStatus();
        });
        ++(status.ok() ? committed : refused);
        EXPECT_EQ(absl::IsAborted(status), caller % 4 == 1);
        EXPECT_EQ(absl::IsInternal(status), caller % 4 == 3);
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(committed, 80);
  EXPECT_EQ(refused, 80);
  EXPECT_EQ(*counted(*database), 80);
}

TEST(Database, ReadsBesideAnOpenTransactionAndChangesNothingThere) {
  const auto folder = TempDir::create();
  auto database = *Database::open(folder->path() / "a.db");
  const Status status = database->transaction([&](soci::session& sql) -> Status {
    sql << "UPDATE counters SET value = 5 WHERE name = 'fencing_token'";
    Result<long long> seen = -1LL;
    std::thread([&] { seen = counted(*database); }).join();
    EXPECT_EQ(*seen, 0) << "what is not committed is not seen, and nobody waits for it";
    return absl::OkStatus();
  });
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(*counted(*database), 5);
  EXPECT_FALSE(database
                   ->read([](soci::session& sql) -> Status {
                     sql << "UPDATE counters SET value = 6";
                     return absl::OkStatus();
                   })
                   .ok());
  EXPECT_EQ(*counted(*database), 5);
}

TEST(Database, UndoesATransactionThatFails) {
  const auto folder = TempDir::create();
  auto database = *Database::open(folder->path() / "a.db");
  const Status status = database->transaction([](soci::session& sql) -> Status {
    sql << "UPDATE counters SET value = 7";
    return absl::InvalidArgumentError("no");
  });
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  const auto thrown = database->transaction([](soci::session& sql) -> Status {
    sql << "UPDATE counters SET value = 8";
    sql << "INSERT INTO nowhere VALUES (1)";
    return absl::OkStatus();
  });
  EXPECT_TRUE(absl::IsInternal(thrown));
  const auto value = database->transaction([](soci::session& sql) -> Result<long long> {
    long long got = -1;
    sql << "SELECT value FROM counters", soci::into(got);
    return got;
  });
  EXPECT_EQ(*value, 0);
}

TEST(JobRepository, KeepsAJobAsItWas) {
  Inside inside;
  auto request = inside.request("request-1", {v1::DENOISER_TEXTURE, v1::DENOISER_GEOMETRY});
  request.set_name("Ünïcode 'quoted' \"name\"; DROP TABLE jobs");
  request.mutable_spec()->add_holdout_views(5);
  request.mutable_spec()->set_learning_rate(0.00123456789012345);
  const v1::Job before = inside.desk->submit(kLocalTenant, request)->job();
  inside.reopen();
  const v1::Job after = inside.job(before.job_id());
  EXPECT_EQ(after.SerializeAsString(), before.SerializeAsString());
  EXPECT_EQ(after.spec().learning_rate(), 0.00123456789012345);
  EXPECT_TRUE(absl::IsNotFound(inside.desk->job("another-tenant", before.job_id()).status()));
}

TEST(EventRepository, KeepsTheNewestLogLines) {
  Inside inside;
  const std::string id = inside.submit().job_id();
  const auto status = inside.database->transaction([&](soci::session& sql) -> Status {
    JobRecord job = *JobRepository(sql).find(id, "");
    v1::LogLine line;
    for (int i = 0; i < EventRepository::kKeptLogLines + 10; ++i) EventRepository(sql).append_log(job, line);
    JobRepository(sql).update(job);
    return absl::OkStatus();
  });
  ASSERT_TRUE(status.ok()) << status;
  const auto logs = inside.desk->logs(kLocalTenant, id, 0, EventRepository::kKeptLogLines);
  EXPECT_EQ(logs->items.size(), static_cast<size_t>(EventRepository::kKeptLogLines));
  EXPECT_EQ(logs->items.front().sequence(), 11);
}

TEST(Thin, KeepsEndsAndPeaks) {
  std::vector<v1::MetricPoint> points(1000);
  for (int i = 0; i < 1000; ++i) {
    points[static_cast<size_t>(i)].set_step(i);
    points[static_cast<size_t>(i)].set_loss(i == 537 ? 9.0 : 1.0);
  }
  const auto kept = thin(points, 20);
  EXPECT_LE(kept.size(), 20u);
  EXPECT_EQ(kept.front().step(), 0);
  EXPECT_EQ(kept.back().step(), 999);
  EXPECT_TRUE(std::any_of(kept.begin(), kept.end(), [](const auto& point) { return point.step() == 537; }));
  EXPECT_EQ(thin(points, 1000).size(), 1000u);
}

class BlobStoreTest : public ::testing::Test {
 protected:
  std::filesystem::path blob_file(const std::string& sha) {
    return root_ / "sha256" / sha.substr(0, 2) / sha.substr(2, 2) / sha;
  }
  Status put(const std::string& bytes, const std::string& sha, int64_t size) {
    const auto writer = store_->write("key", sha, size, 0);
    if (!writer.ok()) return writer.status();
    const Status status = (*writer)->write(bytes);
    return status.ok() ? (*writer)->commit() : status;
  }
  Status read_all(const std::string& sha, int64_t size) {
    const auto reader = store_->read(sha, size, 0);
    if (!reader.ok()) return reader.status();
    while (true) {
      const auto piece = (*reader)->next(3);
      if (!piece.ok()) return piece.status();
      if (piece->empty()) return absl::OkStatus();
    }
  }
  Result<TempDir> folder_ = TempDir::create();
  std::filesystem::path root_ = folder_->path() / "store";
  std::unique_ptr<BlobStore> store_ = *BlobStore::open({root_, {0}});
  const std::string bytes_ = "some bytes";
  const std::string sha_ = sha256_hex(bytes_);
};

TEST_F(BlobStoreTest, GivesBackWhatItTook) {
  ASSERT_TRUE(put(bytes_, sha_, 10).ok());
  EXPECT_TRUE(store_->contains(sha_));
  EXPECT_TRUE(read_all(sha_, 10).ok());
  EXPECT_EQ(store_->partial_size("key"), 0);
}

TEST_F(BlobStoreTest, NoticesDamagedBytes) {
  ASSERT_TRUE(put(bytes_, sha_, 10).ok());
  std::filesystem::permissions(blob_file(sha_), std::filesystem::perms::owner_all);
  std::ofstream(blob_file(sha_)) << "sOme bytes";
  EXPECT_TRUE(absl::IsDataLoss(read_all(sha_, 10)));
  std::ofstream(blob_file(sha_)) << "some";
  EXPECT_TRUE(absl::IsDataLoss(read_all(sha_, 10)));
  std::filesystem::remove(blob_file(sha_));
  EXPECT_TRUE(absl::IsNotFound(read_all(sha_, 10)));
}

TEST_F(BlobStoreTest, TakesNothingThatIsNotAsAnnounced) {
  EXPECT_TRUE(absl::IsDataLoss(put("other bytes", sha_, 11)));
  EXPECT_EQ(store_->partial_size("key"), 0) << "wrong bytes are thrown away";
  EXPECT_TRUE(absl::IsInvalidArgument(put("some bytes and more", sha_, 10)));
  EXPECT_TRUE(absl::IsInvalidArgument(put("some", sha_, 10)));
  EXPECT_EQ(store_->partial_size("key"), 4) << "a beginning is kept";
  EXPECT_FALSE(store_->contains(sha_));
  const auto writer = store_->write("key", sha_, 10, 4);
  ASSERT_TRUE(writer.ok());
  ASSERT_TRUE((*writer)->write(" bytes").ok());
  EXPECT_TRUE((*writer)->commit().ok());
}

TEST_F(BlobStoreTest, LeavesFreeDiskFree) {
  const auto full = *BlobStore::open({root_, {uint64_t{1} << 60}});
  const Status status = full->write("key", sha_, 10, 0).status();
  EXPECT_TRUE(absl::IsResourceExhausted(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("kept free"));
}

TEST(ArtefactLibrary, RefusesHeadersThatMakeNoSense) {
  Inside inside;
  v1::UploadHeader good;
  good.set_kind(v1::ARTEFACT_KIND_ARCHIVE);
  good.set_file_name("a.zip");
  good.set_size_bytes(3);
  good.set_sha256(sha256_hex("abc"));
  const auto code = [&](auto change) {
    v1::UploadHeader header = good;
    change(header);
    return inside.library->upload(kLocalTenant, header).status().code();
  };
  using Header = v1::UploadHeader;
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  EXPECT_EQ(code([](Header&) {}), absl::StatusCode::kOk);
  EXPECT_EQ(code([](Header& h) { h.set_kind(v1::ARTEFACT_KIND_CHECKPOINT); }), kInvalid);
  EXPECT_EQ(code([](Header& h) { h.set_file_name("../a.zip"); }), kInvalid);
  EXPECT_EQ(code([](Header& h) { h.set_file_name(""); }), kInvalid);
  EXPECT_EQ(code([](Header& h) { h.set_sha256("../../../../etc/passwd"); }), kInvalid);
  EXPECT_EQ(code([](Header& h) { h.set_size_bytes(0); }), kInvalid);
  EXPECT_EQ(code([](Header& h) { h.set_offset(-1); }), kInvalid);
  EXPECT_EQ(code([](Header& h) { h.set_size_bytes((int64_t{8} << 30) + 1); }), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(code([](Header& h) { h.mutable_task()->set_task_id("task_x"); }), kInvalid);
}

TEST(ArtefactLibrary, ANewerUploadTakesOver) {
  Inside inside;
  v1::UploadHeader header;
  header.set_kind(v1::ARTEFACT_KIND_ARCHIVE);
  header.set_file_name("a.zip");
  header.set_size_bytes(6);
  header.set_sha256(sha256_hex("abcdef"));
  const auto first = inside.library->upload(kLocalTenant, header);
  ASSERT_TRUE((*first)->write("abc").ok());
  header.set_offset(*inside.library->received_bytes(kLocalTenant, header.sha256(), 6));
  EXPECT_EQ(header.offset(), 3);
  const auto second = inside.library->upload(kLocalTenant, header);
  EXPECT_TRUE(absl::IsAborted((*first)->write("def")));
  ASSERT_TRUE((*second)->write("def").ok());
  EXPECT_TRUE((*second)->finish().ok());
  EXPECT_TRUE(absl::IsAborted((*first)->finish().status()));
}

TEST(ArtefactLibrary, RemovesBytesWithTheirLastName) {
  Inside inside;
  const std::string a = inside.store(v1::ARTEFACT_KIND_ARCHIVE, "same bytes");
  const std::string b = inside.store(v1::ARTEFACT_KIND_ADAPTER, "same bytes");
  ASSERT_NE(a, b);
  ASSERT_TRUE(inside.library->remove(kLocalTenant, a).ok());
  EXPECT_TRUE(inside.blobs->contains(sha256_hex("same bytes")));
  ASSERT_TRUE(inside.library->remove("other", b).ok());
  EXPECT_TRUE(inside.blobs->contains(sha256_hex("same bytes"))) << "another tenant removes nothing";
  ASSERT_TRUE(inside.library->remove(kLocalTenant, b).ok());
  EXPECT_FALSE(inside.blobs->contains(sha256_hex("same bytes")));
}

}  // namespace
}  // namespace espalier::coordinator

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <soci/soci.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "common/log.h"
#include "coordinator/scheduling/leases.h"
#include "coordinator/tenants/audit_log.h"
#include "coordinator/tenants/key_repository.h"
#include "coordinator/tenants/token_bucket.h"
#include "espalier/v1/jobs.grpc.pb.h"
#include "tests/coordinator/running_coordinator.h"

namespace espalier::coordinator {
namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::Not;
using Tenants = v1::TenantService::Stub;

Status list_jobs(RunningCoordinator& running, const Credentials& key) {
  const auto stub = v1::JobService::NewStub(running.channel);
  grpc::ClientContext context;
  set_deadline(context);
  context.AddMetadata(kAuthorizationEntry, authorization_of(key));
  v1::ListJobsResponse response;
  return from_grpc(stub->ListJobs(&context, {}, &response));
}

std::unique_ptr<Database> second_connection(const RunningCoordinator& running) {
  return *Database::open(fs::path(running.config.data_dir) / "coordinator.db");
}

TEST(TokenBuckets, GiveTheBurstThenTheRate) {
  TokenBuckets buckets;
  const TokenBuckets::Rate rate{.per_second = 2, .burst = 3};
  for (int i = 0; i < 3; ++i) EXPECT_EQ(buckets.take("a", rate, 0), 0);
  EXPECT_NEAR(static_cast<double>(buckets.take("a", rate, 0)), 500'000, 2);
  EXPECT_TRUE(buckets.is_empty("a", rate, 0));
  EXPECT_EQ(buckets.take("b", rate, 0), 0) << "each name has its own";
  EXPECT_EQ(buckets.take("a", rate, 500'001), 0);
  EXPECT_GT(buckets.take("a", rate, 500'001), 0);
  EXPECT_FALSE(buckets.is_empty("a", rate, 60'000'000));
}

TEST(TokenBuckets, NeverHoldMoreThanTheBurst) {
  TokenBuckets buckets;
  const TokenBuckets::Rate rate{.per_second = 1000, .burst = 2};
  EXPECT_EQ(buckets.take("a", rate, 0), 0);
  EXPECT_EQ(buckets.take("a", rate, 3'600'000'000), 0);
  EXPECT_EQ(buckets.take("a", rate, 3'600'000'000), 0);
  EXPECT_GT(buckets.take("a", rate, 3'600'000'000), 0);
}

TEST(LocalKeys, AreMadeOnceForTheirOwnerOnly) {
  RunningCoordinator running;
  const fs::path folder = key_folder(running.config.data_dir);
  for (const char* file : {kPepperFile, kOperatorKeyFile, kWorkerKeyFile}) {
    struct stat about;
    ASSERT_EQ(::stat((folder / file).c_str(), &about), 0) << file;
    EXPECT_EQ(about.st_mode & 0777, 0600u) << file;
  }
  const Credentials key = running.local_key(kOperatorKeyFile);
  running.coordinator.reset();
  running.start();
  EXPECT_EQ(running.local_key(kOperatorKeyFile).key_id, key.key_id);
  EXPECT_TRUE(list_jobs(running, key).ok());
}

TEST(LocalKeys, AreReplacedWhenLostOrRevoked) {
  RunningCoordinator running;
  const Credentials first = running.local_key(kOperatorKeyFile);
  running.revoke(first.key_id);
  running.coordinator.reset();
  fs::remove(key_folder(running.config.data_dir) / kWorkerKeyFile);
  running.start();
  EXPECT_NE(running.local_key(kOperatorKeyFile).key_id, first.key_id);
  EXPECT_TRUE(list_jobs(running, running.local_key(kOperatorKeyFile)).ok());
  EXPECT_TRUE(fs::exists(key_folder(running.config.data_dir) / kWorkerKeyFile));
}

TEST(LocalKeys, AreNotCheckableWithoutThePepper) {
  RunningCoordinator running;
  running.coordinator.reset();
  fs::remove(key_folder(running.config.data_dir) / kPepperFile);
  const Status status = Coordinator::start(running.config, running.clock).status();
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("pepper"));
}

TEST(Keys, AreRefusedAtOnceWhenRevokedHereAndWithin5SecondsElsewhere) {
  RunningCoordinator running;
  const std::string tenant = running.new_tenant();
  const Credentials here = running.new_key(tenant, v1::ROLE_READ), elsewhere = running.new_key(tenant, v1::ROLE_READ);
  ASSERT_TRUE(list_jobs(running, here).ok());
  ASSERT_TRUE(list_jobs(running, elsewhere).ok());
  running.revoke(here.key_id);
  EXPECT_EQ(reason_of(list_jobs(running, here)), "KEY_REVOKED");

  ASSERT_TRUE(list_jobs(running, elsewhere).ok());
  const auto database = second_connection(running);
  ASSERT_TRUE(database
                  ->transaction([&](soci::session& sql) -> Status {
                    KeyRepository(sql).revoke(elsewhere.key_id, running.clock.now_us());
                    return absl::OkStatus();
                  })
                  .ok());
  running.clock.advance(seconds(5));
  EXPECT_EQ(reason_of(list_jobs(running, elsewhere)), "KEY_REVOKED");
}

TEST(Keys, TellWhenTheyWereUsed) {
  RunningCoordinator running;
  const std::string tenant = running.new_tenant();
  const Credentials key = running.new_key(tenant, v1::ROLE_READ);
  v1::ListKeysRequest request;
  request.set_tenant_id(tenant);
  EXPECT_FALSE(running.tenants(&Tenants::ListKeys, request)->keys(0).has_last_use_time());
  ASSERT_TRUE(list_jobs(running, key).ok());
  const auto keys = running.tenants(&Tenants::ListKeys, request);
  ASSERT_EQ(keys->keys_size(), 1);
  EXPECT_EQ(keys->keys(0).last_use_time().seconds(), running.clock.now_us() / 1'000'000);
}

TEST(Keys, AreMadeWithinTheMakersRoleAndTenantOnly) {
  RunningCoordinator running;
  const std::string tenant = running.new_tenant();
  const std::string admin = authorization_of(running.new_key(tenant, v1::ROLE_ADMIN));
  v1::CreateKeyRequest request;
  for (const auto role : {v1::ROLE_READ, v1::ROLE_SUBMIT, v1::ROLE_ADMIN}) {
    request.set_role(role);
    const auto made = running.tenants(&Tenants::CreateKey, request, admin);
    ASSERT_TRUE(made.ok()) << made.status();
    EXPECT_EQ(made->key().tenant_id(), tenant);
  }
  for (const auto role : {v1::ROLE_OPERATOR, v1::ROLE_WORKER, v1::ROLE_UNSPECIFIED}) {
    request.set_role(role);
    EXPECT_TRUE(absl::IsInvalidArgument(running.tenants(&Tenants::CreateKey, request, admin).status())) << role;
  }
  request.set_role(v1::ROLE_OPERATOR);
  request.set_tenant_id(kLocalTenant);
  EXPECT_TRUE(absl::IsNotFound(running.tenants(&Tenants::CreateKey, request, admin).status()));
  v1::RevokeKeyRequest revoke;
  revoke.set_key_id(running.local_key(kOperatorKeyFile).key_id);
  EXPECT_TRUE(absl::IsNotFound(running.tenants(&Tenants::RevokeKey, revoke, admin).status()));
}

TEST(TenantLimits, KeepWhatAnUpdateDoesNotName) {
  RunningCoordinator running;
  v1::UpdateTenantRequest request;
  request.set_tenant_id(running.new_tenant(default_limits()));
  request.mutable_limits()->set_max_gpus(3);
  const auto updated = running.tenants(&Tenants::UpdateTenant, request);
  ASSERT_TRUE(updated.ok()) << updated.status();
  v1::TenantLimits expected = default_limits();
  expected.set_max_gpus(3);
  EXPECT_EQ(updated->tenant().limits().SerializeAsString(), expected.SerializeAsString());
  request.mutable_limits()->set_max_gpus(-1);
  request.set_weight(0);
  EXPECT_EQ(field_faults(running.tenants(&Tenants::UpdateTenant, request).status()).size(), 2u);
}

TEST(TenantLimits, DoNotLetTheOperatorsTenantBeSuspended) {
  RunningCoordinator running;
  v1::UpdateTenantRequest request;
  request.set_tenant_id(kLocalTenant);
  request.set_state(v1::TENANT_STATE_SUSPENDED);
  const Status status = running.tenants(&Tenants::UpdateTenant, request).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
}

TEST(RequestRate, IsHeldPerKeyAndSaysWhenToTryAgain) {
  RunningCoordinator running;
  v1::TenantLimits limits = no_limits();
  limits.set_requests_per_second(2);
  limits.set_request_burst(3);
  const std::string tenant = running.new_tenant(limits);
  const Credentials busy = running.new_key(tenant, v1::ROLE_READ), other = running.new_key(tenant, v1::ROLE_READ);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(list_jobs(running, busy).ok()) << i;
  const Status refused = list_jobs(running, busy);
  EXPECT_TRUE(absl::IsResourceExhausted(refused)) << refused;
  EXPECT_EQ(reason_of(refused), "REQUEST_RATE");
  EXPECT_GT(retry_after_us(refused), 0);
  EXPECT_TRUE(list_jobs(running, other).ok());
  running.clock.advance(
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::microseconds(retry_after_us(refused) + 1000)));
  EXPECT_TRUE(list_jobs(running, busy).ok());
}

TEST(AuthenticationRate, IsHeldPerAddressWithoutLockingOutKnownKeys) {
  RunningCoordinator running;
  const Credentials key = running.local_key(kOperatorKeyFile);
  ASSERT_TRUE(list_jobs(running, key).ok());
  Status last;
  for (int i = 0; i < 60; ++i) last = list_jobs(running, {new_id("key"), "esk_guess"});
  EXPECT_TRUE(absl::IsResourceExhausted(last)) << last;
  EXPECT_EQ(reason_of(last), "AUTHENTICATION_RATE");
  EXPECT_GT(retry_after_us(last), 0);
  EXPECT_TRUE(list_jobs(running, key).ok());
  running.clock.advance(seconds(60));
  EXPECT_EQ(reason_of(list_jobs(running, {new_id("key"), "esk_guess"})), "KEY_INVALID");
}

TEST(AuditLog, IsChainedAndRefusesChanges) {
  RunningCoordinator running;
  const std::string tenant = running.new_tenant();
  running.revoke(running.new_key(tenant, v1::ROLE_READ).key_id);
  const auto verified = running.tenants(&Tenants::VerifyAuditLog, v1::VerifyAuditLogRequest());
  ASSERT_TRUE(verified.ok()) << verified.status();
  EXPECT_GE(verified->entries(), 6);
  const auto database = second_connection(running);
  for (const char* change : {"UPDATE audit SET principal = 'nobody' WHERE number = 2", "DELETE FROM audit"}) {
    const Status status = database->transaction([&](soci::session& sql) -> Status {
      sql << change;
      return absl::OkStatus();
    });
    EXPECT_THAT(std::string(status.message()), HasSubstr("append-only")) << change;
  }
}

TEST(AuditLog, NoticesARowThatWasAlteredBehindItsBack) {
  RunningCoordinator running;
  running.new_tenant();
  const auto database = second_connection(running);
  ASSERT_TRUE(database
                  ->transaction([&](soci::session& sql) -> Status {
                    sql << "DROP TRIGGER audit_keeps_text";
                    sql << "UPDATE audit SET principal = 'nobody' WHERE number = 2";
                    return absl::OkStatus();
                  })
                  .ok());
  const Status status = running.tenants(&Tenants::VerifyAuditLog, v1::VerifyAuditLogRequest()).status();
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("entry 2"));
}

TEST(AuditLog, ShowsAdminsTheirOwnTenantOnly) {
  RunningCoordinator running;
  const std::string tenant = running.new_tenant();
  const Credentials admin = running.new_key(tenant, v1::ROLE_ADMIN);
  running.new_tenant();
  const auto own = running.tenants(&Tenants::ListAuditLog, v1::ListAuditLogRequest(), authorization_of(admin));
  ASSERT_TRUE(own.ok()) << own.status();
  EXPECT_EQ(own->entries_size(), 2) << "the tenant and its key";
  for (const auto& entry : own->entries()) EXPECT_EQ(entry.tenant_id(), tenant);
}

TEST(WorkerReach, IsTheArtefactsOfItsCurrentLease) {
  Inside inside;
  const std::string other = inside.store(v1::ARTEFACT_KIND_ARCHIVE, "another archive of the tenant");
  const v1::Job job = inside.submit();
  FakeWorker worker(inside, kWorkerA);
  ASSERT_TRUE(worker.attach().ok());
  inside.scheduler->tick();
  const auto task = worker.link->assigned();
  ASSERT_TRUE(task.has_value());
  const auto reach = [&](const v1::TaskLease& lease, const std::string& id) {
    return inside.database->transaction([&](soci::session& sql) { return input_of_current_lease(sql, lease, id); })
        .status();
  };
  EXPECT_TRUE(reach(task->lease(), job.spec().artefact_id()).ok());
  EXPECT_TRUE(absl::IsNotFound(reach(task->lease(), other)));
  v1::TaskLease older = task->lease();
  older.set_fencing_token(older.fencing_token() - 1);
  EXPECT_EQ(reason_of(reach(older, job.spec().artefact_id())), "LEASE_LOST");
}

std::string bytes_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(Secrets, AreInNoFileAndNoLogLine) {
  ::testing::internal::CaptureStderr();
  configure_log("coordinator", LogLevel::kDebug, LogFormat::kJson);
  std::vector<std::string> secrets;
  std::string data_dir;
  fs::path keys;
  std::string text;
  {
    RunningCoordinator running;
    data_dir = running.config.data_dir;
    keys = key_folder(data_dir);
    const std::string tenant = running.new_tenant();
    const Credentials key = running.new_key(tenant, v1::ROLE_ADMIN);
    Credentials wrong = key;
    wrong.secret.back() = wrong.secret.back() == '0' ? '1' : '0';
    EXPECT_TRUE(list_jobs(running, key).ok());
    text += list_jobs(running, wrong).ToString();
    running.revoke(key.key_id);
    text += list_jobs(running, key).ToString();
    secrets = {key.secret, wrong.secret, running.local_key(kOperatorKeyFile).secret,
               running.local_key(kWorkerKeyFile).secret, bytes_of(keys / kPepperFile)};
    for (const auto& entry : fs::recursive_directory_iterator(data_dir)) {
      const bool known = entry.path().parent_path() == keys;
      if (entry.is_regular_file() && !known) text += bytes_of(entry.path());
    }
  }
  text += ::testing::internal::GetCapturedStderr();
  configure_log("test", LogLevel::kInfo, LogFormat::kText);
  ASSERT_THAT(text, HasSubstr("key.create")) << "the database was read";
  for (const std::string& secret : secrets) {
    ASSERT_GT(secret.size(), 40u);
    EXPECT_EQ(text.find(secret.substr(secret.size() - 40)), std::string::npos);
  }
}

}  // namespace
}  // namespace espalier::coordinator

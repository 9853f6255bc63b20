#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>

#include <set>

#include "coordinator/jobs/catalogue_repository.h"
#include "coordinator/tenants/access_table.h"
#include "espalier/v1/jobs.grpc.pb.h"
#include "tests/coordinator/running_coordinator.h"
#include "tests/coordinator/small_job.h"

// What must hold for every rpc, generated from the descriptors: a new one that is not guarded fails here.
namespace espalier::coordinator {
namespace {

using google::protobuf::MethodDescriptor;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::Not;

std::string name_of(const MethodDescriptor& method) { return method.service()->name() + "." + method.name(); }

TEST(AccessTable, HasARowForEveryMethodAndNoTwoMethodsShareARequest) {
  std::set<const google::protobuf::Descriptor*> requests;
  for (const MethodDescriptor* method : coordinator_methods()) {
    EXPECT_TRUE(requests.insert(method->input_type()).second) << name_of(*method) << " shares its request message";
    const auto access = access_of(*method->input_type());
    ASSERT_TRUE(access) << name_of(*method) << " has no row in access_table.cpp";
    EXPECT_EQ(access->method, name_of(*method));
  }
  EXPECT_GT(requests.size(), 30u);
}

TEST(AccessTable, GivesNoAccessWithoutARow) { EXPECT_FALSE(access_of(*v1::Job::descriptor())); }

// Who calls, what the status must be, and its reason; an empty reason: any.
struct Stranger {
  const char* who;
  std::string authorization;
  absl::StatusCode code;
  const char* reason;
};

class EveryMethod : public ::testing::Test {
 protected:
  void expect_refused(const Stranger& stranger) {
    for (const MethodDescriptor* method : coordinator_methods()) {
      const auto request = request_of(*method, {});
      const Status status = running_.call(*method, *request, {stranger.authorization, ""}).status;
      EXPECT_EQ(status.code(), stranger.code) << stranger.who << ", " << name_of(*method) << ": " << status;
      EXPECT_EQ(reason_of(status), stranger.reason) << stranger.who << ", " << name_of(*method);
    }
  }

  RunningCoordinator running_;
};

TEST_F(EveryMethod, RefusesWhoeverHasNoValidKey) {
  const std::string tenant = running_.new_tenant();
  const Credentials key = running_.new_key(tenant, v1::ROLE_ADMIN);
  const Credentials revoked = running_.new_key(tenant, v1::ROLE_ADMIN);
  running_.revoke(revoked.key_id);
  const Credentials expired = running_.new_key(tenant, v1::ROLE_ADMIN, running_.clock.now_us() + 1'000'000);
  running_.clock.advance(std::chrono::seconds(5));
  Credentials wrong = key;
  wrong.secret.back() = wrong.secret.back() == '0' ? '1' : '0';
  constexpr auto kUnauthenticated = absl::StatusCode::kUnauthenticated;
  for (const Stranger& stranger : std::vector<Stranger>{
           {"nobody", "", kUnauthenticated, "KEY_MISSING"},
           {"another scheme", "Basic " + to_text(key), kUnauthenticated, "KEY_MALFORMED"},
           {"no scheme", to_text(key), kUnauthenticated, "KEY_MALFORMED"},
           {"no secret", "Key " + key.key_id + ":", kUnauthenticated, "KEY_MALFORMED"},
           {"a wrong secret", authorization_of(wrong), kUnauthenticated, "KEY_INVALID"},
           {"an unknown key", "Bearer " + new_id("key") + ":" + key.secret, kUnauthenticated, "KEY_INVALID"},
           {"another key's secret", "Key " + key.key_id + ":" + revoked.secret, kUnauthenticated, "KEY_INVALID"},
           {"a revoked key", authorization_of(revoked), kUnauthenticated, "KEY_REVOKED"},
           {"an expired key", authorization_of(expired), kUnauthenticated, "KEY_EXPIRED"},
       }) {
    expect_refused(stranger);
  }
}

TEST_F(EveryMethod, RefusesASuspendedTenant) {
  const std::string tenant = running_.new_tenant();
  const Credentials key = running_.new_key(tenant, v1::ROLE_ADMIN);
  running_.suspend(tenant);
  for (const MethodDescriptor* method : coordinator_methods()) {
    const auto access = access_of(*method->input_type());
    const Status status = running_.call(*method, *request_of(*method, {}), {authorization_of(key), ""}).status;
    EXPECT_TRUE(absl::IsPermissionDenied(status)) << name_of(*method) << ": " << status;
    const bool by_role = access->role == v1::ROLE_UNSPECIFIED || access->role > v1::ROLE_ADMIN;
    EXPECT_EQ(reason_of(status), by_role ? "ROLE_INSUFFICIENT" : "TENANT_SUSPENDED") << name_of(*method);
  }
}

TEST_F(EveryMethod, RefusesARoleBelowItsOwn) {
  const std::string tenant = running_.new_tenant();
  std::map<v1::Role, std::string> keys;
  for (const auto role : {v1::ROLE_READ, v1::ROLE_SUBMIT, v1::ROLE_ADMIN}) {
    keys[role] = authorization_of(running_.new_key(tenant, role));
  }
  keys[v1::ROLE_OPERATOR] = running_.operator_authorization();
  keys[v1::ROLE_WORKER] = authorization_of(running_.local_key(kWorkerKeyFile));
  int refused = 0;
  for (const MethodDescriptor* method : coordinator_methods()) {
    const auto access = access_of(*method->input_type());
    for (const auto& [role, authorization] : keys) {
      const bool allowed =
          role == v1::ROLE_WORKER ? access->workers : access->role != v1::ROLE_UNSPECIFIED && role >= access->role;
      if (allowed) continue;
      ++refused;
      const Status status = running_.call(*method, *request_of(*method, {}), {authorization, ""}).status;
      EXPECT_TRUE(absl::IsPermissionDenied(status))
          << name_of(*method) << " as " << v1::Role_Name(role) << ": " << status;
      EXPECT_EQ(reason_of(status), "ROLE_INSUFFICIENT") << name_of(*method) << " as " << v1::Role_Name(role);
    }
  }
  EXPECT_GT(refused, 40);
}

// One tenant with an artefact, a job, a dataset, an adapter and a key.
class Foreign : public ::testing::Test {
 protected:
  Foreign() {
    tenant_ = running_.new_tenant();
    key_ = running_.new_key(tenant_, v1::ROLE_ADMIN);
    stranger_ = running_.new_key(running_.new_tenant(), v1::ROLE_ADMIN);
    ids_ = {{"tenant_id", tenant_},
            {"key_id", key_.key_id},
            {"artefact_id", upload_archive(running_.channel, authorization_of(key_))},
            {"dataset_id", new_id("dat")},
            {"adapter_id", new_id("adp")},
            {"request_id", "request-of-a-stranger"}};
    ids_.emplace_back("job_id", submit(id("artefact_id")));
    insert_results();
  }

  const std::string& id(const std::string& name) const {
    return std::find_if(ids_.begin(), ids_.end(), [&](const auto& entry) { return entry.first == name; })->second;
  }

  std::string submit(const std::string& artefact_id) {
    v1::JobService::Stub stub(running_.channel);
    grpc::ClientContext context;
    context.AddMetadata(kAuthorizationEntry, authorization_of(key_));
    v1::SubmitJobResponse response;
    const grpc::Status status = stub.SubmitJob(&context, small_job("request-1", artefact_id), &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.job().job_id();
  }

  // What a finished job leaves, straight into the database.
  void insert_results() {
    v1::Dataset dataset;
    dataset.set_dataset_id(id("dataset_id"));
    dataset.set_artefact_id(id("artefact_id"));
    dataset.set_resolution(512);
    dataset.add_denoisers(v1::DENOISER_SPARSE_STRUCTURE);
    v1::Adapter adapter;
    adapter.set_adapter_id(id("adapter_id"));
    adapter.set_artefact_id(id("artefact_id"));
    const auto database = Database::open(std::filesystem::path(running_.config.data_dir) / "coordinator.db");
    ASSERT_TRUE(database.ok()) << database.status();
    const Status status = (*database)->transaction([&](soci::session& sql) -> Status {
      CatalogueRepository(sql).insert_dataset(tenant_, dataset);
      CatalogueRepository(sql).insert_adapter(tenant_, adapter);
      return absl::OkStatus();
    });
    ASSERT_TRUE(status.ok()) << status;
  }

  RunningCoordinator running_;
  std::string tenant_;
  Credentials key_, stranger_;
  FieldValues ids_;
};

// Short for the streams that would wait for the job's end.
constexpr std::chrono::milliseconds kSoon{500};

TEST_F(Foreign, ResourcesAreNeitherReadNorChangedByAnyMethod) {
  int named = 0;
  for (const MethodDescriptor* method : coordinator_methods()) {
    const auto access = access_of(*method->input_type());
    if (access->role == v1::ROLE_UNSPECIFIED) continue;
    const auto request = request_of(*method, ids_);
    const Answer answer = running_.call(*method, *request, {authorization_of(stranger_), ""});
    EXPECT_FALSE(absl::IsInternal(answer.status)) << name_of(*method) << ": " << answer.status;
    for (const auto& [field, value] : ids_) {
      if (field == "request_id") continue;
      EXPECT_THAT(answer.bytes, Not(HasSubstr(value))) << name_of(*method);
    }
    const bool lists = method->name().rfind("List", 0) == 0 || method->name().rfind("Export", 0) == 0;
    if (access->role > v1::ROLE_ADMIN || request->ByteSizeLong() == 0 || (lists && answer.status.ok())) continue;
    if (method->name() == "EstimateJob" || method->name() == "StatUpload" || method->name() == "Upload") continue;
    ++named;
    EXPECT_TRUE(absl::IsNotFound(answer.status)) << name_of(*method) << ": " << answer.status;
  }
  EXPECT_GT(named, 15);
}

TEST_F(Foreign, ResourcesOfTheSameRequestsAreFoundByTheirOwner) {
  int found = 0;
  for (const MethodDescriptor* method : coordinator_methods()) {
    if (access_of(*method->input_type())->role != v1::ROLE_READ) continue;
    const Answer answer = running_.call(*method, *request_of(*method, ids_), {authorization_of(key_), ""}, kSoon);
    EXPECT_FALSE(absl::IsNotFound(answer.status)) << name_of(*method) << ": " << answer.status;
    EXPECT_FALSE(absl::IsPermissionDenied(answer.status)) << name_of(*method) << ": " << answer.status;
    ++found;
  }
  EXPECT_GT(found, 15);
}

TEST_F(Foreign, StreamsEndWhenTheirKeyIsRevoked) {
  v1::JobService::Stub stub(running_.channel);
  grpc::ClientContext context;
  set_deadline(context);
  context.AddMetadata(kAuthorizationEntry, authorization_of(key_));
  v1::WatchJobRequest request;
  request.set_job_id(id("job_id"));
  const auto reader = stub.WatchJob(&context, request);
  v1::JobEvent event;
  ASSERT_TRUE(reader->Read(&event)) << "the job was queued";
  running_.revoke(key_.key_id);
  while (reader->Read(&event)) {
  }
  EXPECT_EQ(reason_of(from_grpc(reader->Finish())), "KEY_REVOKED");
}

TEST_F(Foreign, TenantsCannotBeNamedExceptByOperatorsWhoLeaveATrace) {
  const auto* method =
      google::protobuf::DescriptorPool::generated_pool()->FindMethodByName("espalier.v1.JobService.GetJob");
  const auto request = request_of(*method, ids_);
  EXPECT_TRUE(absl::IsNotFound(running_.call(*method, *request, {authorization_of(stranger_), tenant_}).status));
  EXPECT_TRUE(absl::IsNotFound(running_.call(*method, *request, {running_.operator_authorization(), ""}).status));
  EXPECT_TRUE(running_.call(*method, *request, {running_.operator_authorization(), tenant_}).status.ok());
  const auto log = running_.tenants(&v1::TenantService::Stub::ListAuditLog, v1::ListAuditLogRequest());
  ASSERT_TRUE(log.ok()) << log.status();
  const v1::AuditEntry& newest = log->entries(0);
  EXPECT_EQ(newest.action(), "operator.call");
  EXPECT_EQ(newest.tenant_id(), tenant_);
  EXPECT_EQ(newest.target(), "JobService.GetJob");
  EXPECT_EQ(newest.principal(), running_.local_key(kOperatorKeyFile).key_id);
}

}  // namespace
}  // namespace espalier::coordinator

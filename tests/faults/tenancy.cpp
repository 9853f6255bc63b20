#include "tests/faults/tenancy.h"

#include <thread>

#include "absl/strings/str_cat.h"
#include "coordinator/tenants/local_keys.h"
#include "espalier/v1/billing.grpc.pb.h"
#include "espalier/v1/tenants.grpc.pb.h"
#include "rpc/channel.h"
#include "rpc/status.h"
#include "tests/faults/connection.h"

namespace espalier::faults {
namespace {

constexpr std::chrono::seconds kStart{60};
constexpr int64_t kCredit = 10'000'000'000'000;  // ten thousand dollars: more than all jobs of a plan cost

// Both are written when the coordinator starts for the first time.
Result<Credentials> await_key(const std::filesystem::path& file) {
  const auto end = std::chrono::steady_clock::now() + kStart;
  for (;;) {
    auto key = read_key_file(file);
    if (key.ok() || std::chrono::steady_clock::now() > end) return key;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

// The owner of the installation at work.
class Owner {
 public:
  Owner(const World& world, const Credentials& key)
      : connection_(world.address, key),
        tenants_(v1::TenantService::NewStub(connection_.channel)),
        billing_(v1::BillingService::NewStub(connection_.channel)) {}

  Result<Credentials> make_tenant(const World& world, int number) {
    v1::CreateTenantRequest request;
    request.set_display_name(absl::StrCat("tenant ", number));
    request.set_post_paid(number % 2 == 1);
    v1::TenantLimits& limits = *request.mutable_limits();
    limits.set_max_queued_jobs(0);
    limits.set_max_running_jobs(number == 2 ? 1 : 0);
    limits.set_max_gpus(0);
    limits.set_max_storage_bytes(0);
    limits.set_daily_spend_nanos(0);
    limits.set_requests_per_second(0);
    v1::CreateTenantResponse made;
    ESP_TRY(call(*tenants_, &v1::TenantService::Stub::CreateTenant, request, made));
    ESP_TRY(grant(world, made.tenant().tenant_id()));
    return make_key(made.tenant().tenant_id());
  }

 private:
  template <class Stub, class Method, class Request, class Response>
  static Status call(Stub& stub, Method method, const Request& request, Response& response) {
    grpc::ClientContext context;
    context.set_wait_for_ready(true);  // its port opens a moment after its key files
    set_deadline(context, kStart);
    return from_grpc((stub.*method)(&context, request, &response));
  }

  Status grant(const World& world, const std::string& tenant_id) {
    v1::GrantCreditRequest request;
    request.set_request_id(absl::StrCat("grant-", world.plan.seed, "-", tenant_id));
    request.set_tenant_id(tenant_id);
    request.set_amount_nanos(kCredit);
    v1::GrantCreditResponse response;
    return call(*billing_, &v1::BillingService::Stub::GrantCredit, request, response);
  }

  Result<Credentials> make_key(const std::string& tenant_id) {
    v1::CreateKeyRequest request;
    request.set_tenant_id(tenant_id);
    request.set_name("scenario");
    request.set_role(v1::ROLE_SUBMIT);
    v1::CreateKeyResponse response;
    ESP_TRY(call(*tenants_, &v1::TenantService::Stub::CreateKey, request, response));
    return Credentials{response.key().key_id(), response.secret()};
  }

  const Connection connection_;
  const std::unique_ptr<v1::TenantService::Stub> tenants_;
  const std::unique_ptr<v1::BillingService::Stub> billing_;
};

}  // namespace

Status make_tenants(World& world, const std::filesystem::path& data_dir) {
  const auto keys = coordinator::key_folder(data_dir);
  ESP_ASSIGN(world.operator_key, await_key(keys / coordinator::kOperatorKeyFile));
  ESP_ASSIGN(world.worker_key, await_key(keys / coordinator::kWorkerKeyFile));
  Owner owner(world, world.operator_key);
  for (int i = 0; i < world.plan.tenants; ++i) {
    ESP_ASSIGN(const Credentials key, owner.make_tenant(world, i));
    world.tenant_keys.push_back(key);
  }
  return absl::OkStatus();
}

}  // namespace espalier::faults

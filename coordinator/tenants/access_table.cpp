#include "coordinator/tenants/access_table.h"

#include <google/protobuf/descriptor.h>

#include <unordered_map>

#include "absl/strings/str_cat.h"

namespace espalier::coordinator {
namespace {

struct AccessRow {
  const char* method;
  v1::Role role;
  bool workers = false;
};

// Every rpc of every service that the coordinator serves.
constexpr AccessRow kRows[] = {
    {"JobService.SubmitJob", v1::ROLE_SUBMIT},
    {"JobService.GetJob", v1::ROLE_READ},
    {"JobService.ListJobs", v1::ROLE_READ},
    {"JobService.WatchJob", v1::ROLE_READ},
    {"JobService.CancelJob", v1::ROLE_SUBMIT},
    {"JobService.DeleteJob", v1::ROLE_SUBMIT},
    {"JobService.DeleteJob", v1::ROLE_SUBMIT},
    {"JobService.EstimateJob", v1::ROLE_READ},
    {"JobService.ListJobLogs", v1::ROLE_READ},
    {"JobService.StreamJobLogs", v1::ROLE_READ},
    {"JobService.ListJobMetrics", v1::ROLE_READ},

    {"ArtefactService.Upload", v1::ROLE_SUBMIT, /*workers=*/true},
    {"ArtefactService.StatUpload", v1::ROLE_SUBMIT, /*workers=*/true},
    {"ArtefactService.Download", v1::ROLE_READ, /*workers=*/true},
    {"ArtefactService.GetArtefact", v1::ROLE_READ},
    {"ArtefactService.ListArtefacts", v1::ROLE_READ},
    {"ArtefactService.DeleteArtefact", v1::ROLE_SUBMIT},
    {"ArtefactService.ListArtefacts", v1::ROLE_READ},
    {"ArtefactService.DeleteArtefact", v1::ROLE_SUBMIT},

    {"DatasetService.GetDataset", v1::ROLE_READ},
    {"DatasetService.ListDatasets", v1::ROLE_READ},
    {"DatasetService.DeleteDataset", v1::ROLE_SUBMIT},
    {"DatasetService.DeleteDataset", v1::ROLE_SUBMIT},
    {"AdapterService.GetAdapter", v1::ROLE_READ},
    {"AdapterService.ListAdapters", v1::ROLE_READ},
    {"AdapterService.DeleteAdapter", v1::ROLE_SUBMIT},
    {"AdapterService.DeleteAdapter", v1::ROLE_SUBMIT},

    {"BillingService.GetPricing", v1::ROLE_READ},
    {"BillingService.GetBalance", v1::ROLE_READ},
    {"BillingService.ListLedgerTransactions", v1::ROLE_READ},
    {"BillingService.ListUsage", v1::ROLE_READ},
    {"BillingService.GetInvoice", v1::ROLE_READ},
    {"BillingService.ListInvoices", v1::ROLE_READ},
    {"BillingService.ExportUsage", v1::ROLE_READ},
    {"BillingService.GrantCredit", v1::ROLE_OPERATOR},
    {"BillingService.AdjustCredit", v1::ROLE_OPERATOR},
    {"BillingService.ReverseTransaction", v1::ROLE_OPERATOR},
    {"BillingService.VerifyLedger", v1::ROLE_OPERATOR},

    {"WorkerService.Attach", v1::ROLE_UNSPECIFIED, /*workers=*/true},

    {"TenantService.GetCaller", v1::ROLE_READ, /*workers=*/true},
    {"TenantService.CreateTenant", v1::ROLE_OPERATOR},
    {"TenantService.GetTenant", v1::ROLE_READ},
    {"TenantService.ListTenants", v1::ROLE_OPERATOR},
    {"TenantService.UpdateTenant", v1::ROLE_OPERATOR},
    {"TenantService.CreateKey", v1::ROLE_ADMIN},
    {"TenantService.ListKeys", v1::ROLE_ADMIN},
    {"TenantService.RevokeKey", v1::ROLE_ADMIN},
    {"TenantService.ListAuditLog", v1::ROLE_ADMIN},
    {"TenantService.VerifyAuditLog", v1::ROLE_OPERATOR},
};

using Table = std::unordered_map<const google::protobuf::Descriptor*, Access>;

Table by_request() {
  Table table;
  for (const AccessRow& row : kRows) {
    const auto* method =
        google::protobuf::DescriptorPool::generated_pool()->FindMethodByName(absl::StrCat("espalier.v1.", row.method));
    if (method) table[method->input_type()] = {row.role, row.workers, row.method};
  }
  return table;
}

}  // namespace

std::optional<Access> access_of(const google::protobuf::Descriptor& request) {
  static const Table table = by_request();
  const auto found = table.find(&request);
  return found == table.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace espalier::coordinator

#include "coordinator/retention/removal_desk.h"

#include <vector>

#include "common/log.h"
#include "coordinator/retention/removal.h"
#include "coordinator/tenants/audit_log.h"

namespace espalier::coordinator {

Status RemovalDesk::remove(const Caller& caller, const char* action, const std::string& id,
                           const std::function<Status(Removal&)>& body) {
  std::vector<std::string> contents;
  const Status removed = database_.transaction([&](soci::session& sql) -> Status {
    Removal removal(sql);
    ESP_TRY(body(removal));
    AuditLog(sql).append({caller.principal, caller.tenant_id, action, id, "{}"}, clock_.now_us());
    contents = removal.contents();
    return absl::OkStatus();
  });
  ESP_TRY(removed);
  for (const std::string& sha256 : contents) {
    // The rows are gone, which is what was asked for; the sweeper tries the bytes again.
    if (const Status status = artefacts_.drop_content(sha256); !status.ok())
      log_warning("content not removed", {{"sha256", sha256}, {"err", status.ToString()}});
  }
  return absl::OkStatus();
}

Status RemovalDesk::delete_job(const Caller& caller, const std::string& id) {
  return remove(caller, "job.delete", id,
                [&](Removal& removal) { return removal.job(caller.tenant_id, id, clock_.now_us()); });
}

Status RemovalDesk::delete_artefact(const Caller& caller, const std::string& id) {
  return remove(caller, "artefact.delete", id,
                [&](Removal& removal) { return removal.artefact(caller.tenant_id, id); });
}

Status RemovalDesk::delete_dataset(const Caller& caller, const std::string& id) {
  return remove(caller, "dataset.delete", id, [&](Removal& removal) { return removal.dataset(caller.tenant_id, id); });
}

Status RemovalDesk::delete_adapter(const Caller& caller, const std::string& id) {
  return remove(caller, "adapter.delete", id, [&](Removal& removal) { return removal.adapter(caller.tenant_id, id); });
}

}  // namespace espalier::coordinator

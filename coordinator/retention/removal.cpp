#include "coordinator/retention/removal.h"

#include <soci/soci.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "coordinator/jobs/catalogue_repository.h"
#include "coordinator/jobs/job_repository.h"
#include "coordinator/jobs/job_state.h"
#include "coordinator/storage/artefact_repository.h"

namespace espalier::coordinator {
namespace {

using soci::into;
using soci::use;

constexpr size_t kNamedUsers = 5;

// Ids stand in JSON as whole strings.
std::string quoted(const std::string& id) { return absl::StrCat("%\"", id, "\"%"); }

std::vector<std::string> prefixed(const char* kind, std::vector<std::string> ids) {
  for (std::string& id : ids) id = absl::StrCat(kind, " ", id);
  return ids;
}

void append(std::vector<std::string>& to, const std::vector<std::string>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

}  // namespace

std::vector<std::string> Removal::texts(const std::string& query, const std::string& tenant_id,
                                        const std::string& value) {
  std::string text;
  soci::statement statement = (sql_.prepare << query, into(text), use(tenant_id, "tenant"), use(value, "value"));
  statement.execute();
  std::vector<std::string> found;
  while (statement.fetch()) found.push_back(text);
  return found;
}

std::vector<std::string> Removal::users(const ArtefactRecord& artefact) {
  const std::string& tenant = artefact.tenant_id;
  std::vector<std::string> found;
  append(found, prefixed("job", texts("SELECT id FROM jobs WHERE tenant_id = :tenant AND end_us = 0 AND "
                                      "spec_json LIKE :value",
                                      tenant, quoted(artefact.id))));
  if (artefact.job_id.empty()) return found;
  append(found, prefixed("job", texts("SELECT id FROM jobs WHERE tenant_id = :tenant AND end_us = 0 AND id = :value",
                                      tenant, artefact.job_id)));
  append(found, prefixed("dataset", texts("SELECT id FROM datasets WHERE tenant_id = :tenant AND dataset_json LIKE "
                                          ":value",
                                          tenant, quoted(artefact.id))));
  append(found, prefixed("adapter", texts("SELECT id FROM adapters WHERE tenant_id = :tenant AND adapter_json LIKE "
                                          ":value",
                                          tenant, quoted(artefact.id))));
  return found;
}

Status Removal::check_unused(const std::string& what, const std::vector<std::string>& users) {
  if (users.empty()) return absl::OkStatus();
  const size_t named = std::min(users.size(), kNamedUsers);
  std::string list = absl::StrJoin(users.begin(), users.begin() + static_cast<std::ptrdiff_t>(named), ", ");
  if (users.size() > named) absl::StrAppend(&list, " and ", users.size() - named, " more");
  return absl::FailedPreconditionError(absl::StrCat(what, " is needed by ", list));
}

Status Removal::artefact(const std::string& tenant_id, const std::string& id) {
  ESP_ASSIGN(const ArtefactRecord record, ArtefactRepository(sql_).find(id, tenant_id));
  ESP_TRY(check_unused(absl::StrCat("artefact ", id), users(record)));
  return unused_artefact(tenant_id, id);
}

Status Removal::unused_artefact(const std::string& tenant_id, const std::string& id) {
  ArtefactRepository artefacts(sql_);
  const auto record = artefacts.find(id, tenant_id);
  if (absl::IsNotFound(record.status())) return absl::OkStatus();
  ESP_TRY(record.status());
  artefacts.remove(id);
  contents_.push_back(record->sha256);
  return absl::OkStatus();
}

Status Removal::dataset(const std::string& tenant_id, const std::string& id) {
  ESP_ASSIGN(const v1::Dataset dataset, CatalogueRepository(sql_).find_dataset(id, tenant_id));
  const std::string what = absl::StrCat("dataset ", id);
  ESP_TRY(check_unused(
      what,
      prefixed("job", texts("SELECT id FROM jobs WHERE tenant_id = :tenant AND end_us = 0 AND dataset_id = :value",
                            tenant_id, id))));
  sql_ << "DELETE FROM datasets WHERE id = :id", use(id);
  const auto file = ArtefactRepository(sql_).find(dataset.artefact_id(), tenant_id);
  if (!file.ok()) return absl::OkStatus();
  ESP_TRY(check_unused(what, users(*file)));
  return unused_artefact(tenant_id, dataset.artefact_id());
}

Status Removal::adapter(const std::string& tenant_id, const std::string& id) {
  ESP_ASSIGN(const v1::Adapter adapter, CatalogueRepository(sql_).find_adapter(id, tenant_id));
  sql_ << "DELETE FROM adapters WHERE id = :id", use(id);
  const auto file = ArtefactRepository(sql_).find(adapter.artefact_id(), tenant_id);
  if (!file.ok()) return absl::OkStatus();
  ESP_TRY(check_unused(absl::StrCat("adapter ", id), users(*file)));
  return unused_artefact(tenant_id, adapter.artefact_id());
}

Status Removal::job(const std::string& tenant_id, const std::string& id, long long now_us) {
  ESP_ASSIGN(const JobRecord job, JobRepository(sql_).find(id, tenant_id));
  if (!is_final(job.state)) {
    return absl::FailedPreconditionError(
        absl::StrCat("job ", id, " has not ended; cancel it and wait until it has stopped"));
  }
  sql_ << "DELETE FROM adapters WHERE job_id = :job", use(id);
  ESP_TRY(datasets_of(job));
  ESP_TRY(artefacts_of(job));
  sql_ << "DELETE FROM metrics WHERE task_id IN (SELECT id FROM tasks WHERE job_id = :job)", use(id);
  for (const char* table : {"events", "logs", "failed_objects"}) {
    sql_ << absl::StrCat("DELETE FROM ", table, " WHERE job_id = :job"), use(id);
  }
  sql_ << "UPDATE jobs SET delete_us = :now, name = '' WHERE id = :job", use(now_us), use(id);
  return absl::OkStatus();
}

// Of the datasets that the job made, those that no other job was given stay with nobody.
Status Removal::datasets_of(const JobRecord& job) {
  for (const std::string& id :
       texts("SELECT id FROM datasets WHERE tenant_id = :tenant AND job_id = :value", job.tenant_id, job.id)) {
    auto users = texts("SELECT id FROM jobs WHERE tenant_id = :tenant AND delete_us = 0 AND dataset_id = :value",
                       job.tenant_id, id);
    std::erase(users, job.id);
    if (users.empty()) sql_ << "DELETE FROM datasets WHERE id = :id", use(id);
  }
  return absl::OkStatus();
}

Status Removal::artefacts_of(const JobRecord& job) {
  for (const std::string& id :
       texts("SELECT id FROM artefacts WHERE tenant_id = :tenant AND job_id = :value", job.tenant_id, job.id)) {
    ESP_ASSIGN(const ArtefactRecord artefact, ArtefactRepository(sql_).find(id, job.tenant_id));
    if (users(artefact).empty()) ESP_TRY(unused_artefact(job.tenant_id, id));
  }
  return absl::OkStatus();
}

}  // namespace espalier::coordinator

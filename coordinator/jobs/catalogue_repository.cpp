#include "coordinator/jobs/catalogue_repository.h"

#include <soci/soci.h>

#include "absl/strings/str_cat.h"
#include "coordinator/paging.h"
#include "coordinator/proto_json.h"

namespace espalier::coordinator {
namespace {

using soci::into;
using soci::use;

template <class Message>
Result<Message> decode_one(soci::session& sql, const std::string& json, const char* what, const std::string& id) {
  if (!sql.got_data()) return absl::NotFoundError(absl::StrCat("no ", what, " ", id));
  Message message;
  ESP_TRY(parse_json(json, &message));
  return message;
}

}  // namespace

void CatalogueRepository::insert_dataset(const std::string& tenant_id, const v1::Dataset& dataset) {
  const std::string json = to_json(dataset);
  sql_ << "INSERT INTO datasets (id, tenant_id, job_id, dataset_json) VALUES (:id, :tenant, :job, :json)",
      use(dataset.dataset_id()), use(tenant_id), use(dataset.job_id()), use(json);
}

Result<v1::Dataset> CatalogueRepository::find_dataset(const std::string& id, const std::string& tenant_id) {
  std::string json;
  sql_ << "SELECT dataset_json FROM datasets WHERE id = :id AND tenant_id = :tenant", into(json), use(id),
      use(tenant_id);
  return decode_one<v1::Dataset>(sql_, json, "dataset", id);
}

Result<CatalogueRepository::Numbered<v1::Dataset>> CatalogueRepository::list_datasets(const std::string& tenant_id,
                                                                                      const PageQuery& page) {
  long long number = 0;
  std::string json;
  const std::string query = "SELECT number, dataset_json FROM datasets WHERE tenant_id = :tenant" + page_clause(page);
  soci::statement statement = (sql_.prepare << query, into(number), into(json), use(tenant_id));
  statement.execute();
  Numbered<v1::Dataset> found;
  while (statement.fetch()) {
    found.emplace_back(number, v1::Dataset());
    ESP_TRY(parse_json(json, &found.back().second));
  }
  return found;
}

void CatalogueRepository::insert_adapter(const std::string& tenant_id, const v1::Adapter& adapter) {
  const std::string json = to_json(adapter);
  const int denoiser = adapter.denoiser();
  sql_ << "INSERT INTO adapters (id, tenant_id, job_id, denoiser, adapter_json) VALUES (:id, :tenant, :job, :denoiser, "
          ":json)",
      use(adapter.adapter_id()), use(tenant_id), use(adapter.job_id()), use(denoiser), use(json);
}

Result<v1::Adapter> CatalogueRepository::find_adapter(const std::string& id, const std::string& tenant_id) {
  std::string json;
  sql_ << "SELECT adapter_json FROM adapters WHERE id = :id AND tenant_id = :tenant", into(json), use(id),
      use(tenant_id);
  return decode_one<v1::Adapter>(sql_, json, "adapter", id);
}

Result<CatalogueRepository::Numbered<v1::Adapter>> CatalogueRepository::list_adapters(const std::string& tenant_id,
                                                                                      v1::Denoiser denoiser,
                                                                                      const std::string& job_id,
                                                                                      const PageQuery& page) {
  long long number = 0;
  std::string json;
  std::string query =
      "SELECT number, adapter_json FROM adapters WHERE tenant_id = :tenant AND (:any_job = '' OR job_id = :job)";
  if (denoiser != v1::DENOISER_UNSPECIFIED) query += absl::StrCat(" AND denoiser = ", static_cast<int>(denoiser));
  query += page_clause(page);
  soci::statement statement =
      (sql_.prepare << query, into(number), into(json), use(tenant_id), use(job_id), use(job_id));
  statement.execute();
  Numbered<v1::Adapter> found;
  while (statement.fetch()) {
    found.emplace_back(number, v1::Adapter());
    ESP_TRY(parse_json(json, &found.back().second));
  }
  return found;
}

bool CatalogueRepository::put_failed_object(const std::string& job_id, const v1::ObjectReport& object) {
  int count = 0;
  sql_ << "SELECT COUNT(*) FROM failed_objects WHERE job_id = :job AND path = :path", into(count), use(job_id),
      use(object.path());
  if (count > 0) return false;
  sql_ << "INSERT INTO failed_objects (job_id, path, code, message) VALUES (:job, :path, :code, :message)", use(job_id),
      use(object.path()), use(object.code()), use(object.message());
  return true;
}

std::vector<v1::ObjectReport> CatalogueRepository::failed_objects(const std::string& job_id) {
  std::string path, code, message;
  soci::statement statement =
      (sql_.prepare << "SELECT path, code, message FROM failed_objects WHERE job_id = :job ORDER BY path", into(path),
       into(code), into(message), use(job_id));
  statement.execute();
  std::vector<v1::ObjectReport> objects;
  while (statement.fetch()) {
    v1::ObjectReport& object = objects.emplace_back();
    object.set_path(path);
    object.set_code(code);
    object.set_message(message);
  }
  return objects;
}

WorkerRecord WorkerRepository::find(const std::string& id) {
  WorkerRecord worker;
  worker.id = id;
  sql_ << "SELECT epoch, acked_seq, host, version, seen_us FROM workers WHERE id = :id", into(worker.epoch),
      into(worker.acked_seq), into(worker.host), into(worker.version), into(worker.seen_us), use(id);
  return worker;
}

void WorkerRepository::put(const WorkerRecord& worker) {
  sql_ << "INSERT INTO workers (id, epoch, acked_seq, host, version, seen_us) VALUES (:id, :epoch, :acked, :host, "
          ":version, :seen) ON CONFLICT (id) DO UPDATE SET epoch = excluded.epoch, acked_seq = excluded.acked_seq, "
          "host = excluded.host, version = excluded.version, seen_us = excluded.seen_us",
      use(worker.id), use(worker.epoch), use(worker.acked_seq), use(worker.host), use(worker.version),
      use(worker.seen_us);
}

}  // namespace espalier::coordinator

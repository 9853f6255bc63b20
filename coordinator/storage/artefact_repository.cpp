#include "coordinator/storage/artefact_repository.h"

#include <soci/soci.h>

#include "absl/strings/str_cat.h"
#include "coordinator/paging.h"
#include "coordinator/proto_json.h"

namespace espalier::coordinator {
namespace {

constexpr const char* kSelectArtefacts =
    "SELECT id, tenant_id, job_id, kind, file_name, content_type, size_bytes, sha256, create_us FROM artefacts ";

}  // namespace

using soci::into;
using soci::use;

v1::Artefact to_proto(const ArtefactRecord& record) {
  v1::Artefact artefact;
  artefact.set_artefact_id(record.id);
  artefact.set_kind(record.kind);
  artefact.set_file_name(record.file_name);
  artefact.set_content_type(record.content_type);
  artefact.set_size_bytes(record.size_bytes);
  artefact.set_sha256(record.sha256);
  *artefact.mutable_create_time() = to_timestamp(record.create_us);
  artefact.set_job_id(record.job_id);
  return artefact;
}

v1::TaskLease lease_of(const TaskRecord& task, int member) {
  v1::TaskLease lease;
  lease.set_task_id(task.id);
  lease.set_attempt(task.attempt);
  lease.set_fencing_token(static_cast<uint64_t>(task.fencing_token));
  lease.set_member(member);
  return lease;
}

void ArtefactRepository::insert(const ArtefactRecord& artefact) {
  const int kind = artefact.kind;
  sql_ << "INSERT INTO artefacts (id, tenant_id, job_id, kind, file_name, content_type, size_bytes, sha256, create_us) "
          "VALUES (:id, :tenant, :job, :kind, :name, :type, :size, :sha, :created)",
      use(artefact.id), use(artefact.tenant_id), use(artefact.job_id), use(kind), use(artefact.file_name),
      use(artefact.content_type), use(artefact.size_bytes), use(artefact.sha256), use(artefact.create_us);
}

Result<ArtefactRecord> ArtefactRepository::find(const std::string& id, const std::string& tenant_id) {
  ArtefactRecord found;
  int kind = 0;
  sql_ << kSelectArtefacts << "WHERE id = :id AND tenant_id = :tenant", into(found.id), into(found.tenant_id),
      into(found.job_id), into(kind), into(found.file_name), into(found.content_type), into(found.size_bytes),
      into(found.sha256), into(found.create_us), use(id), use(tenant_id);
  if (!sql_.got_data()) return absl::NotFoundError(absl::StrCat("no artefact ", id));
  found.kind = static_cast<v1::ArtefactKind>(kind);
  return found;
}

std::optional<ArtefactRecord> ArtefactRepository::find_same(const ArtefactRecord& like) {
  ArtefactRecord found;
  int kind = like.kind;
  sql_ << kSelectArtefacts
       << "WHERE sha256 = :sha AND tenant_id = :tenant AND job_id = :job AND kind = :kind AND file_name = :name",
      into(found.id), into(found.tenant_id), into(found.job_id), into(kind), into(found.file_name),
      into(found.content_type), into(found.size_bytes), into(found.sha256), into(found.create_us), use(like.sha256),
      use(like.tenant_id), use(like.job_id), use(kind), use(like.file_name);
  if (!sql_.got_data()) return std::nullopt;
  found.kind = static_cast<v1::ArtefactKind>(kind);
  return found;
}

bool ArtefactRepository::tenant_has(const std::string& tenant_id, const std::string& sha256, long long size_bytes) {
  int count = 0;
  sql_ << "SELECT COUNT(*) FROM artefacts WHERE sha256 = :sha AND tenant_id = :tenant AND size_bytes = :size",
      into(count), use(sha256), use(tenant_id), use(size_bytes);
  return count > 0;
}

std::vector<ArtefactRecord> ArtefactRepository::list(const std::string& tenant_id, const std::string& job_id,
                                                     v1::ArtefactKind wanted, const PageQuery& page) {
  ArtefactRecord row;
  int kind = 0;
  const int only = wanted;
  soci::statement statement =
      (sql_.prepare << "SELECT number, id, tenant_id, job_id, kind, file_name, content_type, size_bytes, sha256, "
                       "create_us FROM artefacts WHERE tenant_id = :tenant AND (:job = '' OR job_id = :same) AND "
                       "(:kind = 0 OR kind = :equal)"
                    << page_clause(page),
       into(row.number), into(row.id), into(row.tenant_id), into(row.job_id), into(kind), into(row.file_name),
       into(row.content_type), into(row.size_bytes), into(row.sha256), into(row.create_us), use(tenant_id, "tenant"),
       use(job_id, "job"), use(job_id, "same"), use(only, "kind"), use(only, "equal"));
  statement.execute();
  std::vector<ArtefactRecord> rows;
  while (statement.fetch()) {
    row.kind = static_cast<v1::ArtefactKind>(kind);
    rows.push_back(row);
  }
  return rows;
}

long long ArtefactRepository::stored_bytes(const std::string& tenant_id) {
  long long bytes = 0;
  sql_ << "SELECT COALESCE(SUM(size_bytes), 0) FROM (SELECT DISTINCT sha256, size_bytes FROM artefacts "
          "WHERE tenant_id = :tenant) AS contents",
      into(bytes), use(tenant_id);
  return bytes;
}

std::unordered_set<std::string> ArtefactRepository::contents() {
  std::unordered_set<std::string> found;
  std::string sha256;
  soci::statement statement = (sql_.prepare << "SELECT DISTINCT sha256 FROM artefacts", into(sha256));
  statement.execute();
  while (statement.fetch()) found.insert(sha256);
  return found;
}

void ArtefactRepository::remove(const std::string& id) { sql_ << "DELETE FROM artefacts WHERE id = :id", use(id); }

int ArtefactRepository::references(const std::string& sha256) {
  int count = 0;
  sql_ << "SELECT COUNT(*) FROM artefacts WHERE sha256 = :sha", into(count), use(sha256);
  return count;
}

}  // namespace espalier::coordinator

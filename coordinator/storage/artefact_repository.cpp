#include "coordinator/storage/artefact_repository.h"

#include <soci/soci.h>

#include "absl/strings/str_cat.h"
#include "coordinator/proto_json.h"

namespace espalier::coordinator {
namespace {

constexpr const char* kSelect =
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

v1::TaskLease lease_of(const TaskRecord& task) {
  v1::TaskLease lease;
  lease.set_task_id(task.id);
  lease.set_attempt(task.attempt);
  lease.set_fencing_token(static_cast<uint64_t>(task.fencing_token));
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
  sql_ << kSelect << "WHERE id = :id AND tenant_id = :tenant", into(found.id), into(found.tenant_id),
      into(found.job_id), into(kind), into(found.file_name), into(found.content_type), into(found.size_bytes),
      into(found.sha256), into(found.create_us), use(id), use(tenant_id);
  if (!sql_.got_data()) return absl::NotFoundError(absl::StrCat("no artefact ", id));
  found.kind = static_cast<v1::ArtefactKind>(kind);
  return found;
}

std::optional<ArtefactRecord> ArtefactRepository::find_same(const ArtefactRecord& like) {
  ArtefactRecord found;
  int kind = like.kind;
  sql_ << kSelect
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

void ArtefactRepository::remove(const std::string& id) { sql_ << "DELETE FROM artefacts WHERE id = :id", use(id); }

int ArtefactRepository::references(const std::string& sha256) {
  int count = 0;
  sql_ << "SELECT COUNT(*) FROM artefacts WHERE sha256 = :sha", into(count), use(sha256);
  return count;
}

}  // namespace espalier::coordinator

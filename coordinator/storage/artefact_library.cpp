#include "coordinator/storage/artefact_library.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "coordinator/paging.h"
#include "coordinator/scheduling/leases.h"
#include "coordinator/storage/artefact_repository.h"
#include "coordinator/tenants/tenant_repository.h"
#include "rpc/status.h"

namespace espalier::coordinator {
namespace {

// Bytes appear a moment before their row does.
constexpr std::chrono::hours kOrphanAge{1};

bool is_plain_name(const std::string& name) {
  return !name.empty() && name.size() <= 200 && name != "." && name != ".." &&
         std::none_of(name.begin(), name.end(),
                      [](unsigned char c) { return c < 32 || c == 127 || c == '/' || c == '\\'; });
}

bool kind_allowed(v1::ArtefactKind kind, bool by_task) {
  switch (kind) {
    case v1::ARTEFACT_KIND_ARCHIVE:
      return !by_task;
    case v1::ARTEFACT_KIND_ADAPTER:
      return true;
    case v1::ARTEFACT_KIND_PREPARED_DATASET:
    case v1::ARTEFACT_KIND_CHECKPOINT:
    case v1::ARTEFACT_KIND_LOG:
    case v1::ARTEFACT_KIND_DATASET_PART:
      return by_task;
    default:
      return false;
  }
}

}  // namespace

Status ArtefactLibrary::check(const v1::UploadHeader& header) const {
  std::vector<FieldFault> faults;
  const bool by_task = header.has_task();
  const int64_t limit = static_cast<int64_t>((by_task ? limits_.output : limits_.archive).count);
  if (!kind_allowed(header.kind(), by_task)) {
    faults.push_back({"header.kind", by_task
                                         ? "a task stores PREPARED_DATASET, DATASET_PART, CHECKPOINT, ADAPTER or LOG"
                                         : "a client stores ARCHIVE or ADAPTER"});
  }
  if (!is_plain_name(header.file_name())) {
    faults.push_back({"header.file_name", "must be a bare name of 1 to 200 bytes without separators"});
  }
  if (header.content_type().size() > 200) faults.push_back({"header.content_type", "is longer than 200 bytes"});
  if (!is_sha256(header.sha256())) faults.push_back({"header.sha256", "must be 64 lower-case hexadecimal digits"});
  if (header.size_bytes() < 1)
    faults.push_back({"header.size_bytes", "must be at least 1: an empty file is no artefact"});
  if (header.offset() < 0 || header.offset() > std::max<int64_t>(header.size_bytes(), 0)) {
    faults.push_back({"header.offset", "must be 0 to size_bytes"});
  }
  ESP_TRY(invalid_fields(faults));
  if (header.size_bytes() > limit) {
    return absl::ResourceExhaustedError(
        absl::StrCat("header.size_bytes: ", header.size_bytes(), " is more than the limit of ", limit, " bytes"));
  }
  return absl::OkStatus();
}

std::shared_ptr<ArtefactLibrary::Upload::Slot> ArtefactLibrary::slot(const std::string& key) {
  const std::lock_guard lock(slots_mutex_);
  std::erase_if(slots_, [](const auto& entry) { return entry.second.expired(); });
  auto found = slots_[key].lock();
  if (!found) slots_[key] = found = std::make_shared<Upload::Slot>();
  return found;
}

Result<std::unique_ptr<ArtefactLibrary::Upload>> ArtefactLibrary::upload(const std::string& tenant_id,
                                                                         const v1::UploadHeader& header) {
  ESP_TRY(check(header));
  auto upload = std::make_unique<Upload>();
  upload->library_ = this;
  upload->lease_ = header.task();
  ArtefactRecord& record = upload->record_;
  record.id = new_id("art");
  record.tenant_id = tenant_id;
  record.kind = header.kind();
  record.file_name = header.file_name();
  record.content_type = header.content_type().empty() ? "application/octet-stream" : header.content_type();
  record.size_bytes = header.size_bytes();
  record.sha256 = header.sha256();
  ESP_TRY(find_existing(header, *upload));
  if (upload->existing_) return upload;
  const std::string key = absl::StrCat(record.tenant_id, "-", record.sha256, "-", record.size_bytes);
  upload->slot_ = slot(key);
  const std::lock_guard lock(upload->slot_->mutex);
  upload->generation_ = ++upload->slot_->generation;
  ESP_ASSIGN(upload->writer_, blobs_.write(key, record.sha256, record.size_bytes, header.offset()));
  return upload;
}

Status ArtefactLibrary::find_existing(const v1::UploadHeader& header, Upload& upload) {
  const std::lock_guard lock(blobs_mutex_);
  ArtefactRecord& record = upload.record_;
  return database_.transaction([&](soci::session& sql) -> Status {
    if (header.has_task()) {
      ESP_ASSIGN(const TaskRecord task, task_of_current_lease(sql, header.task()));
      record.job_id = task.job_id;
      record.tenant_id = task.tenant_id;
    }
    ArtefactRepository artefacts(sql);
    upload.existing_ = artefacts.find_same(record);
    const bool complete = artefacts.tenant_has(record.tenant_id, record.sha256, record.size_bytes);
    if (upload.existing_) return absl::OkStatus();
    if (!complete || !blobs_.contains(record.sha256)) return check_quota(sql, record, header.has_task());
    record.create_us = clock_.now_us();  // the tenant's own bytes under another name or kind: not sent again
    artefacts.insert(record);
    upload.existing_ = record;
    return absl::OkStatus();
  });
}

// What a task makes counts, but is never refused: the work is done by then.
Status ArtefactLibrary::check_quota(soci::session& sql, const ArtefactRecord& record, bool by_task) {
  const auto tenant = TenantRepository(sql).find(record.tenant_id);
  const int64_t limit = tenant.ok() ? tenant->limits.max_storage_bytes() : 0;
  if (by_task || limit == 0) return absl::OkStatus();
  const int64_t used = ArtefactRepository(sql).stored_bytes(record.tenant_id);
  if (used + record.size_bytes <= limit) return absl::OkStatus();
  return quota_exceeded("max_storage_bytes",
                        absl::StrCat(used, " bytes are stored, ", record.size_bytes, " more would exceed the limit of ",
                                     limit, "; delete what is not needed"));
}

Status ArtefactLibrary::Upload::write(std::string_view bytes) {
  const std::lock_guard lock(slot_->mutex);
  if (slot_->generation != generation_) return absl::AbortedError("a newer upload of this content took over");
  return writer_->write(bytes);
}

Result<ArtefactRecord> ArtefactLibrary::Upload::finish() {
  const std::lock_guard lock(slot_->mutex);
  if (slot_->generation != generation_) return absl::AbortedError("a newer upload of this content took over");
  ++slot_->generation;  // the partial file is about to go
  return library_->store(*this);
}

Result<ArtefactRecord> ArtefactLibrary::store(Upload& upload) {
  const std::lock_guard lock(blobs_mutex_);
  ESP_TRY(upload.writer_->commit());
  upload.record_.create_us = clock_.now_us();
  return database_.transaction([&](soci::session& sql) -> Result<ArtefactRecord> {
    if (!upload.lease_.task_id().empty()) ESP_TRY(task_of_current_lease(sql, upload.lease_).status());
    ArtefactRepository artefacts(sql);
    if (auto same = artefacts.find_same(upload.record_)) return *same;
    ESP_TRY(check_quota(sql, upload.record_, !upload.lease_.task_id().empty()));
    artefacts.insert(upload.record_);
    return upload.record_;
  });
}

Result<int64_t> ArtefactLibrary::received_bytes(const std::string& tenant_id, const std::string& sha256,
                                                int64_t size_bytes) {
  std::vector<FieldFault> faults;
  if (!is_sha256(sha256)) faults.push_back({"sha256", "must be 64 lower-case hexadecimal digits"});
  if (size_bytes < 1) faults.push_back({"size_bytes", "must be at least 1"});
  ESP_TRY(invalid_fields(faults));
  ESP_ASSIGN(const bool complete, database_.read([&](soci::session& sql) -> Result<bool> {
    return ArtefactRepository(sql).tenant_has(tenant_id, sha256, size_bytes);
  }));
  if (complete && blobs_.contains(sha256)) return size_bytes;
  return blobs_.partial_size(absl::StrCat(tenant_id, "-", sha256, "-", size_bytes));
}

Result<ArtefactRecord> ArtefactLibrary::find(const std::string& tenant_id, const std::string& id) {
  return database_.read([&](soci::session& sql) { return ArtefactRepository(sql).find(id, tenant_id); });
}

Result<std::unique_ptr<BlobStore::Reader>> ArtefactLibrary::read(const ArtefactRecord& artefact, int64_t offset) {
  return blobs_.read(artefact.sha256, artefact.size_bytes, offset);
}

Result<v1::ListArtefactsResponse> ArtefactLibrary::list(const std::string& tenant_id,
                                                        const v1::ListArtefactsRequest& request) {
  const std::string scope = absl::StrCat("artefacts/", request.job_id(), "/", static_cast<int>(request.kind()));
  ESP_ASSIGN(PageQuery page, parse_page(request.page(), scope));
  const int wanted = page.size++;
  return database_.transaction([&](soci::session& sql) -> Result<v1::ListArtefactsResponse> {
    const auto rows = ArtefactRepository(sql).list(tenant_id, request.job_id(), request.kind(), page);
    v1::ListArtefactsResponse response;
    response.set_next_page_token(fill_page(rows, wanted, scope, response.mutable_artefacts(),
                                           [](const ArtefactRecord& row) { return to_proto(row); }));
    return response;
  });
}

Status ArtefactLibrary::remove(const std::string& tenant_id, const std::string& id) {
  std::string content;
  const Status removed = database_.transaction([&](soci::session& sql) -> Status {
    ArtefactRepository artefacts(sql);
    const auto artefact = artefacts.find(id, tenant_id);
    if (absl::IsNotFound(artefact.status())) return absl::OkStatus();
    ESP_TRY(artefact.status());
    artefacts.remove(id);
    content = artefact->sha256;
    return absl::OkStatus();
  });
  ESP_TRY(removed);
  return content.empty() ? absl::OkStatus() : drop_content(content);
}

Status ArtefactLibrary::drop_content(const std::string& sha256) {
  const std::lock_guard lock(blobs_mutex_);
  ESP_ASSIGN(const int references, database_.transaction([&](soci::session& sql) -> Result<int> {
    return ArtefactRepository(sql).references(sha256);
  }));
  if (references == 0) blobs_.remove(sha256);
  return absl::OkStatus();
}

Result<int64_t> ArtefactLibrary::collect_orphans() {
  const std::vector<std::string> stored = blobs_.older_than(kOrphanAge);
  ESP_ASSIGN(const auto known,
             database_.transaction([&](soci::session& sql) -> Result<std::unordered_set<std::string>> {
               return ArtefactRepository(sql).contents();
             }));
  int64_t removed = 0;
  for (const std::string& sha256 : stored) {
    if (known.contains(sha256)) continue;
    ESP_TRY(drop_content(sha256));
    removed += blobs_.contains(sha256) ? 0 : 1;
  }
  return removed;
}

}  // namespace espalier::coordinator

#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "common/status.h"
#include "coordinator/clock.h"
#include "coordinator/config.h"
#include "coordinator/jobs/records.h"
#include "coordinator/storage/blob_store.h"
#include "coordinator/storage/database.h"

namespace espalier::coordinator {

// Artefacts of tenants: rows in the database, bytes in the blob store, uploads in between. Thread-safe.
class ArtefactLibrary {
 public:
  // All must outlive the library.
  ArtefactLibrary(Database& database, BlobStore& blobs, const LimitConfig& limits, const Clock& clock)
      : database_(database), blobs_(blobs), limits_(limits), clock_(clock) {}

  // One running upload. Not thread-safe. Dropping it keeps the bytes for a later one.
  class Upload {
   public:
    // The content was there already: nothing needs to be sent.
    const std::optional<ArtefactRecord>& existing() const { return existing_; }
    // ABORTED: a newer upload of the same content took over. Others as BlobStore::Writer::write.
    Status write(std::string_view bytes);
    // Makes the artefact. ABORTED also when the task's lease is no longer current.
    Result<ArtefactRecord> finish();

   private:
    friend class ArtefactLibrary;
    struct Slot {
      std::mutex mutex;  // guards generation and the partial file
      uint64_t generation = 0;
    };
    ArtefactLibrary* library_ = nullptr;
    std::shared_ptr<Slot> slot_;
    uint64_t generation_ = 0;
    std::unique_ptr<BlobStore::Writer> writer_;
    ArtefactRecord record_;
    v1::TaskLease lease_;  // task_id empty: a client's upload
    std::optional<ArtefactRecord> existing_;
  };
  // Errors as ArtefactService.Upload documents.
  Result<std::unique_ptr<Upload>> upload(const std::string& tenant_id, const v1::UploadHeader& header);

  Result<int64_t> received_bytes(const std::string& tenant_id, const std::string& sha256, int64_t size_bytes);
  Result<ArtefactRecord> find(const std::string& tenant_id, const std::string& id);
  Result<std::unique_ptr<BlobStore::Reader>> read(const ArtefactRecord& artefact, int64_t offset);
  // Newest first. Errors as ArtefactService.ListArtefacts documents.
  Result<v1::ListArtefactsResponse> list(const std::string& tenant_id, const v1::ListArtefactsRequest& request);

  // Removes the row, and the bytes when no other row has them. OK when it is gone already.
  Status remove(const std::string& tenant_id, const std::string& id);
  // Removes the bytes when no row has them.
  Status drop_content(const std::string& sha256);
  // Removes all bytes that no row has, as a crash between storing and recording leaves them. Returns their number.
  Result<int64_t> collect_orphans();
  // Removes what was sent of uploads that nobody went on with for so long. Returns their number.
  int64_t drop_partial_uploads(Milliseconds idle) { return blobs_.remove_partials(idle); }

 private:
  Status check(const v1::UploadHeader& header) const;
  Status find_existing(const v1::UploadHeader& header, Upload& upload);
  Status check_quota(soci::session& sql, const ArtefactRecord& record, bool by_task);
  Result<ArtefactRecord> store(Upload& upload);
  std::shared_ptr<Upload::Slot> slot(const std::string& key);

  Database& database_;
  BlobStore& blobs_;
  const LimitConfig limits_;
  const Clock& clock_;
  std::mutex slots_mutex_;  // guards slots_
  std::map<std::string, std::weak_ptr<Upload::Slot>> slots_;
  std::mutex blobs_mutex_;  // a blob and its rows change together: held while either is added or removed
};

}  // namespace espalier::coordinator

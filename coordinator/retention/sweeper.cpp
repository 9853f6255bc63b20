#include "coordinator/retention/sweeper.h"

#include <soci/soci.h>

#include "common/log.h"
#include "coordinator/retention/removal.h"

namespace espalier::coordinator {
namespace {

using soci::into;
using soci::use;

// An uploaded archive (kind 1) that nobody's unfinished job reads.
constexpr const char* kOldUploads = R"sql(
SELECT tenant_id, id FROM artefacts WHERE kind = 1 AND job_id = '' AND create_us < :before AND NOT EXISTS (
  SELECT 1 FROM jobs WHERE jobs.tenant_id = artefacts.tenant_id AND jobs.end_us = 0
    AND jobs.spec_json LIKE '%"' || artefacts.id || '"%'))sql";

// Log files (kind 5).
constexpr const char* kOldLogs = R"sql(
SELECT artefacts.tenant_id, artefacts.id FROM artefacts JOIN jobs ON jobs.id = artefacts.job_id
WHERE artefacts.kind = 5 AND jobs.end_us > 0 AND jobs.end_us < :before)sql";

// Checkpoints (kind 3) and parts of datasets (kind 6).
constexpr const char* kLeftovers = R"sql(
SELECT artefacts.tenant_id, artefacts.id FROM artefacts JOIN jobs ON jobs.id = artefacts.job_id
WHERE artefacts.kind IN (3, 6) AND jobs.end_us > 0 AND jobs.end_us < :before)sql";

// Datasets (kind 2) and adapters (kind 4) that were stored, but whose task failed or was cancelled before it named
// them.
constexpr const char* kUnlisted = R"sql(
SELECT artefacts.tenant_id, artefacts.id FROM artefacts JOIN jobs ON jobs.id = artefacts.job_id
WHERE artefacts.kind IN (2, 4) AND jobs.end_us > 0 AND jobs.end_us < :before
  AND NOT EXISTS (SELECT 1 FROM datasets WHERE datasets.job_id = artefacts.job_id
    AND datasets.dataset_json LIKE '%"' || artefacts.id || '"%')
  AND NOT EXISTS (SELECT 1 FROM adapters WHERE adapters.job_id = artefacts.job_id
    AND adapters.adapter_json LIKE '%"' || artefacts.id || '"%'))sql";

}  // namespace

long long Sweeper::before(Milliseconds age) const { return clock_.now_us() - std::chrono::microseconds(age).count(); }

Result<Sweeper::Swept> Sweeper::sweep() {
  Swept swept;
  ESP_ASSIGN(const Candidates candidates, expired());
  for (const auto& [tenant_id, artefact_id] : candidates) {
    ESP_ASSIGN(const bool removed, remove(tenant_id, artefact_id));
    swept.artefacts += removed ? 1 : 0;
  }
  ESP_ASSIGN(swept.log_lines, remove_log_lines());
  ESP_ASSIGN(swept.orphans, artefacts_.collect_orphans());
  swept.partial_uploads = artefacts_.drop_partial_uploads(retention_.partial_uploads);
  if (swept.artefacts + swept.log_lines + swept.orphans + swept.partial_uploads > 0) {
    log_info("swept", {{"artefacts", swept.artefacts},
                       {"log_lines", swept.log_lines},
                       {"orphans", swept.orphans},
                       {"partial_uploads", swept.partial_uploads}});
  }
  return swept;
}

Result<Sweeper::Candidates> Sweeper::expired() {
  const std::pair<const char*, Milliseconds> rules[] = {{kOldUploads, retention_.uploads},
                                                        {kOldLogs, retention_.logs},
                                                        {kLeftovers, retention_.checkpoints},
                                                        {kUnlisted, retention_.unlisted_outputs}};
  return database_.transaction([&](soci::session& sql) -> Result<Candidates> {
    Candidates found;
    for (const auto& [query, age] : rules) {
      const long long oldest = before(age);
      std::string tenant_id, id;
      soci::statement statement = (sql.prepare << query, into(tenant_id), into(id), use(oldest));
      statement.execute();
      while (statement.fetch()) found.emplace_back(tenant_id, id);
    }
    return found;
  });
}

// False when it is needed by now, or gone.
Result<bool> Sweeper::remove(const std::string& tenant_id, const std::string& artefact_id) {
  std::vector<std::string> contents;
  const Status status = database_.transaction([&](soci::session& sql) -> Status {
    Removal removal(sql);
    ESP_TRY(removal.artefact(tenant_id, artefact_id));
    contents = removal.contents();
    return absl::OkStatus();
  });
  if (absl::IsFailedPrecondition(status) || absl::IsNotFound(status)) return false;
  ESP_TRY(status);
  for (const std::string& sha256 : contents) ESP_TRY(artefacts_.drop_content(sha256));
  return true;
}

Result<int64_t> Sweeper::remove_log_lines() {
  const long long oldest = before(retention_.logs);
  return database_.transaction([&](soci::session& sql) -> Result<int64_t> {
    soci::statement statement =
        (sql.prepare << "DELETE FROM logs WHERE job_id IN (SELECT id FROM jobs WHERE end_us > 0 AND end_us < :before)",
         use(oldest));
    statement.execute(true);
    return static_cast<int64_t>(statement.get_affected_rows());
  });
}

}  // namespace espalier::coordinator

#include "coordinator/storage/migrations.h"

namespace espalier::coordinator {
namespace {

// Times are microseconds since 1970. Columns named *_json hold protobuf JSON. States are the numbers of the proto
// enums.
constexpr const char* kFirst = R"sql(
CREATE TABLE counters (
  name TEXT PRIMARY KEY,
  value BIGINT NOT NULL
);
INSERT INTO counters (name, value) VALUES ('fencing_token', 0);

CREATE TABLE artefacts (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  tenant_id TEXT NOT NULL,
  job_id TEXT NOT NULL,
  kind INTEGER NOT NULL,
  file_name TEXT NOT NULL,
  content_type TEXT NOT NULL,
  size_bytes BIGINT NOT NULL,
  sha256 TEXT NOT NULL,
  create_us BIGINT NOT NULL
);
CREATE INDEX artefacts_by_content ON artefacts (sha256, tenant_id);

CREATE TABLE jobs (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  tenant_id TEXT NOT NULL,
  request_id TEXT NOT NULL,
  request_sha256 TEXT NOT NULL,
  name TEXT NOT NULL,
  state INTEGER NOT NULL,
  spec_json TEXT NOT NULL,
  prices_json TEXT NOT NULL,
  estimate_json TEXT NOT NULL,
  cost_json TEXT NOT NULL,
  dataset_id TEXT NOT NULL,
  error TEXT NOT NULL,
  warnings_json TEXT NOT NULL,
  create_us BIGINT NOT NULL,
  start_us BIGINT NOT NULL,
  end_us BIGINT NOT NULL,
  last_sequence BIGINT NOT NULL,
  last_log_sequence BIGINT NOT NULL,
  UNIQUE (tenant_id, request_id)
);
CREATE INDEX jobs_by_state ON jobs (state, number);

CREATE TABLE tasks (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  job_id TEXT NOT NULL REFERENCES jobs (id),
  tenant_id TEXT NOT NULL,
  denoiser INTEGER NOT NULL,
  position INTEGER NOT NULL,
  state INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  failures INTEGER NOT NULL,
  fencing_token BIGINT NOT NULL,
  worker_id TEXT NOT NULL,
  lease_until_us BIGINT NOT NULL,
  not_before_us BIGINT NOT NULL,
  checkpoint_artefact_id TEXT NOT NULL,
  checkpoint_step INTEGER NOT NULL,
  progress_json TEXT NOT NULL,
  error TEXT NOT NULL,
  UNIQUE (job_id, denoiser)
);
CREATE INDEX tasks_by_state ON tasks (state, not_before_us);
CREATE INDEX tasks_by_worker ON tasks (worker_id, state);

CREATE TABLE attempts (
  task_id TEXT NOT NULL REFERENCES tasks (id),
  attempt INTEGER NOT NULL,
  fencing_token BIGINT NOT NULL UNIQUE,
  worker_id TEXT NOT NULL,
  start_us BIGINT NOT NULL,
  end_us BIGINT NOT NULL,
  outcome TEXT NOT NULL,
  PRIMARY KEY (task_id, attempt)
);

CREATE TABLE events (
  job_id TEXT NOT NULL REFERENCES jobs (id),
  sequence BIGINT NOT NULL,
  event_json TEXT NOT NULL,
  PRIMARY KEY (job_id, sequence)
);

CREATE TABLE logs (
  job_id TEXT NOT NULL REFERENCES jobs (id),
  sequence BIGINT NOT NULL,
  time_us BIGINT NOT NULL,
  severity INTEGER NOT NULL,
  denoiser INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  text TEXT NOT NULL,
  PRIMARY KEY (job_id, sequence)
);

CREATE TABLE metrics (
  task_id TEXT NOT NULL REFERENCES tasks (id),
  step INTEGER NOT NULL,
  loss DOUBLE PRECISION NOT NULL,
  learning_rate DOUBLE PRECISION NOT NULL,
  grad_norm DOUBLE PRECISION NOT NULL,
  seconds_per_step DOUBLE PRECISION NOT NULL,
  PRIMARY KEY (task_id, step)
);

CREATE TABLE failed_objects (
  job_id TEXT NOT NULL REFERENCES jobs (id),
  path TEXT NOT NULL,
  code TEXT NOT NULL,
  message TEXT NOT NULL,
  PRIMARY KEY (job_id, path)
);

CREATE TABLE datasets (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  tenant_id TEXT NOT NULL,
  job_id TEXT NOT NULL,
  dataset_json TEXT NOT NULL
);

CREATE TABLE adapters (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  tenant_id TEXT NOT NULL,
  job_id TEXT NOT NULL,
  denoiser INTEGER NOT NULL,
  adapter_json TEXT NOT NULL
);
CREATE INDEX adapters_by_job ON adapters (job_id);

CREATE TABLE workers (
  id TEXT PRIMARY KEY,
  epoch BIGINT NOT NULL,
  acked_seq BIGINT NOT NULL,
  host TEXT NOT NULL,
  version TEXT NOT NULL,
  seen_us BIGINT NOT NULL
);
)sql";

constexpr Migration kMigrations[] = {
    {1, "jobs, tasks, artefacts, events", kFirst},
};

}  // namespace

std::span<const Migration> migrations() { return kMigrations; }

}  // namespace espalier::coordinator

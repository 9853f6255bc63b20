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

constexpr const char* kTenants = R"sql(
CREATE TABLE tenants (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  display_name TEXT NOT NULL,
  state INTEGER NOT NULL,
  weight DOUBLE PRECISION NOT NULL,
  limits_json TEXT NOT NULL,
  post_paid INTEGER NOT NULL,
  create_us BIGINT NOT NULL
);

CREATE TABLE keys (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  tenant_id TEXT NOT NULL REFERENCES tenants (id),
  name TEXT NOT NULL,
  role INTEGER NOT NULL,
  digest TEXT NOT NULL,
  create_us BIGINT NOT NULL,
  expire_us BIGINT NOT NULL,
  revoke_us BIGINT NOT NULL,
  last_use_us BIGINT NOT NULL
);
CREATE INDEX keys_by_tenant ON keys (tenant_id, number);

CREATE TABLE audit (
  number INTEGER PRIMARY KEY,
  time_us BIGINT NOT NULL,
  principal TEXT NOT NULL,
  tenant_id TEXT NOT NULL,
  action TEXT NOT NULL,
  target TEXT NOT NULL,
  details_json TEXT NOT NULL,
  sha256 TEXT NOT NULL
);
CREATE INDEX audit_by_tenant ON audit (tenant_id, number);
CREATE TRIGGER audit_keeps_rows BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_keeps_text BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
)sql";

// Tasks get a kind (0 preparation, 1 merge of its shards, 2 training), attempts several members. The tables are made
// anew because SQLite cannot drop the uniqueness of (job_id, denoiser). Lease ends live in the coordinator's memory: a
// restart gives every lease its whole time anyway.
constexpr const char* kGangs = R"sql(
ALTER TABLE jobs ADD COLUMN priority INTEGER NOT NULL DEFAULT 2;
ALTER TABLE jobs ADD COLUMN expected_objects INTEGER NOT NULL DEFAULT 0;
CREATE INDEX jobs_by_tenant ON jobs (tenant_id, number);

CREATE TABLE tasks_next (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  job_id TEXT NOT NULL REFERENCES jobs (id),
  tenant_id TEXT NOT NULL,
  kind INTEGER NOT NULL,
  denoiser INTEGER NOT NULL,
  shard INTEGER NOT NULL,
  shards INTEGER NOT NULL,
  ranks INTEGER NOT NULL,
  position INTEGER NOT NULL,
  state INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  failures INTEGER NOT NULL,
  fencing_token BIGINT NOT NULL,
  world_size INTEGER NOT NULL,
  master_port INTEGER NOT NULL,
  rendezvous_until_us BIGINT NOT NULL,
  worker_id TEXT NOT NULL,
  not_before_us BIGINT NOT NULL,
  checkpoint_artefact_id TEXT NOT NULL,
  checkpoint_step INTEGER NOT NULL,
  output_artefact_id TEXT NOT NULL,
  progress_json TEXT NOT NULL,
  error TEXT NOT NULL,
  UNIQUE (job_id, kind, denoiser, shard)
);
INSERT INTO tasks_next SELECT number, id, job_id, tenant_id, CASE denoiser WHEN 0 THEN 0 ELSE 2 END, denoiser, 0, 1, 1,
  position, state, attempt, failures, fencing_token, 1, 0, 0, worker_id, not_before_us, checkpoint_artefact_id,
  checkpoint_step, '', progress_json, error FROM tasks;

CREATE TABLE attempts_next (
  task_id TEXT NOT NULL REFERENCES tasks_next (id),
  attempt INTEGER NOT NULL,
  fencing_token BIGINT NOT NULL UNIQUE,
  worker_id TEXT NOT NULL,
  ranks INTEGER NOT NULL,
  start_us BIGINT NOT NULL,
  end_us BIGINT NOT NULL,
  outcome TEXT NOT NULL,
  PRIMARY KEY (task_id, attempt)
);
INSERT INTO attempts_next SELECT task_id, attempt, fencing_token, worker_id, 1, start_us, end_us, outcome FROM attempts;

CREATE TABLE metrics_next (
  task_id TEXT NOT NULL REFERENCES tasks_next (id),
  step INTEGER NOT NULL,
  loss DOUBLE PRECISION NOT NULL,
  learning_rate DOUBLE PRECISION NOT NULL,
  grad_norm DOUBLE PRECISION NOT NULL,
  seconds_per_step DOUBLE PRECISION NOT NULL,
  PRIMARY KEY (task_id, step)
);
INSERT INTO metrics_next SELECT task_id, step, loss, learning_rate, grad_norm, seconds_per_step FROM metrics;

DROP TABLE metrics;
DROP TABLE attempts;
DROP TABLE tasks;
ALTER TABLE tasks_next RENAME TO tasks;
ALTER TABLE attempts_next RENAME TO attempts;
ALTER TABLE metrics_next RENAME TO metrics;
CREATE INDEX tasks_by_state ON tasks (state);
CREATE INDEX attempts_by_end ON attempts (end_us);

CREATE TABLE members (
  task_id TEXT NOT NULL REFERENCES tasks (id),
  member INTEGER NOT NULL,
  worker_id TEXT NOT NULL,
  state INTEGER NOT NULL,
  PRIMARY KEY (task_id, member)
);
INSERT INTO members SELECT id, 0, worker_id, 1 FROM tasks WHERE state = 3;
CREATE INDEX members_by_worker ON members (worker_id);
)sql";

// A deleted job keeps its row: usage, invoices and the fair share refer to it.
constexpr const char* kRetention = R"sql(
ALTER TABLE jobs ADD COLUMN delete_us BIGINT NOT NULL DEFAULT 0;
CREATE INDEX artefacts_by_tenant ON artefacts (tenant_id, number);
CREATE INDEX artefacts_by_job ON artefacts (job_id);
CREATE INDEX datasets_by_job ON datasets (job_id);
)sql";

// Double entry. A transaction's postings are written first; its own row, which must follow before the commit, completes
// it: from then on nothing can be added, and nothing is ever changed. The balances are a cache of the postings.
constexpr const char* kLedger = R"sql(
CREATE TABLE ledger_transactions (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  tenant_id TEXT NOT NULL,
  kind INTEGER NOT NULL,
  job_id TEXT,
  line TEXT NOT NULL,
  request_id TEXT,
  reverses TEXT NOT NULL,
  note TEXT NOT NULL,
  time_us BIGINT NOT NULL,
  UNIQUE (job_id, kind, line),
  UNIQUE (tenant_id, request_id)
);
CREATE INDEX ledger_by_tenant ON ledger_transactions (tenant_id, number);
CREATE INDEX ledger_by_time ON ledger_transactions (tenant_id, time_us);

CREATE TABLE ledger_postings (
  transaction_id TEXT NOT NULL REFERENCES ledger_transactions (id) DEFERRABLE INITIALLY DEFERRED,
  account INTEGER NOT NULL CHECK (account BETWEEN 1 AND 5),
  amount_nanos BIGINT NOT NULL CHECK (amount_nanos <> 0),
  PRIMARY KEY (transaction_id, account)
);

CREATE TABLE ledger_balances (
  tenant_id TEXT PRIMARY KEY,
  available BIGINT NOT NULL,
  held BIGINT NOT NULL CHECK (held >= 0),
  revenue BIGINT NOT NULL CHECK (revenue >= 0),
  grants BIGINT NOT NULL,
  adjustments BIGINT NOT NULL
);

CREATE TRIGGER ledger_transactions_balance BEFORE INSERT ON ledger_transactions
  WHEN (SELECT COUNT(*) < 2 OR SUM(amount_nanos) <> 0 FROM ledger_postings WHERE transaction_id = NEW.id)
  BEGIN SELECT RAISE(ABORT, 'the transaction does not balance'); END;
CREATE TRIGGER ledger_postings_complete BEFORE INSERT ON ledger_postings
  WHEN EXISTS (SELECT 1 FROM ledger_transactions WHERE id = NEW.transaction_id)
  BEGIN SELECT RAISE(ABORT, 'the transaction is complete'); END;
CREATE TRIGGER ledger_transactions_stay BEFORE DELETE ON ledger_transactions
  BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER ledger_transactions_keep BEFORE UPDATE ON ledger_transactions
  BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER ledger_postings_stay BEFORE DELETE ON ledger_postings
  BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER ledger_postings_keep BEFORE UPDATE ON ledger_postings
  BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;

CREATE TABLE usage_events (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  tenant_id TEXT NOT NULL,
  job_id TEXT NOT NULL,
  kind INTEGER NOT NULL,
  denoiser INTEGER NOT NULL,
  quantity BIGINT NOT NULL,
  unit_nanos BIGINT NOT NULL,
  multiplier_numerator BIGINT NOT NULL,
  multiplier_denominator BIGINT NOT NULL,
  amount_nanos BIGINT NOT NULL,
  price_version TEXT NOT NULL,
  time_us BIGINT NOT NULL,
  UNIQUE (job_id, kind, denoiser)
);
CREATE INDEX usage_by_tenant ON usage_events (tenant_id, number);
CREATE INDEX usage_by_time ON usage_events (tenant_id, time_us);
CREATE TRIGGER usage_events_stay BEFORE DELETE ON usage_events
  BEGIN SELECT RAISE(ABORT, 'usage is append-only'); END;
CREATE TRIGGER usage_events_keep BEFORE UPDATE ON usage_events
  BEGIN SELECT RAISE(ABORT, 'usage is append-only'); END;

CREATE TABLE usage_outbox (
  event_number INTEGER PRIMARY KEY REFERENCES usage_events (number)
);
)sql";

constexpr Migration kMigrations[] = {
    {1, "jobs, tasks, artefacts, events", kFirst},
    {2, "tenants, keys, audit log", kTenants},
    {3, "gangs, shards, priorities", kGangs},
    {4, "deletion", kRetention},
    {5, "ledger, usage", kLedger},
};

}  // namespace

std::span<const Migration> migrations() { return kMigrations; }

}  // namespace espalier::coordinator

#include "coordinator/config.h"

#include <limits>

#include "common/denoiser.h"

namespace espalier::coordinator {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

namespace {

constexpr Bytes kMostBytes{uint64_t{64} << 40};

void describe_lease(LeaseConfig& lease, ConfigTable& table) {
  table.duration("lease.time", &lease.time, seconds(1), hours(1),
                 "A task whose worker was silent for this long is given to another one.");
  table.duration("lease.heartbeat", &lease.heartbeat, milliseconds(100), minutes(10),
                 "How often workers report; at most a third of lease.time.");
  table.duration("lease.cancel_grace", &lease.cancel_grace, milliseconds(0), minutes(10),
                 "Time that a cancelled task has to stop by itself.");
  table.integer("lease.max_attempts", &lease.max_attempts, 1, 20, "Attempts of a task before it fails.");
  table.duration("lease.retry_first", &lease.retry_first, milliseconds(0), hours(1),
                 "Pause before the second attempt; doubles each time.");
  table.duration("lease.retry_longest", &lease.retry_longest, milliseconds(0), hours(24), "Longest such pause.");
  table.duration("lease.rendezvous", &lease.rendezvous, seconds(1), hours(24),
                 "Time that the members of a gang have to fetch their inputs and find each other.");
}

void describe_scheduling(SchedulingConfig& scheduling, ConfigTable& table) {
  table.duration("scheduling.half_life", &scheduling.half_life, minutes(1), hours(8760),
                 "Past usage of a tenant counts half as much after this time.");
  table.duration("scheduling.horizon", &scheduling.horizon, milliseconds(0), hours(24),
                 "What runs counts as if it had run for so long already.");
  table.duration("scheduling.priority_step", &scheduling.priority_step, seconds(1), hours(24),
                 "A job that has waited this long counts as one of the next higher priority.");
  table.duration("scheduling.gang_patience", &scheduling.gang_patience, milliseconds(0), hours(24),
                 "How long smaller tasks may pass a gang whose turn it is; then slots are held for it.");
  table.duration("scheduling.shrink_after", &scheduling.shrink_after, milliseconds(0), hours(24),
                 "How long an interrupted gang waits for all its ranks before it goes on with fewer.");
  table.integer("scheduling.max_shards", &scheduling.max_shards, 1, 64,
                "Most workers' slots that share one preparation; 1: never shared.");
  table.integer("scheduling.objects_per_shard", &scheduling.objects_per_shard, 1, 1'000'000,
                "A preparation is shared out when every share has about so many objects.");
}

void describe_base(BaseConfig& base, ConfigTable& table) {
  table.text("base.name", &base.name, "Base model; workers with another one are refused.");
  table.list("base.denoisers", &base.denoisers, {"sparse_structure", "geometry", "texture"},
             "Denoisers that the base has; jobs may ask for these.");
  table.list("base.resolutions", &base.resolutions, {"512", "1024"}, "Resolutions that the base has.");
  table.number("base.recommended_learning_rate", &base.recommended_learning_rate, 0, 1,
               "Of jobs that name none; jobs far from it get a warning. 0: 1e-4, and no warning.");
}

void describe_retention(RetentionConfig& retention, ConfigTable& table) {
  constexpr hours kLongest{10 * 8760};
  table.duration("retention.uploads", &retention.uploads, minutes(1), kLongest,
                 "Uploaded archives that no unfinished job reads are removed after this time.");
  table.duration("retention.partial_uploads", &retention.partial_uploads, minutes(1), kLongest,
                 "Unfinished uploads that nobody went on with are removed after this time.");
  table.duration("retention.logs", &retention.logs, minutes(1), kLongest,
                 "Log lines and log files are removed this long after their job's end.");
  table.duration("retention.checkpoints", &retention.checkpoints, minutes(1), kLongest,
                 "Checkpoints and dataset parts that an ended job left are removed after this time.");
  table.duration("retention.unlisted_outputs", &retention.unlisted_outputs, minutes(1), kLongest,
                 "Outputs of ended jobs that belong to no dataset and no adapter are removed after this time.");
  table.duration("retention.interval", &retention.interval, seconds(1), hours(24), "Time between two sweeps.");
}

}  // namespace

void describe(CoordinatorConfig& config, ConfigTable& table) {
  table.text("listen", &config.listen, "HOST:PORT of the gRPC services; port 0 takes a free one.");
  table.flag("allow_plaintext_remote", &config.allow_plaintext_remote,
             "Serve other machines without encryption; only inside a trusted network.");
  table.text("tls.certificate_file", &config.tls.certificate_file,
             "Certificate chain (PEM) of the gRPC services; empty: no encryption. Read again when it changes.");
  table.text("tls.private_key_file", &config.tls.private_key_file, "Private key (PEM) of the certificate.");
  table.text("tls.client_ca_file", &config.tls.client_ca_file,
             "Authority (PEM) of workers' certificates; empty: workers come with keys only.");
  table.text("data_dir", &config.data_dir, "Folder of the database and the artefacts.");
  table.text("pricing_file", &config.pricing_file, "Price list (YAML); empty for the built-in one.");
  table.choice("log.level", &config.log_level, {"debug", "info", "warning", "error"}, "Least severity that is logged.");
  table.choice("log.format", &config.log_format, {"text", "json"}, "One line per event on stderr.");
  table.duration("shutdown_grace", &config.shutdown_grace, milliseconds(0), minutes(10),
                 "Time that running calls have to end at shutdown.");
  describe_lease(config.lease, table);
  describe_scheduling(config.scheduling, table);
  describe_base(config.base, table);
  table.bytes("limits.archive", &config.limits.archive, {1}, kMostBytes, "Largest upload of a client.");
  table.bytes("limits.output", &config.limits.output, {1}, kMostBytes, "Largest file that a task may store.");
  table.bytes("limits.min_free_disk", &config.limits.min_free_disk, {0}, kMostBytes,
              "Nothing is stored that would leave less free disk.");
  describe_retention(config.retention, table);
  table.text("usage_export.file", &config.usage_export.file,
             "File to which usage events are appended, one JSON object per line; empty for none.");
  table.duration("usage_export.interval", &config.usage_export.interval, milliseconds(10), hours(1),
                 "Time between two looks for new events.");
  table.text("metrics.listen", &config.metrics_listen,
             "HOST:PORT of the Prometheus endpoint /metrics, unencrypted; empty for none.");
}

Result<CoordinatorConfig> load_coordinator_config(const std::filesystem::path& file,
                                                  const std::vector<std::pair<std::string, std::string>>& overrides) {
  CoordinatorConfig config;
  ConfigTable table;
  describe(config, table);
  ESP_TRY(table.load({file, "ESPALIER_COORDINATOR", overrides}));
  if (config.lease.heartbeat * 3 > config.lease.time) {
    return absl::InvalidArgumentError("lease.heartbeat: must be at most a third of lease.time");
  }
  if (config.base.denoisers.empty()) return absl::InvalidArgumentError("base.denoisers: is empty");
  if (config.base.resolutions.empty()) return absl::InvalidArgumentError("base.resolutions: is empty");
  return config;
}

}  // namespace espalier::coordinator

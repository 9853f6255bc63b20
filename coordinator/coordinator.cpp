#include "coordinator/coordinator.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <condition_variable>
#include <functional>
#include <iostream>
#include <mutex>
#include <thread>

#include "absl/strings/str_cat.h"
#include "common/log.h"
#include "common/secrets.h"
#include "common/service_notify.h"
#include "common/stop_signals.h"
#include "coordinator/billing/billing_desk.h"
#include "coordinator/billing/usage_export.h"
#include "coordinator/jobs/change_board.h"
#include "coordinator/jobs/job_desk.h"
#include "coordinator/metrics/monitor.h"
#include "coordinator/retention/removal_desk.h"
#include "coordinator/retention/sweeper.h"
#include "coordinator/scheduling/scheduler.h"
#include "coordinator/services/artefact_service.h"
#include "coordinator/services/billing_service.h"
#include "coordinator/services/catalogue_service.h"
#include "coordinator/services/job_service.h"
#include "coordinator/services/tenant_service.h"
#include "coordinator/services/worker_service.h"
#include "coordinator/storage/artefact_library.h"
#include "coordinator/storage/database.h"
#include "coordinator/tenants/local_keys.h"
#include "rpc/server.h"

namespace espalier::coordinator {
namespace {

constexpr Milliseconds kTick{200};
constexpr Milliseconds kMetricsPeriod{5000};  // between scrapes, so that nothing piles up

// Keeps a second coordinator out of a data folder; released by the system when the process ends, however it ends.
class FolderLock {
 public:
  static Result<std::unique_ptr<FolderLock>> take(const std::filesystem::path& folder) {
    auto lock = std::make_unique<FolderLock>();
    lock->fd_ = ::open((folder / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock->fd_ < 0) return absl::InternalError(absl::StrCat(folder.string(), ": not writable"));
    if (::flock(lock->fd_, LOCK_EX | LOCK_NB) == 0) return lock;
    return absl::UnavailableError(absl::StrCat(folder.string(), ": another coordinator uses this data folder"));
  }
  ~FolderLock() {
    if (fd_ >= 0) ::close(fd_);
  }

 private:
  int fd_ = -1;
};

// Does something again and again, with a pause in between, until it is destroyed.
class Ticker {
 public:
  Ticker(Milliseconds pause, std::function<void()> work) {
    thread_ = std::thread([this, pause, work = std::move(work)] {
      std::unique_lock lock(mutex_);
      while (!changed_.wait_for(lock, pause, [this] { return stopping_; })) {
        lock.unlock();
        work();
        lock.lock();
      }
    });
  }
  ~Ticker() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_one();
    thread_.join();
  }

 private:
  std::mutex mutex_;  // guards stopping_
  std::condition_variable changed_;
  bool stopping_ = false;
  std::thread thread_;
};

void sweep(Sweeper& sweeper) {
  const Status status = sweeper.sweep().status();
  if (!status.ok()) log_error("sweep ended early", {{"err", status.ToString()}});
}

Result<billing::PriceList> prices_of(const CoordinatorConfig& config) {
  if (config.pricing_file.empty()) return billing::PriceList();
  return billing::load_price_list(config.pricing_file);
}

}  // namespace

// In order of dependence: destroyed from the last to the first.
struct Coordinator::Parts {
  CoordinatorConfig config;
  std::unique_ptr<FolderLock> lock;
  std::unique_ptr<Database> database;
  std::unique_ptr<Monitor> monitor;
  std::unique_ptr<BlobStore> blobs;
  std::unique_ptr<ArtefactLibrary> artefacts;
  std::unique_ptr<RemovalDesk> removal;
  std::unique_ptr<Sweeper> sweeper;
  ChangeBoard changes;
  std::unique_ptr<Scheduler> scheduler;
  std::unique_ptr<JobDesk> desk;
  std::unique_ptr<Pepper> pepper;
  std::unique_ptr<KeyRing> keys;
  std::unique_ptr<Gate> gate;
  std::unique_ptr<TenantDesk> tenants;
  std::unique_ptr<TenantServiceHandler> tenant_service;
  std::unique_ptr<JobServiceHandler> job_service;
  std::unique_ptr<ArtefactServiceHandler> artefact_service;
  std::unique_ptr<DatasetServiceHandler> dataset_service;
  std::unique_ptr<AdapterServiceHandler> adapter_service;
  std::unique_ptr<WorkerServiceHandler> worker_service;
  std::unique_ptr<BillingDesk> billing;
  std::unique_ptr<BillingServiceHandler> billing_service;
  std::unique_ptr<UsageExporter> usage_exporter;  // none when no file is configured
  std::unique_ptr<RpcServer> server;
  std::vector<std::unique_ptr<Ticker>> tickers;

  Status open_storage() {
    const std::filesystem::path folder = config.data_dir;
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    if (error) return absl::InvalidArgumentError(absl::StrCat("data_dir: ", folder.string(), ": ", error.message()));
    ESP_ASSIGN(lock, FolderLock::take(folder));
    ESP_ASSIGN(database, Database::open(folder / "coordinator.db"));
    ESP_ASSIGN(blobs, BlobStore::open({folder / "artefacts", config.limits.min_free_disk}));
    return absl::OkStatus();
  }

  Status open_monitor(const Clock& clock) {
    monitor = std::make_unique<Monitor>(*database, clock);
    changes.listen([this](const std::string& job_id) { monitor->job_changed(job_id); });
    return config.metrics_listen.empty() ? absl::OkStatus() : monitor->serve(config.metrics_listen);
  }

  Status open_gate(const Clock& clock) {
    const std::filesystem::path folder = key_folder(config.data_dir);
    ESP_ASSIGN(Pepper opened, open_pepper(*database, folder));
    pepper = std::make_unique<Pepper>(std::move(opened));
    ESP_TRY(ensure_local_keys(*database, *pepper, folder, clock));
    keys = std::make_unique<KeyRing>(*database, *pepper, clock);
    gate = std::make_unique<Gate>(*database, *keys, clock, &monitor->calls());
    tenants = std::make_unique<TenantDesk>(TenantDesk::Parts{*database, *keys, *pepper, clock});
    tenant_service = std::make_unique<TenantServiceHandler>(*gate, *tenants);
    return absl::OkStatus();
  }

  void build(const Clock& clock, billing::PriceList prices) {
    artefacts = std::make_unique<ArtefactLibrary>(*database, *blobs, config.limits, clock);
    removal = std::make_unique<RemovalDesk>(*database, *artefacts, clock);
    sweeper = std::make_unique<Sweeper>(*database, *artefacts, config.retention, clock);
    scheduler = std::make_unique<Scheduler>(Scheduler::Parts{*database, *artefacts, changes, clock}, config.lease,
                                            config.base, config.scheduling);
    desk = std::make_unique<JobDesk>(JobDesk::Parts{*database, *scheduler, clock}, config.base, config.lease, prices);
    job_service = std::make_unique<JobServiceHandler>(*gate, *desk, *removal, changes);
    artefact_service = std::make_unique<ArtefactServiceHandler>(*gate, *database, *artefacts, *removal);
    dataset_service = std::make_unique<DatasetServiceHandler>(*gate, *database, *removal);
    adapter_service = std::make_unique<AdapterServiceHandler>(*gate, *database, *removal);
    worker_service = std::make_unique<WorkerServiceHandler>(*gate, *scheduler, monitor->workers());
    billing = std::make_unique<BillingDesk>(*database, clock, std::move(prices));
    billing_service = std::make_unique<BillingServiceHandler>(*gate, *billing);
  }

  Status serve() {
    const ServerOptions options{
        .listen = config.listen, .tls = config.tls, .allow_plaintext_remote = config.allow_plaintext_remote};
    ESP_ASSIGN(server, RpcServer::start(options, {job_service.get(), artefact_service.get(), dataset_service.get(),
                                                  adapter_service.get(), worker_service.get(), tenant_service.get(),
                                                  billing_service.get()}));
    tickers.push_back(std::make_unique<Ticker>(kTick, [this, watchdog = Watchdog()]() mutable {
      scheduler->tick();
      watchdog.beat();
    }));
    tickers.push_back(std::make_unique<Ticker>(kMetricsPeriod, [this] { monitor->update(); }));
    tickers.push_back(std::make_unique<Ticker>(config.retention.interval, [this] { sweep(*sweeper); }));
    if (!config.usage_export.file.empty()) {
      usage_exporter = std::make_unique<UsageExporter>(*database, config.usage_export);
    }
    return absl::OkStatus();
  }
};

Coordinator::Coordinator() : parts_(std::make_unique<Parts>()) {}
Coordinator::~Coordinator() { stop(); }

Result<std::unique_ptr<Coordinator>> Coordinator::start(const CoordinatorConfig& config, const Clock& clock) {
  auto coordinator = std::unique_ptr<Coordinator>(new Coordinator);
  Parts& parts = *coordinator->parts_;
  parts.config = config;
  ESP_ASSIGN(billing::PriceList prices, prices_of(config));
  ESP_TRY(parts.open_storage());
  ESP_TRY(parts.open_monitor(clock));
  ESP_TRY(parts.open_gate(clock));
  parts.build(clock, std::move(prices));
  ESP_TRY(parts.scheduler->recover());
  ESP_TRY(parts.serve());
  return coordinator;
}

const std::string& Coordinator::address() const { return parts_->server->address(); }
std::string Coordinator::metrics_address() const { return parts_->monitor->address(); }

void Coordinator::stop() {
  if (!parts_->server) return;
  parts_->changes.close();
  parts_->worker_service->close();
  parts_->server->shutdown(parts_->config.shutdown_grace);
  parts_->tickers.clear();
  parts_->server.reset();
}

Status run_coordinator(const CoordinatorConfig& config) {
  const StopSignals signals;
  forbid_core_files();
  const SystemClock clock;
  ESP_ASSIGN(const auto coordinator, Coordinator::start(config, clock));
  std::cout << "espalier-coordinator listens on " << coordinator->address() << std::endl;
  log_info("serving", {{"address", coordinator->address()},
                       {"metrics", coordinator->metrics_address()},
                       {"data_dir", config.data_dir}});
  notify_service("READY=1");
  signals.wait();
  notify_service("STOPPING=1");
  log_info("stopping");
  coordinator->stop();
  return absl::OkStatus();
}

}  // namespace espalier::coordinator

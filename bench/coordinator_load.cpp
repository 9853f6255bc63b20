// The coordinator under load: many attached workers, a long queue, and clients that submit and read beside it.
//
//   bench_coordinator_load [--workers 1000] [--jobs 100000] [--threads 1,4,16] [--seconds 10] [--json]
//
// A coordinator in a process of its own gets --jobs queued jobs, then --workers workers attach, each holding one task
// and sending heartbeats at the real interval. Reported: how fast the queue was filled, CPU and memory with nothing but
// heartbeats, then for each number of client threads the rate and the latencies of SubmitJob, GetJob, ListJobs (a page
// of 50) and WatchJob (until its first event).

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <iomanip>
#include <iostream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "absl/strings/str_cat.h"
#include "bench/load/load_setup.h"
#include "bench/load/worker_fleet.h"
#include "cli/app.h"
#include "common/files.h"
#include "common/log.h"
#include "common/sha256.h"
#include "rpc/channel.h"
#include "rpc/status.h"

namespace espalier::bench {
namespace {

using Clock = std::chrono::steady_clock;
using nlohmann::json;

struct Size {
  int workers = 1000, jobs = 100'000, seconds = 10;
  std::vector<int> threads = {1, 4, 16};
  std::string data_dir;
  bool as_json = false;
};

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

std::string upload_archive(Client& client) {
  const std::string bytes = "an archive";
  grpc::ClientContext context;
  set_deadline(context);
  v1::UploadResponse response;
  const auto writer = client.artefacts->Upload(&context, &response);
  v1::UploadRequest request;
  auto& header = *request.mutable_header();
  header.set_kind(v1::ARTEFACT_KIND_ARCHIVE);
  header.set_file_name("assets.zip");
  header.set_size_bytes(static_cast<int64_t>(bytes.size()));
  header.set_sha256(sha256_hex(bytes));
  writer->Write(request);
  request.set_data(bytes);
  writer->Write(request);
  writer->WritesDone();
  writer->Finish();
  return response.artefact().artefact_id();
}

// The calls that are measured. Each returns what the call returned.
class Calls {
 public:
  explicit Calls(std::string artefact_id) : artefact_id_(std::move(artefact_id)) {}

  grpc::Status submit(Client& client) {
    grpc::ClientContext context;
    set_deadline(context);
    v1::SubmitJobRequest request;
    request.set_request_id(absl::StrCat("load-request-", next_++));
    request.mutable_spec()->set_artefact_id(artefact_id_);
    request.mutable_spec()->add_denoisers(v1::DENOISER_SPARSE_STRUCTURE);
    request.set_expected_objects(20);
    v1::SubmitJobResponse response;
    const grpc::Status status = client.jobs->SubmitJob(&context, request, &response);
    if (!status.ok()) return status;
    const std::lock_guard lock(mutex_);
    newest_ = response.job().job_id();
    return status;
  }

  grpc::Status get(Client& client) {
    grpc::ClientContext context;
    set_deadline(context);
    v1::GetJobRequest request;
    request.set_job_id(newest());
    v1::GetJobResponse response;
    return client.jobs->GetJob(&context, request, &response);
  }

  grpc::Status list(Client& client) {
    grpc::ClientContext context;
    set_deadline(context);
    v1::ListJobsResponse response;
    return client.jobs->ListJobs(&context, {}, &response);
  }

  grpc::Status watch(Client& client) {
    grpc::ClientContext context;
    set_deadline(context);
    v1::WatchJobRequest request;
    request.set_job_id(newest());
    const auto reader = client.jobs->WatchJob(&context, request);
    v1::JobEvent event;
    const bool came = reader->Read(&event);
    context.TryCancel();
    const grpc::Status ended = reader->Finish();
    return came ? grpc::Status::OK : ended;
  }

 private:
  std::string newest() {
    const std::lock_guard lock(mutex_);
    return newest_;
  }

  const std::string artefact_id_;
  std::atomic<int> next_{0};
  std::mutex mutex_;  // guards newest_
  std::string newest_;
};

using Call = std::function<grpc::Status(Client&)>;

// Every thread calls over a connection of its own, one call after another, until `more` says no.
std::vector<double> latencies(const CoordinatorChild& coordinator, int threads, const Call& call,
                              const std::function<bool()>& more) {
  std::mutex mutex;  // guards all
  std::vector<double> all;
  std::atomic<bool> failed = false;
  std::vector<std::jthread> running;
  for (int i = 0; i < threads; ++i) {
    running.emplace_back([&] {
      Client client(coordinator.address(), coordinator.key());
      std::vector<double> own;
      while (!failed && more()) {
        const auto start = Clock::now();
        const grpc::Status status = call(client);
        own.push_back(seconds_since(start) * 1e3);
        if (status.ok() || failed.exchange(true)) continue;
        std::cerr << "bench_coordinator_load: " << from_grpc(status) << "\n";
      }
      const std::lock_guard lock(mutex);
      all.insert(all.end(), own.begin(), own.end());
    });
  }
  running.clear();
  if (failed) std::exit(1);
  std::sort(all.begin(), all.end());
  return all;
}

double quantile(const std::vector<double>& sorted, double q) {
  return sorted.empty() ? 0 : sorted[std::min(sorted.size() - 1, static_cast<size_t>(q * sorted.size()))];
}

class Bench {
 public:
  Bench(Size size, CoordinatorChild& coordinator)
      : size_(std::move(size)),
        coordinator_(coordinator),
        client_(coordinator.address(), coordinator.key()),
        calls_(upload_archive(client_)) {}

  json run() {
    fill();
    WorkerFleet fleet(coordinator_, size_.workers, /*slots=*/1);
    attach(fleet);
    idle(fleet);
    for (const int threads : size_.threads) {
      measure("SubmitJob", threads, [this](Client& client) { return calls_.submit(client); });
      measure("GetJob", threads, [this](Client& client) { return calls_.get(client); });
      measure("ListJobs", threads, [this](Client& client) { return calls_.list(client); });
      measure("WatchJob", threads, [this](Client& client) { return calls_.watch(client); });
    }
    report_["memory_mib"] = coordinator_.memory_mib();
    report_["tasks_held"] = fleet.tasks();
    return report_;
  }

 private:
  void fill() {
    std::atomic<int> left = size_.jobs;
    const auto start = Clock::now();
    latencies(
        coordinator_, 8, [this](Client& client) { return calls_.submit(client); }, [&] { return left-- > 0; });
    report_["queued_jobs"] = size_.jobs;
    report_["fill_jobs_per_second"] = size_.jobs / seconds_since(start);
    report_["memory_after_fill_mib"] = coordinator_.memory_mib();
  }

  // Until every worker holds a task.
  void attach(const WorkerFleet& fleet) {
    const auto start = Clock::now();
    const int wanted = std::min(size_.workers, size_.jobs);
    while (fleet.tasks() < wanted && seconds_since(start) < 120) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    report_["workers"] = fleet.attached();
    report_["attach_seconds"] = seconds_since(start);
  }

  void idle(const WorkerFleet& fleet) {
    const auto start = Clock::now();
    const double cpu = coordinator_.cpu_seconds();
    const long beats = fleet.heartbeats();
    std::this_thread::sleep_for(std::chrono::seconds(size_.seconds));
    const double wall = seconds_since(start);
    report_["idle_cpu_share"] = (coordinator_.cpu_seconds() - cpu) / wall;
    report_["heartbeats_per_second"] = static_cast<double>(fleet.heartbeats() - beats) / wall;
  }

  void measure(const char* name, int threads, const Call& call) {
    const auto start = Clock::now();
    const double cpu = coordinator_.cpu_seconds();
    const auto all = latencies(coordinator_, threads, call,
                               [&] { return seconds_since(start) < static_cast<double>(size_.seconds); });
    const double wall = seconds_since(start);
    report_["calls"].push_back({{"call", name},
                                {"threads", threads},
                                {"per_second", static_cast<double>(all.size()) / wall},
                                {"p50_ms", quantile(all, 0.5)},
                                {"p99_ms", quantile(all, 0.99)},
                                {"max_ms", all.empty() ? 0 : all.back()},
                                {"cpu_share", (coordinator_.cpu_seconds() - cpu) / wall}});
  }

  const Size size_;
  CoordinatorChild& coordinator_;
  Client client_;
  Calls calls_;
  json report_;
};

void print(const json& report) {
  for (const auto& [key, value] : report.items()) {
    if (!value.is_array()) std::cout << std::left << std::setw(24) << key << value << "\n";
  }
  std::cout << "call       threads  calls/s  p50 ms  p99 ms  max ms  CPU\n" << std::fixed << std::setprecision(2);
  for (const auto& call : report["calls"]) {
    std::cout << std::left << std::setw(11) << call["call"].get<std::string>() << std::right << std::setw(7)
              << call["threads"].get<int>();
    for (const char* key : {"per_second", "p50_ms", "p99_ms", "max_ms"})
      std::cout << std::setw(9) << call[key].get<double>();
    std::cout << std::setw(6) << call["cpu_share"].get<double>() << "\n";
  }
}

Result<json> run(const Size& size) {
  configure_log("coordinator", LogLevel::kWarning, LogFormat::kText);
  ESP_ASSIGN(const TempDir folder, TempDir::create("espalier-load", size.data_dir));
  coordinator::CoordinatorConfig config;
  config.listen = "127.0.0.1:0";
  config.data_dir = folder.path().string();
  config.base.denoisers = {"sparse_structure", "geometry", "texture"};
  ESP_ASSIGN(const auto coordinator, CoordinatorChild::start(config));
  return Bench(size, *coordinator).run();
}

}  // namespace
}  // namespace espalier::bench

int main(int argc, char** argv) {
  using namespace espalier;
  bench::Size size;
  cli::App app("bench_coordinator_load",
               "The coordinator under load: submits, reads and heartbeats over a long queue.");
  app.option("--workers", size.workers, "attached workers").range(0, 100'000).show_default();
  app.option("--jobs", size.jobs, "queued jobs").range(1, 10'000'000).show_default();
  app.option("--threads", size.threads, "client threads, one measurement each").separated_by_commas();
  app.option("--seconds", size.seconds, "time of each measurement").range(1, 3600).show_default();
  app.option("--data-dir", size.data_dir, "where the coordinator's folder is made; default: the temporary folder");
  app.flag("--json", size.as_json, "one JSON object");
  if (const auto done = app.parse(argc, argv)) return *done;
  const auto report = bench::run(size);
  if (!report.ok()) {
    std::cerr << "bench_coordinator_load: " << report.status().message() << "\n";
    return 1;
  }
  if (size.as_json)
    std::cout << *report << "\n";
  else
    bench::print(*report);
  return 0;
}

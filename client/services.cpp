#include "client/services.h"

#include <arpa/inet.h>
#include <grpcpp/channel.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/security.h"
#include "common/base_description.h"
#include "common/exit_codes.h"
#include "common/files.h"
#include "process/child.h"
#include "process/environment.h"
#include "rpc/channel.h"

namespace espalier::client {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kStartPatience{120};
constexpr std::chrono::seconds kStopGrace{60};
constexpr int kMaxRestarts = 5;

Result<int> free_port(int wanted) {
  if (wanted != 0) return wanted;
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  const bool ok = fd >= 0 && ::bind(fd, reinterpret_cast<sockaddr*>(&address), length) == 0 &&
                  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0;
  if (fd >= 0) ::close(fd);
  if (!ok) return absl::UnavailableError("no free port on 127.0.0.1");
  return ntohs(address.sin_port);
}

// What the coordinator must know of the base, as its environment settings.
Result<std::vector<std::string>> base_settings(const fs::path& folder) {
  ESP_ASSIGN(const auto base, describe_base(folder));
  const auto setting = [](const char* name, const std::string& value) {
    return absl::StrCat("ESPALIER_COORDINATOR_BASE_", name, "=", value);
  };
  std::vector<std::string> denoisers;
  for (const Denoiser denoiser : base.denoisers) denoisers.emplace_back(to_string(denoiser));
  std::vector<std::string> settings = {setting("NAME", base.name)};
  if (!denoisers.empty()) settings.push_back(setting("DENOISERS", absl::StrJoin(denoisers, ",")));
  settings.push_back(setting("RECOMMENDED_LEARNING_RATE", absl::StrCat(base.recommended_learning_rate.value_or(0))));
  if (!base.resolutions.empty()) settings.push_back(setting("RESOLUTIONS", absl::StrJoin(base.resolutions, ",")));
  return settings;
}

// One program, kept running on a thread of its own.
class Service {
 public:
  Service(std::string name, process::ChildSpec spec, fs::path log)
      : name_(std::move(name)),
        log_(std::move(log)),
        thread_([this, spec = std::move(spec)](std::stop_token stop) { keep_running(spec, stop); }) {}

  bool gave_up() const { return gave_up_; }
  void stop() {
    thread_.request_stop();
    if (thread_.joinable()) thread_.join();
  }

  Status failure() const {
    std::ifstream file(log_);
    std::deque<std::string> tail;
    for (std::string line; std::getline(file, line);) {
      tail.push_back(line);
      if (tail.size() > 5) tail.pop_front();
    }
    return absl::UnavailableError(
        absl::StrCat(name_, " does not run; the end of ", log_.string(), ":\n  ", absl::StrJoin(tail, "\n  ")));
  }

 private:
  void keep_running(const process::ChildSpec& spec, const std::stop_token& stop) {
    std::ofstream log(log_, std::ios::app);
    const auto write = [&](std::string_view line) { log << line << std::endl; };
    std::deque<Clock::time_point> starts;
    while (!stop.stop_requested() && !gave_up_) {
      starts.push_back(Clock::now());
      const auto exit =
          process::run_child(spec, {.on_event = write, .on_log = write, .on_tick = [] {}}, stop, kStopGrace);
      if (stop.stop_requested()) return;
      write(exit.ok() ? absl::StrCat(name_, " ended with code ", exit->code, ", signal ", exit->signal)
                      : std::string(exit.status().message()));
      while (!starts.empty() && Clock::now() - starts.front() > std::chrono::minutes(1)) starts.pop_front();
      const bool hopeless = !exit.ok() || exit->code == kExitInvalid || exit->code == kExitRefused;
      gave_up_ = hopeless || starts.size() > kMaxRestarts;
    }
  }

  std::string name_;
  fs::path log_;
  std::atomic<bool> gave_up_ = false;
  std::jthread thread_;  // last: uses all above
};

}  // namespace

struct Services::State {
  std::string coordinator, inference;
  fs::path key_file;
  std::unique_ptr<LocalKeyLink> key_link;
  std::unique_ptr<Service> coordinator_service, inference_service, worker_service;

  // Those that have been started, in the order in which they are to end.
  std::vector<Service*> all() const {
    std::vector<Service*> services = {worker_service.get(), inference_service.get(), coordinator_service.get()};
    std::erase(services, nullptr);
    return services;
  }

  Status health() const {
    for (const Service* service : all()) {
      if (service->gave_up()) return service->failure();
    }
    return absl::OkStatus();
  }

  Status await(const std::string& address, const std::stop_token& stop) const {
    const auto channel = make_channel(address);
    const auto deadline = Clock::now() + kStartPatience;
    while (!channel->WaitForConnected(std::chrono::system_clock::now() + std::chrono::milliseconds(200))) {
      ESP_TRY(health());
      if (stop.stop_requested()) return absl::CancelledError("stopped while starting");
      if (Clock::now() > deadline) return absl::UnavailableError(absl::StrCat(address, " does not answer"));
    }
    return absl::OkStatus();
  }
};

Services::Services(std::unique_ptr<State> state) : state_(std::move(state)) {}
Services::Services(Services&&) noexcept = default;

Services::~Services() {
  if (!state_) return;
  for (Service* service : state_->all()) service->stop();
}

const std::string& Services::coordinator() const { return state_->coordinator; }
const std::string& Services::inference() const { return state_->inference; }
const fs::path& Services::key_file() const { return state_->key_file; }

Result<Services> Services::start(const ServicesConfig& config, std::stop_token stop) {
  std::error_code error;
  fs::create_directories(config.data_dir / "logs", error);
  if (error)
    return absl::InvalidArgumentError(absl::StrCat("--data-dir: ", config.data_dir.string(), ": ", error.message()));
  ESP_ASSIGN(const int coordinator_port, free_port(config.coordinator_port));
  ESP_ASSIGN(const int inference_port, free_port(config.inference_port));
  ESP_ASSIGN(const auto settings, base_settings(config.base));
  auto environment = process::environment_without({"ESPALIER_KEY", "NOTIFY_SOCKET"});  // ours, not theirs
  environment.insert(environment.end(), settings.begin(), settings.end());
  environment.emplace_back("OMP_WAIT_POLICY=PASSIVE");  // the programs share the cores: waiting must not spin

  auto state = std::make_unique<State>();
  state->coordinator = absl::StrCat("127.0.0.1:", coordinator_port);
  state->inference = absl::StrCat("127.0.0.1:", inference_port);
  const auto start_service = [&](const std::string& program, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), (config.programs / program).string());
    return std::make_unique<Service>(program, process::ChildSpec{std::move(arguments), environment},
                                     config.data_dir / "logs" / (program + ".log"));
  };
  state->coordinator_service = start_service("espalier-coordinator", {"--listen", state->coordinator, "--data-dir",
                                                                      (config.data_dir / "coordinator").string()});
  state->inference_service = start_service(
      "espalier-infer", {"serve", "--listen", state->inference, "--base", config.base.string(), "--coordinator",
                         state->coordinator, "--states", (config.data_dir / "states").string()});
  Services services(std::move(state));
  ESP_TRY(services.state_->await(services.coordinator(), stop));
  services.state_->key_file = config.data_dir / "coordinator/keys/operator.key";
  services.state_->key_link = std::make_unique<LocalKeyLink>(services.coordinator(), services.key_file());
  // Only now: a worker that finds nobody waits longer with every try.
  services.state_->worker_service = start_service(
      "espalier-worker", {"--coordinator", services.coordinator(), "--data-dir", (config.data_dir / "worker").string(),
                          "--key-file", (config.data_dir / "coordinator/keys/worker.key").string(), "--base",
                          config.base.string(), "--slots", absl::StrCat(config.slots)});
  ESP_TRY(services.state_->await(services.inference(), stop));
  return services;
}

Status Services::wait(std::stop_token stop) {
  while (!stop.stop_requested()) {
    ESP_TRY(state_->health());
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  for (Service* service : state_->all()) service->stop();
  return absl::OkStatus();
}

}  // namespace espalier::client

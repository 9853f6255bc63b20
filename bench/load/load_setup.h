#pragma once

#include <sys/types.h>

#include <filesystem>
#include <memory>
#include <string>

#include "common/status.h"
#include "coordinator/config.h"
#include "espalier/v1/artefacts.grpc.pb.h"
#include "espalier/v1/jobs.grpc.pb.h"
#include "espalier/v1/worker.grpc.pb.h"
#include "rpc/credentials.h"

// A coordinator in a process of its own and clients of it, for bench_coordinator_load.
namespace espalier::bench {

// Forks: make it before any thread. The child ends with this process.
class CoordinatorChild {
 public:
  static Result<std::unique_ptr<CoordinatorChild>> start(const coordinator::CoordinatorConfig& config);
  ~CoordinatorChild();

  const std::string& address() const { return address_; }
  const Credentials& key() const { return key_; }  // of the local tenant, without limits
  const Credentials& worker_key() const { return worker_key_; }
  double cpu_seconds() const;  // user and system, all threads, so far
  double memory_mib() const;   // resident now

 private:
  CoordinatorChild() = default;
  pid_t pid_ = 0;
  std::string address_;
  Credentials key_, worker_key_;
};

// The services over a connection of their own.
struct Client {
  Client(const std::string& address, const Credentials& key);
  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<v1::JobService::Stub> jobs;
  std::unique_ptr<v1::ArtefactService::Stub> artefacts;
  std::unique_ptr<v1::WorkerService::Stub> workers;
};

}  // namespace espalier::bench

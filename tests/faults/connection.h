#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "common/status.h"
#include "espalier/v1/artefacts.grpc.pb.h"
#include "espalier/v1/datasets.grpc.pb.h"
#include "espalier/v1/jobs.grpc.pb.h"
#include "espalier/v1/worker.grpc.pb.h"
#include "rpc/credentials.h"

namespace espalier::faults {

inline constexpr std::chrono::seconds kDeadline{5};

// One connection under one key. Made anew after every failure: a fresh channel tries at once.
class Connection {
 public:
  Connection(const std::string& address, const Credentials& key);

  std::shared_ptr<grpc::Channel> channel;
  std::unique_ptr<v1::JobService::Stub> jobs;
  std::unique_ptr<v1::ArtefactService::Stub> artefacts;
  std::unique_ptr<v1::DatasetService::Stub> datasets;
  std::unique_ptr<v1::WorkerService::Stub> workers;
};

struct Parcel {
  v1::ArtefactKind kind = v1::ARTEFACT_KIND_UNSPECIFIED;
  std::string file_name;
  std::string bytes;
  const v1::TaskLease* lease = nullptr;
  std::optional<size_t> cut_at;  // the stream breaks after so many bytes of this try
};

// One try, from where the last one ended.
Result<v1::Artefact> upload_once(const Connection& connection, const Parcel& parcel);
// One try; workers name the task that they work on. DATA_LOSS: the bytes have another digest than the artefact says.
Result<std::string> download_once(const Connection& connection, const std::string& artefact_id,
                                  const v1::TaskLease* lease = nullptr);

// Whether the same call may succeed later.
bool is_transient(const Status& status);

}  // namespace espalier::faults

#pragma once

#include <grpcpp/support/sync_stream.h>

#include <filesystem>
#include <functional>
#include <map>
#include <memory>

#include "client/command.h"
#include "common/status.h"
#include "espalier/v1/inference.grpc.pb.h"

namespace espalier::client {

// Where the files of a call are written. With several samples their numbers stand before the extension.
struct GenerationOutputs {
  std::map<v1::OutputFormat, std::filesystem::path> paths;
  int samples = 1;
};

using GenerationReader = grpc::ClientReader<v1::GenerateEvent>;
using StartGeneration =
    std::function<std::unique_ptr<GenerationReader>(v1::InferenceService::Stub&, grpc::ClientContext&)>;

// Makes a call of the inference service to its end: shows its progress, writes and checks its files, and prints their
// names, the states kept and warnings. A stop request of `command` cancels it.
Status run_generation(const Command& command, const StartGeneration& start, const GenerationOutputs& outputs);

}  // namespace espalier::client

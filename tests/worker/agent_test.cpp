#include "worker/agent.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "common/exit_codes.h"
#include "common/files.h"
#include "espalier/v1/worker.grpc.pb.h"
#include "rpc/server.h"

namespace espalier::worker {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

// Lets nobody attach.
class Refusal final : public v1::WorkerService::Service {
 public:
  explicit Refusal(grpc::Status status) : status_(std::move(status)) {}
  grpc::Status Attach(grpc::ServerContext*,
                      grpc::ServerReaderWriter<v1::CoordinatorMessage, v1::WorkerMessage>*) override {
    return status_;
  }

 private:
  grpc::Status status_;
};

class AgentTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"base", "programs", "data"}) fs::create_directory(folder_.path() / name);
    write("base/pipeline.json", "{}");
    write("base/espalier.json", R"({"name": "tiny"})");
    for (const char* name : {"espalier-preprocess", "espalier-train", "espalier-evaluate"}) {
      write(fs::path("programs") / name, "#!/bin/sh\n");
      ::chmod((folder_.path() / "programs" / name).c_str(), 0755);
    }
  }
  void write(const fs::path& file, const std::string& text) {
    ASSERT_TRUE(write_file_atomic(folder_.path() / file, text).ok());
  }
  WorkerConfig config(const std::string& coordinator) {
    WorkerConfig config;
    config.coordinator = coordinator;
    config.base = folder_.path() / "base";
    config.programs = folder_.path() / "programs";
    config.data_dir = folder_.path() / "data";
    return config;
  }

  TempDir folder_ = *TempDir::create("agent");
};

TEST_F(AgentTest, EndsWithACodeOfItsOwnWhenTheCoordinatorRefusesIt) {
  for (const grpc::StatusCode code : {grpc::StatusCode::FAILED_PRECONDITION, grpc::StatusCode::ABORTED,
                                      grpc::StatusCode::UNAUTHENTICATED, grpc::StatusCode::PERMISSION_DENIED}) {
    Refusal refusal(grpc::Status(code, "another base"));
    const auto server = RpcServer::start({}, {&refusal});
    ASSERT_TRUE(server.ok()) << server.status();
    const auto agent = Agent::create(config((*server)->address()));
    ASSERT_TRUE(agent.ok()) << agent.status();
    const Status status = (*agent)->run({});
    EXPECT_EQ(exit_code(status), kExitRefused) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("another base"));
  }
}

}  // namespace
}  // namespace espalier::worker

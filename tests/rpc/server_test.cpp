#include "rpc/server.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include "espalier/v1/datasets.grpc.pb.h"
#include "rpc/channel.h"
#include "rpc/probe.h"
#include "rpc/status.h"

namespace espalier {
namespace {

class Answer final : public v1::DatasetService::Service {
 public:
  grpc::Status GetDataset(grpc::ServerContext*, const v1::GetDatasetRequest* request,
                          v1::GetDatasetResponse* response) override {
    if (++calls <= failures) return to_grpc(absl::UnavailableError("not yet"));
    response->mutable_dataset()->set_dataset_id(request->dataset_id());
    return grpc::Status::OK;
  }
  int failures = 0;
  int calls = 0;
};

grpc::Status call(const std::string& address, std::string* id) {
  auto stub = v1::DatasetService::NewStub(make_channel(address));
  grpc::ClientContext context;
  set_deadline(context, std::chrono::seconds(10));
  v1::GetDatasetRequest request;
  request.set_dataset_id("dat_1");
  v1::GetDatasetResponse response;
  const grpc::Status status = stub->GetDataset(&context, request, &response);
  *id = response.dataset().dataset_id();
  return status;
}

TEST(Probe, KnowsWhatIsServed) {
  Answer service;
  const auto server = RpcServer::start({}, {&service});
  ASSERT_TRUE(server.ok()) << server.status();
  const auto channel = make_channel((*server)->address());
  const auto patience = std::chrono::seconds(10);
  EXPECT_EQ(probe(channel, "/espalier.v1.DatasetService/GetDataset", patience), absl::OkStatus());
  EXPECT_TRUE(absl::IsUnimplemented(probe(channel, "/espalier.v1.JobService/GetJob", patience)));
  EXPECT_FALSE(probe(make_channel("127.0.0.1:1"), "/espalier.v1.JobService/GetJob", std::chrono::seconds(1)).ok());
}

TEST(RpcServer, AnswersOnTheAddressThatItTells) {
  Answer service;
  const auto server = RpcServer::start({}, {&service});
  ASSERT_TRUE(server.ok()) << server.status();
  std::string id;
  EXPECT_TRUE(call((*server)->address(), &id).ok());
  EXPECT_EQ(id, "dat_1");
}

TEST(RpcServer, RefusesAddressesThatItShouldNotServe) {
  for (const char* listen :
       {"", "127.0.0.1", "127.0.0.1:", ":80", "127.0.0.1:65536", "127.0.0.1:x", "0.0.0.0:0", "192.0.2.1:0", "[::]:0"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(RpcServer::start({.listen = listen}, {}).status())) << listen;
  }
}

TEST(RpcServer, SaysWhenThePortIsTaken) {
  Answer service;
  const auto first = RpcServer::start({}, {&service});
  ASSERT_TRUE(first.ok());
  EXPECT_TRUE(absl::IsUnavailable(RpcServer::start({.listen = (*first)->address()}, {&service}).status()));
}

TEST(RpcChannel, RepeatsReadingCallsWhileTheServerIsUnavailable) {
  Answer service;
  service.failures = 2;
  const auto server = RpcServer::start({}, {&service});
  ASSERT_TRUE(server.ok());
  std::string id;
  EXPECT_TRUE(call((*server)->address(), &id).ok());
  EXPECT_EQ(service.calls, 3);
}

}  // namespace
}  // namespace espalier

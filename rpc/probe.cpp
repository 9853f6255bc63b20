#include "rpc/probe.h"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include "rpc/channel.h"
#include "rpc/status.h"

namespace espalier {

Status probe(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
             std::chrono::milliseconds patience) {
  grpc::ClientContext context;
  set_deadline(context, patience);
  grpc::CompletionQueue queue;
  grpc::GenericStub stub(channel);
  const grpc::Slice nothing("");
  const auto call = stub.PrepareUnaryCall(&context, method, grpc::ByteBuffer(&nothing, 1), &queue);
  call->StartCall();
  grpc::ByteBuffer answer;
  grpc::Status status;
  call->Finish(&answer, &status, nullptr);
  void* tag;
  bool ok;
  queue.Next(&tag, &ok);
  const Status said = from_grpc(status);
  const bool known = !absl::IsUnimplemented(said) && !absl::IsUnavailable(said) && !absl::IsDeadlineExceeded(said);
  return known ? absl::OkStatus() : said;
}

}  // namespace espalier

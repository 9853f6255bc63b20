#include "tests/e2e/every_rpc.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/dynamic_message.h>
#include <grpcpp/generic/generic_stub.h>

#include <algorithm>

#include "espalier/v1/adapters.pb.h"
#include "espalier/v1/artefacts.pb.h"
#include "espalier/v1/billing.pb.h"
#include "espalier/v1/datasets.pb.h"
#include "espalier/v1/jobs.pb.h"
#include "espalier/v1/tenants.pb.h"
#include "espalier/v1/worker.pb.h"
#include "rpc/channel.h"

namespace espalier::e2e {
namespace {

namespace pb = google::protobuf;

constexpr int kDepth = 4;  // of messages in messages
constexpr std::chrono::seconds kPatience{2};

// The files whose services the coordinator serves.
std::vector<const pb::FileDescriptor*> files() {
  return {v1::Job::descriptor()->file(),          v1::Artefact::descriptor()->file(), v1::Dataset::descriptor()->file(),
          v1::Adapter::descriptor()->file(),      v1::Tenant::descriptor()->file(),   v1::Cost::descriptor()->file(),
          v1::WorkerMessage::descriptor()->file()};
}

// Whether anything was filled; a message without anything stays absent.
bool fill(pb::Message& message, const std::map<std::string, std::string>& fields, int depth) {
  const pb::Descriptor& type = *message.GetDescriptor();
  const pb::Reflection& reflection = *message.GetReflection();
  bool any = false;
  for (int i = 0; i < type.field_count(); ++i) {
    const pb::FieldDescriptor& field = *type.field(i);
    if (field.is_repeated()) continue;
    if (field.cpp_type() == pb::FieldDescriptor::CPPTYPE_MESSAGE && depth > 0) {
      const std::unique_ptr<pb::Message> inner(reflection.GetMessage(message, &field).New());
      if (!fill(*inner, fields, depth - 1)) continue;
      reflection.MutableMessage(&message, &field)->CopyFrom(*inner);
      any = true;
    }
    const auto value = fields.find(field.name());
    if (field.cpp_type() == pb::FieldDescriptor::CPPTYPE_STRING && value != fields.end()) {
      reflection.SetString(&message, &field, value->second);
      any = true;
    }
  }
  return any;
}

grpc::ByteBuffer request_of(const pb::MethodDescriptor& method, const std::map<std::string, std::string>& fields) {
  pb::DynamicMessageFactory factory;
  const std::unique_ptr<pb::Message> message(factory.GetPrototype(method.input_type())->New());
  fill(*message, fields, kDepth);
  const grpc::Slice slice(message->SerializeAsString());
  return grpc::ByteBuffer(&slice, 1);
}

std::string text_of(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string text;
  if (!buffer.Dump(&slices).ok()) return text;
  for (const grpc::Slice& slice : slices) text.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return text;
}

// One call of any kind: sends one request, reads all answers.
RpcAnswer call(grpc::GenericStub& stub, const pb::MethodDescriptor& method, const grpc::ByteBuffer& request) {
  grpc::ClientContext context;
  set_deadline(context, kPatience);
  grpc::CompletionQueue queue;
  const auto finished = [&queue] {
    void* tag = nullptr;
    bool ok = false;
    return queue.Next(&tag, &ok) && ok;
  };
  const std::string name = "/" + method.service()->full_name() + "/" + method.name();
  const auto stream = stub.PrepareCall(&context, name, &queue);
  RpcAnswer answer{method.service()->name() + "/" + method.name(), {}, {}};
  stream->StartCall(nullptr);
  bool open = finished();
  if (open) {
    stream->WriteLast(request, {}, nullptr);
    open = finished();
  }
  for (grpc::ByteBuffer buffer; open;) {
    stream->Read(&buffer, nullptr);
    open = finished();
    if (open) answer.messages.push_back(text_of(buffer));
  }
  stream->Finish(&answer.status, nullptr);
  finished();
  queue.Shutdown();
  while (finished()) {
  }
  return answer;
}

bool is_reading(const std::string& name) {
  const char* verbs[] = {"Get", "List", "Watch", "Stream", "Download", "Export"};
  return std::any_of(std::begin(verbs), std::end(verbs), [&](const char* verb) { return name.rfind(verb, 0) == 0; });
}

}  // namespace

bool RpcAnswer::holds(const std::string& text) const {
  return std::any_of(messages.begin(), messages.end(),
                     [&](const std::string& message) { return message.find(text) != std::string::npos; });
}

std::vector<RpcAnswer> call_every_rpc(const std::shared_ptr<grpc::Channel>& channel,
                                      const std::map<std::string, std::string>& fields, bool only_reading) {
  grpc::GenericStub stub(channel);
  std::vector<RpcAnswer> answers;
  for (const pb::FileDescriptor* file : files()) {
    for (int i = 0; i < file->service_count(); ++i) {
      for (int j = 0; j < file->service(i)->method_count(); ++j) {
        const pb::MethodDescriptor& method = *file->service(i)->method(j);
        if (only_reading && !is_reading(method.name())) continue;
        answers.push_back(call(stub, method, request_of(method, fields)));
      }
    }
  }
  return answers;
}

}  // namespace espalier::e2e

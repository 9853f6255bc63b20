#include "tests/coordinator/any_call.h"

#include <google/protobuf/dynamic_message.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "rpc/credentials.h"
#include "rpc/status.h"

namespace espalier::coordinator {
namespace {

namespace pb = google::protobuf;

void fill(pb::Message& message, const FieldValues& values) {
  const pb::Descriptor& type = *message.GetDescriptor();
  const pb::Reflection& reflection = *message.GetReflection();
  for (int i = 0; i < type.field_count(); ++i) {
    const pb::FieldDescriptor* field = type.field(i);
    const auto found =
        std::find_if(values.begin(), values.end(), [&](const auto& v) { return v.first == field->name(); });
    if (found != values.end() && field->cpp_type() == pb::FieldDescriptor::CPPTYPE_STRING && !field->is_repeated()) {
      reflection.SetString(&message, field, found->second);
    } else if (field->name() == "denoisers" && field->is_repeated()) {
      reflection.AddEnumValue(&message, field, 1);
    } else if (field->name() == "denoiser") {
      reflection.SetEnumValue(&message, field, 1);
    } else if (field->name() == "spec" || field->name() == "header") {
      fill(*reflection.MutableMessage(&message, field), values);
    }
  }
}

grpc::ByteBuffer to_buffer(const pb::Message& message) {
  const grpc::Slice slice(message.SerializeAsString());
  return grpc::ByteBuffer(&slice, 1);
}

std::string to_bytes(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string bytes;
  if (!buffer.Dump(&slices).ok()) return bytes;
  for (const auto& slice : slices) bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return bytes;
}

bool wait(grpc::CompletionQueue& queue) {
  void* tag = nullptr;
  bool ok = false;
  return queue.Next(&tag, &ok) && ok;
}

}  // namespace

std::vector<const pb::MethodDescriptor*> coordinator_methods() {
  std::vector<const pb::MethodDescriptor*> methods;
  for (const auto& entry : std::filesystem::directory_iterator(ESP_SOURCE_DIR "/proto/espalier/v1")) {
    if (entry.path().filename() == "inference.proto") continue;  // served by espalier-infer
    const auto* file = pb::DescriptorPool::generated_pool()->FindFileByName(
        absl::StrCat("espalier/v1/", entry.path().filename().string()));
    EXPECT_NE(file, nullptr) << entry.path() << " is not linked into the coordinator";
    for (int i = 0; file && i < file->service_count(); ++i) {
      const auto* service = file->service(i);
      for (int j = 0; j < service->method_count(); ++j) methods.push_back(service->method(j));
    }
  }
  return methods;
}

std::unique_ptr<pb::Message> request_of(const pb::MethodDescriptor& method, const FieldValues& values) {
  const auto* prototype = pb::MessageFactory::generated_factory()->GetPrototype(method.input_type());
  std::unique_ptr<pb::Message> request(prototype->New());
  fill(*request, values);
  return request;
}

Answer call_any(const std::shared_ptr<grpc::Channel>& channel, const pb::MethodDescriptor& method,
                const pb::Message& request, const CallEntries& entries, std::chrono::milliseconds deadline) {
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + deadline);
  if (!entries.authorization.empty()) context.AddMetadata(kAuthorizationEntry, entries.authorization);
  if (!entries.tenant.empty()) context.AddMetadata(kTenantEntry, entries.tenant);
  grpc::CompletionQueue queue;
  const auto call =
      stub.PrepareCall(&context, absl::StrCat("/", method.service()->full_name(), "/", method.name()), &queue);
  call->StartCall(nullptr);
  wait(queue);
  call->WriteLast(to_buffer(request), grpc::WriteOptions(), nullptr);
  wait(queue);  // false when the server has ended the call before: Finish tells
  Answer answer;
  grpc::ByteBuffer part;
  for (call->Read(&part, nullptr); wait(queue); call->Read(&part, nullptr)) answer.bytes += to_bytes(part);
  grpc::Status status;
  call->Finish(&status, nullptr);
  wait(queue);
  answer.status = from_grpc(status);
  return answer;
}

}  // namespace espalier::coordinator

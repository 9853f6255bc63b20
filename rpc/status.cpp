#include "rpc/status.h"

#include <google/protobuf/util/time_util.h>

#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "espalier/v1/errors.pb.h"

namespace espalier {
namespace {

constexpr std::string_view kDomain = "espalier";
constexpr const char* kBadRequestUrl = "type.googleapis.com/google.rpc.BadRequest";
constexpr const char* kRetryInfoUrl = "type.googleapis.com/google.rpc.RetryInfo";
constexpr const char* kQuotaFailureUrl = "type.googleapis.com/google.rpc.QuotaFailure";
constexpr const char* kErrorInfoUrl = "type.googleapis.com/google.rpc.ErrorInfo";

template <class Message>
std::optional<Message> payload(const Status& status, const char* url) {
  const auto bytes = status.GetPayload(url);
  Message message;
  if (!bytes || !message.ParseFromString(std::string(*bytes))) return std::nullopt;
  return message;
}

}  // namespace

Status invalid_fields(const std::vector<FieldFault>& faults) {
  if (faults.empty()) return absl::OkStatus();
  v1::BadRequest details;
  std::vector<std::string> lines;
  for (const FieldFault& fault : faults) {
    auto* violation = details.add_field_violations();
    violation->set_field(fault.field);
    violation->set_description(fault.description);
    lines.push_back(absl::StrCat(fault.field, ": ", fault.description));
  }
  Status status = absl::InvalidArgumentError(absl::StrJoin(lines, "; "));
  status.SetPayload(kBadRequestUrl, absl::Cord(details.SerializeAsString()));
  return with_reason(std::move(status), "INVALID_FIELDS");
}

std::vector<FieldFault> field_faults(const Status& status) {
  std::vector<FieldFault> faults;
  if (const auto details = payload<v1::BadRequest>(status, kBadRequestUrl)) {
    for (const auto& violation : details->field_violations()) {
      faults.push_back({violation.field(), violation.description()});
    }
  }
  return faults;
}

Status with_reason(Status status, std::string_view reason) {
  v1::ErrorInfo info;
  info.set_reason(std::string(reason));
  info.set_domain(std::string(kDomain));
  status.SetPayload(kErrorInfoUrl, absl::Cord(info.SerializeAsString()));
  return status;
}

std::string reason_of(const Status& status) {
  const auto info = payload<v1::ErrorInfo>(status, kErrorInfoUrl);
  return info ? info->reason() : "";
}

Status with_retry_after(Status status, int64_t wait_us) {
  v1::RetryInfo info;
  *info.mutable_retry_delay() = google::protobuf::util::TimeUtil::MicrosecondsToDuration(wait_us);
  status.SetPayload(kRetryInfoUrl, absl::Cord(info.SerializeAsString()));
  return status;
}

int64_t retry_after_us(const Status& status) {
  const auto info = payload<v1::RetryInfo>(status, kRetryInfoUrl);
  return info ? google::protobuf::util::TimeUtil::DurationToMicroseconds(info->retry_delay()) : 0;
}

Status quota_exceeded(std::string_view limit, std::string_view description) {
  v1::QuotaFailure details;
  auto* violation = details.add_violations();
  violation->set_subject(std::string(limit));
  violation->set_description(std::string(description));
  Status status = absl::ResourceExhaustedError(absl::StrCat(violation->subject(), ": ", violation->description()));
  status.SetPayload(kQuotaFailureUrl, absl::Cord(details.SerializeAsString()));
  return with_reason(std::move(status), "QUOTA_EXCEEDED");
}

std::string exceeded_quota(const Status& status) {
  const auto details = payload<v1::QuotaFailure>(status, kQuotaFailureUrl);
  return details && details->violations_size() > 0 ? details->violations(0).subject() : "";
}

grpc::Status to_grpc(const Status& status) {
  if (status.ok()) return grpc::Status::OK;
  Status full = status;
  if (!full.GetPayload(kErrorInfoUrl)) full = with_reason(std::move(full), absl::StatusCodeToString(full.code()));
  v1::RpcStatus wire;
  wire.set_code(static_cast<int>(full.code()));
  wire.set_message(std::string(full.message()));
  full.ForEachPayload([&wire](auto url, const absl::Cord& bytes) {
    auto* detail = wire.add_details();
    detail->set_type_url(std::string(url));
    detail->set_value(std::string(bytes));
  });
  return {static_cast<grpc::StatusCode>(full.code()), std::string(full.message()), wire.SerializeAsString()};
}

Status from_grpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  Status result(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
  v1::RpcStatus wire;
  if (wire.ParseFromString(status.error_details())) {
    for (const auto& detail : wire.details()) result.SetPayload(detail.type_url(), absl::Cord(detail.value()));
  }
  return result;
}

}  // namespace espalier

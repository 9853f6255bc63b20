#pragma once

#include <grpcpp/support/status.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"

// Errors across the wire. A Status carries its details as payloads under their google.rpc type URLs; on the wire they
// become a google.rpc.Status in the trailer grpc-status-details-bin. Codes are equal on both sides.
//
// Note that annotate() makes a new Status and so drops details: annotate before adding them.
namespace espalier {

// One faulty field of a request.
struct FieldFault {
  std::string field;        // path in the request message, "spec.denoisers[1]"
  std::string description;  // what is wrong and what is allowed
  bool operator==(const FieldFault&) const = default;
};

// INVALID_ARGUMENT with a BadRequest of all faults; the message lists them too. OK when there are none.
Status invalid_fields(const std::vector<FieldFault>& faults);
// The faults of such a status; empty for any other.
std::vector<FieldFault> field_faults(const Status& status);

// `status` with an ErrorInfo of domain "espalier". `reason` is UPPER_SNAKE_CASE.
Status with_reason(Status status, std::string_view reason);
// The reason of the ErrorInfo; empty without one.
std::string reason_of(const Status& status);

// `status` with a RetryInfo: the caller may try again after that time.
Status with_retry_after(Status status, int64_t wait_us);
// Microseconds of the RetryInfo; 0 without one.
int64_t retry_after_us(const Status& status);

// RESOURCE_EXHAUSTED with a QuotaFailure and the reason QUOTA_EXCEEDED. `limit` is its name, "max_storage_bytes".
Status quota_exceeded(std::string_view limit, std::string_view description);
// The name of the limit; empty for any other status.
std::string exceeded_quota(const Status& status);

// Adds an ErrorInfo whose reason is the code's name when there is none. INTERNAL and UNKNOWN messages are kept: they
// are ours and hold no secrets.
grpc::Status to_grpc(const Status& status);
Status from_grpc(const grpc::Status& status);

}  // namespace espalier

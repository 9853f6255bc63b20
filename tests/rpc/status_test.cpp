#include "rpc/status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace espalier {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(RpcStatus, CarriesAllFaultsAcrossTheWire) {
  const Status sent = invalid_fields({{"spec.rank", "17 is not 16, 32 or 64"}, {"spec.steps", "99 is too few"}});
  const Status got = from_grpc(to_grpc(sent));
  EXPECT_EQ(got.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(got.message(), "spec.rank: 17 is not 16, 32 or 64; spec.steps: 99 is too few");
  EXPECT_THAT(field_faults(got), ElementsAre(FieldFault{"spec.rank", "17 is not 16, 32 or 64"},
                                             FieldFault{"spec.steps", "99 is too few"}));
  EXPECT_EQ(reason_of(got), "INVALID_FIELDS");
}

TEST(RpcStatus, IsOkWithoutFaults) {
  EXPECT_TRUE(invalid_fields({}).ok());
  EXPECT_TRUE(to_grpc(absl::OkStatus()).ok());
  EXPECT_TRUE(from_grpc(grpc::Status::OK).ok());
}

TEST(RpcStatus, KeepsEveryCodeAndMessage) {
  for (int code = 1; code <= 16; ++code) {
    const Status sent(static_cast<absl::StatusCode>(code), "what happened");
    const grpc::Status wire = to_grpc(sent);
    EXPECT_EQ(static_cast<int>(wire.error_code()), code);
    EXPECT_EQ(from_grpc(wire).code(), sent.code());
    EXPECT_EQ(from_grpc(wire).message(), "what happened");
    EXPECT_EQ(reason_of(from_grpc(wire)), absl::StatusCodeToString(sent.code()));
  }
}

TEST(RpcStatus, ReadsStatusesWithoutDetails) {
  const Status got = from_grpc(grpc::Status(grpc::StatusCode::UNAVAILABLE, "no route"));
  EXPECT_TRUE(absl::IsUnavailable(got));
  EXPECT_THAT(field_faults(got), IsEmpty());
  EXPECT_EQ(reason_of(got), "");
}

}  // namespace
}  // namespace espalier

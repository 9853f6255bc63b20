#include "rpc/credentials.h"

#include <gtest/gtest.h>

#include "common/files.h"
#include "common/secrets.h"
#include "rpc/channel.h"
#include "rpc/roles.h"
#include "rpc/status.h"

namespace espalier {
namespace {

TEST(Credentials, AreReadFromBothSchemes) {
  for (const char* header : {"Key key_1:esk_2", "Bearer key_1:esk_2", "key key_1:esk_2", "BEARER key_1:esk_2"}) {
    const auto credentials = parse_authorization(header);
    ASSERT_TRUE(credentials.ok()) << header;
    EXPECT_EQ(credentials->key_id, "key_1");
    EXPECT_EQ(credentials->secret, "esk_2");
    EXPECT_EQ(authorization_of(*credentials), "Key key_1:esk_2");
  }
}

TEST(Credentials, AreRefusedWithoutRepeatingThem) {
  const std::string secret = "esk_5ec2e7";
  const std::vector<std::string> headers = {"",
                                            "Key",
                                            "Key " + secret,
                                            "Basic key_1:" + secret,
                                            "Key key_1:" + secret + ":more",
                                            "Key  key_1:" + secret,
                                            "Key :" + secret,
                                            "Key key_1:",
                                            "Key key_1:" + secret + "\n",
                                            "Key " + std::string(600, 'k') + ":" + secret};
  for (const std::string& header : headers) {
    const Status status = parse_authorization(header).status();
    EXPECT_TRUE(absl::IsUnauthenticated(status)) << header;
    EXPECT_EQ(reason_of(status), "KEY_MALFORMED");
    EXPECT_EQ(std::string(status.message()).find(secret), std::string::npos);
  }
}

TEST(Credentials, AreReadFromAFileWithOneLine) {
  const TempDir folder = *TempDir::create();
  const auto file = folder.path() / "key";
  EXPECT_TRUE(absl::IsNotFound(read_key_file(file).status()));
  ASSERT_TRUE(write_secret_file(file, "key_1:esk_2\n").ok());
  EXPECT_EQ(read_key_file(file)->secret, "esk_2");
  ASSERT_TRUE(write_secret_file(file, "key_1:esk_2\nkey_3:esk_4\n").ok());
  EXPECT_TRUE(absl::IsInvalidArgument(read_key_file(file).status()));
}

TEST(Channel, SendsNoKeyInPlaintextToAnotherMachine) {
  ChannelSecurity security;
  security.key = Credentials{"key_1", "esk_2"};
  EXPECT_TRUE(absl::IsInvalidArgument(open_channel("coordinator.example:7430", security).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(open_channel("127.0.0.1.example:7430", security).status()));
  EXPECT_TRUE(open_channel("127.0.0.1:7430", security).ok());
  EXPECT_TRUE(open_channel("[::1]:7430", security).ok());
  security.allow_plaintext_remote = true;
  EXPECT_TRUE(open_channel("coordinator.example:7430", security).ok());
}

TEST(Secrets, HaveTheDigestsOfTheStandard) {
  // RFC 4231, test case 2.
  EXPECT_EQ(hmac_sha256_hex("Jefe", "what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_TRUE(equal_in_constant_time("abc", "abc"));
  EXPECT_FALSE(equal_in_constant_time("abc", "abd"));
  EXPECT_FALSE(equal_in_constant_time("abc", "ab"));
  EXPECT_NE(random_bytes(32), random_bytes(32));
}

TEST(Roles, HaveNamesForPeople) {
  EXPECT_EQ(role_name(v1::ROLE_OPERATOR), "operator");
  EXPECT_EQ(role_name(static_cast<v1::Role>(99)), "unknown");
  for (const auto role : {v1::ROLE_READ, v1::ROLE_SUBMIT, v1::ROLE_ADMIN, v1::ROLE_OPERATOR, v1::ROLE_WORKER}) {
    EXPECT_EQ(role_named(role_name(role)), role);
  }
  EXPECT_EQ(role_named("king"), v1::ROLE_UNSPECIFIED);
}

TEST(RetryInfo, TravelsWithTheStatus) {
  const Status sent = with_retry_after(with_reason(absl::ResourceExhaustedError("later"), "REQUEST_RATE"), 1'500'000);
  const Status received = from_grpc(to_grpc(sent));
  EXPECT_EQ(retry_after_us(received), 1'500'000);
  EXPECT_EQ(reason_of(received), "REQUEST_RATE");
  EXPECT_EQ(retry_after_us(absl::ResourceExhaustedError("full")), 0);
}

}  // namespace
}  // namespace espalier

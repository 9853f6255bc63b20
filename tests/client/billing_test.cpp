#include <gmock/gmock.h>
#include <grpcpp/channel.h>
#include <soci/soci.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "client/command.h"
#include "coordinator/storage/database.h"
#include "tests/client/command_line.h"
#include "tests/coordinator/local_channel.h"
#include "tests/coordinator/running_coordinator.h"

namespace espalier::client {
namespace {

using ::testing::HasSubstr;

// `espalier billing …` and `espalier admin …` with the operator's key.
class BillingTest : public ::testing::Test {
 protected:
  Output espalier(std::vector<std::string> arguments, bool json = true) {
    Command command;
    command.coordinator = running_.coordinator->address();
    command.json = json;
    command.channel = coordinator::local_channel(running_.config, command.coordinator);
    return run_client(command, {add_admin, add_billing}, arguments);
  }

  coordinator::RunningCoordinator running_;
};

TEST_F(BillingTest, GrantsAdjustsAndReversesCredit) {
  const Output granted =
      espalier({"admin", "grant", "local", "12.5", "--note", "welcome", "--request-id", "grant-0001"});
  ASSERT_TRUE(granted.status.ok()) << granted.status;
  EXPECT_EQ(granted.json()["balance"]["available_nanos"], "12500000000");
  const Output again = espalier({"admin", "grant", "local", "12.5", "--note", "welcome", "--request-id", "grant-0001"});
  EXPECT_EQ(again.json()["duplicate"], true);
  const Output adjusted = espalier({"admin", "adjust", "local", "--note", "mistake", "--", "-0.000000001"});
  ASSERT_TRUE(adjusted.status.ok()) << adjusted.status;
  EXPECT_EQ(adjusted.json()["balance"]["available_nanos"], "12499999999");
  EXPECT_TRUE(absl::IsInvalidArgument(espalier({"admin", "adjust", "local", "1"}).status));  // says not why
  const std::string id = granted.json()["transaction"]["transaction_id"];
  const Output reversed = espalier({"admin", "reverse", id, "--note", "moved"});
  ASSERT_TRUE(reversed.status.ok()) << reversed.status;
  EXPECT_EQ(reversed.json()["transaction"]["reverses"], id);
  EXPECT_THAT(espalier({"admin", "audit"}, /*json=*/false).text, HasSubstr("credit.grant"));
  EXPECT_TRUE(absl::IsNotFound(espalier({"admin", "grant", "ten_nobody", "1"}).status));
}

TEST_F(BillingTest, ShowsBalanceLedgerAndPrices) {
  ASSERT_TRUE(espalier({"admin", "grant", "local", "3"}).status.ok());
  EXPECT_EQ(espalier({"billing", "balance"}).json()["granted_nanos"], "3000000000");
  EXPECT_THAT(espalier({"billing", "balance"}, /*json=*/false).text, HasSubstr("$3.0000"));
  EXPECT_THAT(espalier({"billing", "ledger"}, /*json=*/false).text, HasSubstr("grants -> available"));
  EXPECT_EQ(espalier({"billing", "pricing"}).json()["object_nanos"], "100230000");
  EXPECT_THAT(espalier({"billing", "invoices", "--month", "2026-11"}, /*json=*/false).text, HasSubstr("$0.00"));
  EXPECT_TRUE(absl::IsInvalidArgument(espalier({"billing", "invoices", "--month", "soon"}).status));
  EXPECT_TRUE(absl::IsNotFound(espalier({"billing", "invoice", "job_unknown"}).status));
}

TEST_F(BillingTest, ExportsUsageWithItsHeader) {
  EXPECT_EQ(espalier({"billing", "usage"}, /*json=*/false).text,
            "event_id,time,tenant_id,job_id,item,quantity,unit_nanos,multiplier_numerator,multiplier_denominator,"
            "amount_nanos,price_version\n");
  EXPECT_EQ(espalier({"billing", "usage", "--format", "json", "--since", "2026-11-01"}, /*json=*/false).text, "");
  EXPECT_TRUE(absl::IsInvalidArgument(espalier({"billing", "usage", "--since", "yesterday"}).status));
}

TEST_F(BillingTest, TellsWhichAccountIsWrong) {
  ASSERT_TRUE(espalier({"admin", "grant", "local", "3"}).status.ok());
  EXPECT_TRUE(espalier({"admin", "ledger", "verify"}).status.ok());
  running_.coordinator.reset();
  {
    auto database = coordinator::Database::open(std::filesystem::path(running_.config.data_dir) / "coordinator.db");
    ASSERT_TRUE(database.ok()) << database.status();
    ASSERT_TRUE((*database)
                    ->transaction([](soci::session& sql) -> Status {
                      sql << "UPDATE ledger_balances SET available = available + 1";
                      return absl::OkStatus();
                    })
                    .ok());
  }
  running_.start();
  const Output verified = espalier({"admin", "ledger", "verify"}, /*json=*/false);
  EXPECT_TRUE(absl::IsDataLoss(verified.status)) << verified.status;
  EXPECT_THAT(verified.text, HasSubstr("local available"));
  EXPECT_THAT(verified.text, HasSubstr("faults 1"));
}

}  // namespace
}  // namespace espalier::client

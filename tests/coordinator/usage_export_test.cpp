#include "coordinator/billing/usage_export.h"

#include <soci/soci.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/coordinator/books.h"

namespace espalier::coordinator {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class UsageExportTest : public ::testing::Test {
 protected:
  UsageExportConfig config() { return {.file = file.string(), .interval = std::chrono::hours(1)}; }

  void charge_a_job() {
    inside.submit({v1::DENOISER_GEOMETRY});
    ASSERT_TRUE(worker.link || worker.attach().ok());
    ASSERT_TRUE(worker.prepared(*worker.link->assigned(), 10).ok());
    ASSERT_TRUE(worker.trained(*worker.link->assigned()).ok());
  }

  static Status drain(UsageExporter& exporter) {
    for (size_t count = 1; count > 0;) {
      ESP_ASSIGN(count, exporter.export_batch());
    }
    return absl::OkStatus();
  }

  // The ids in the file, in order. Every line must be a whole JSON object.
  std::vector<std::string> exported() {
    std::ifstream in(file);
    std::vector<std::string> ids;
    for (std::string line; std::getline(in, line);) {
      const auto event = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
      EXPECT_TRUE(event.is_object()) << line;
      if (event.is_object()) ids.push_back(event.value("event_id", ""));
    }
    return ids;
  }

  std::vector<std::string> charged() {
    std::vector<std::string> ids;
    for (const v1::UsageEvent& event : books.usage()) ids.push_back(event.event_id());
    return ids;
  }

  Inside inside;
  Books books{inside};
  FakeWorker worker{inside, kWorkerA};
  std::filesystem::path file = inside.folder->path() / "usage" / "usage.jsonl";
};

TEST_F(UsageExportTest, WritesEveryEventInOrder) {
  std::filesystem::create_directory(file.parent_path());
  UsageExporter exporter(*inside.database, config());
  charge_a_job();
  charge_a_job();
  ASSERT_TRUE(drain(exporter).ok());
  EXPECT_EQ(exported().size(), 4u);
  EXPECT_EQ(exported(), charged());
}

TEST_F(UsageExportTest, RepeatsABatchUnderTheSameIdsAfterACrash) {
  std::filesystem::create_directory(file.parent_path());
  UsageExporter exporter(*inside.database, config());
  charge_a_job();
  ASSERT_TRUE(drain(exporter).ok());
  // As if the coordinator had died between the file and the database.
  ASSERT_TRUE(inside.database
                  ->transaction([](soci::session& sql) -> Status {
                    sql << "INSERT INTO usage_outbox SELECT number FROM usage_events";
                    return absl::OkStatus();
                  })
                  .ok());
  ASSERT_TRUE(drain(exporter).ok());
  const auto ids = charged();
  EXPECT_THAT(exported(), ElementsAre(ids[0], ids[1], ids[0], ids[1]));
}

TEST_F(UsageExportTest, RemovesAPartOfALineThatACrashLeft) {
  std::filesystem::create_directory(file.parent_path());
  std::ofstream(file) << "{\"event_id\":\"whole\"}\n{\"event_id\":\"par";
  UsageExporter exporter(*inside.database, config());
  charge_a_job();
  ASSERT_TRUE(drain(exporter).ok());
  const auto ids = charged();
  EXPECT_THAT(exported(), ElementsAre("whole", ids[0], ids[1]));
}

TEST_F(UsageExportTest, DelaysOnlyTheExportWhenTheFileCannotBeWritten) {
  UsageExporter exporter(*inside.database, config());  // the folder is missing
  charge_a_job();
  EXPECT_TRUE(absl::IsUnavailable(exporter.export_batch().status()));
  EXPECT_EQ(charged().size(), 2u);
  EXPECT_THAT(books.faults(), IsEmpty());
  std::filesystem::create_directory(file.parent_path());
  ASSERT_TRUE(drain(exporter).ok());
  EXPECT_EQ(exported(), charged());
}

TEST(JsonLinesFile, TellsAFullDisk) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "there is no /dev/full";
  EXPECT_TRUE(absl::IsResourceExhausted(JsonLinesFile("/dev/full").append({"{}"})));
}

}  // namespace
}  // namespace espalier::coordinator

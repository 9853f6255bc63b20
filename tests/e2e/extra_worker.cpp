#include "tests/e2e/extra_worker.h"

#include "process/child.h"
#include "tests/e2e/installation.h"

namespace espalier::e2e {

ExtraWorker::ExtraWorker(const std::string& folder_name) {
  const auto folder = installation().folder();
  process::ChildSpec spec;
  spec.argv = {std::string(ESP_BIN_DIR) + "/espalier-worker",
               "--coordinator",
               installation().coordinator(),
               "--data-dir",
               (folder / folder_name).string(),
               "--key-file",
               (folder / "coordinator/keys/worker.key").string(),
               "--base",
               std::string(ESP_SOURCE_DIR) + "/models/nano",
               "--slots",
               "1"};
  spec.environment = {"PATH=/usr/bin:/bin"};
  thread_ = std::jthread([spec](std::stop_token stop) {
    while (!stop.stop_requested()) {
      (void)process::run_child(spec, {[](auto) {}, [](auto) {}, [] {}}, stop, std::chrono::seconds(60));
    }
  });
}

}  // namespace espalier::e2e

#pragma once

#include <filesystem>
#include <memory>
#include <stop_token>
#include <string>

#include "common/status.h"

namespace espalier::client {

struct ServicesConfig {
  std::filesystem::path programs;  // folder of the espalier programs
  std::filesystem::path data_dir;
  std::filesystem::path base;
  int coordinator_port = 7430;  // 0: a free one
  int inference_port = 7431;    // 0: a free one
  int slots = 1;
};

// Coordinator, one worker and the inference service as child processes of this one, logging to <data_dir>/logs. They
// end with this process, however it ends.
class Services {
 public:
  // Returns once both servers answer their health checks. UNAVAILABLE: one of them did not start; the message holds the
  // end of its log.
  static Result<Services> start(const ServicesConfig& config, std::stop_token stop);
  ~Services();  // stops what still runs
  Services(Services&&) noexcept;

  const std::string& coordinator() const;  // HOST:PORT
  const std::string& inference() const;
  const std::filesystem::path& key_file() const;  // of the operator

  // Until `stop`, then ends the programs in order (worker first, so that it can hand its tasks back) and returns OK.
  // A program that ends by itself is started again, at most 5 times in a minute; then UNAVAILABLE.
  Status wait(std::stop_token stop);

 private:
  struct State;
  explicit Services(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace espalier::client

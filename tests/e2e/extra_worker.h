#pragma once

#include <string>
#include <thread>

namespace espalier::e2e {

// Another worker of the shared installation, on this machine, with one slot. One that was killed comes back.
class ExtraWorker {
 public:
  explicit ExtraWorker(const std::string& folder_name);

 private:
  std::jthread thread_;
};

}  // namespace espalier::e2e

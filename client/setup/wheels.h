#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "client/setup/torch_folder.h"
#include "common/status.h"

namespace espalier::client {

struct WheelOptions {
  std::filesystem::path python_folder;  // the virtual environment to make, or to go on with
  std::string python;                   // the program that makes it; empty: the first python3 of PATH
  WantedTorch wanted;
  std::vector<std::string> companions;  // wheels that a LibTorch without its other dependencies needs
  bool silent = false;                  // no progress
  std::stop_token stop;
};

// What pip has said so far about what it does, for a line of progress.
class PipProgress {
 public:
  void line(std::string_view text);  // of pip's output
  // `downloading`: bytes of the file that comes at the moment; `installed`: of the virtual environment.
  std::string text(int64_t downloading, int64_t installed) const;
  bool unpacking() const { return unpacking_; }

 private:
  std::string file_;
  double file_bytes_ = 0;
  bool unpacking_ = false;
};

// pip's output as an error that says what to do.
Status explain_pip(const std::string& output, const WheelOptions& options);

// Free disk that it takes: the wheels and what they unpack to.
int64_t wheels_disk_bytes(const WantedTorch& wanted);

// Makes the virtual environment and installs LibTorch into it with pip, showing progress on stderr. Returns its torch
// folder. FAILED_PRECONDITION: no python3 or no venv module. RESOURCE_EXHAUSTED: the disk. UNAVAILABLE: the network.
Result<std::filesystem::path> install_wheels(const WheelOptions& options);

}  // namespace espalier::client

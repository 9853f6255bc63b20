#pragma once

#include <filesystem>

#include "common/status.h"

namespace espalier::client {

// Where an installation wants its LibTorch.
struct TorchPlace {
  std::filesystem::path programs;
  std::filesystem::path link;           // points to a torch folder
  std::filesystem::path python_folder;  // the virtual environment that setup makes when it has to
  bool for_services = false;            // the system's installation, which services use, too
};

// Of an installation: libtorch_link(programs) is not empty.
TorchPlace torch_place(const std::filesystem::path& programs);

// PERMISSION_DENIED when the folder of the link cannot be written; makes it when it is missing.
Status check_writable(const TorchPlace& place);

// Points the link to `torch` in one step, and tries whether the programs start with it; if not, the link is again what
// it was, and FAILED_PRECONDITION tells why.
Status put_in_place(const TorchPlace& place, const std::filesystem::path& torch);

// Whether a program that needs LibTorch starts.
Status try_programs(const std::filesystem::path& programs);

}  // namespace espalier::client

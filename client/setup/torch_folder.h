#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "common/status.h"

namespace espalier::client {

// The LibTorch that the programs were built with, and so the only one they can use.
struct WantedTorch {
  std::string version;        // "2.11.0"
  std::string cuda = "none";  // "13.0"; none: the programs use no GPU, and any build of the version will do
  bool for_services = false;  // services under accounts of their own read it, too
};

// The torch folder (lib/ in it) that `folder` is or holds: itself, its torch/, or that of a virtual environment.
// Empty: none.
std::filesystem::path torch_in(const std::filesystem::path& folder);

// OK: the torch folder is usable as far as its files tell. NOT_FOUND: it is none. FAILED_PRECONDITION: another version
// or build, or not readable for the services; the message names both.
Status check_torch(const std::filesystem::path& torch, const WantedTorch& wanted);

// Where a LibTorch may be, best first; in all, only what exists is looked at.
struct TorchPlaces {
  std::filesystem::path python_folder;          // the virtual environment of an earlier setup
  std::vector<std::filesystem::path> programs;  // as in PATH: the torch of any python3 there
  std::filesystem::path opt = "/opt";           // folders in it, and virtual environments in those
};

// The torch folders in all places, each once.
std::vector<std::filesystem::path> find_torch(const TorchPlaces& places);

// The folders of PATH.
std::vector<std::filesystem::path> program_folders();

}  // namespace espalier::client

#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "common/status.h"

// LibTorch for an installation that came without it.
namespace espalier::client {

struct LibTorchWish {
  std::string version;  // exactly: our programs are linked against it
  bool cuda = false;    // with the libraries of CUDA
};

struct LibTorchPlace {
  std::filesystem::path home;  // writable folder that keeps `torch`, a link to LibTorch, and `venv` when we install it
  std::filesystem::path link() const { return home / "torch"; }
};

// Where an installation below `private_folder` (common/installation.h) keeps LibTorch: there, or where its link `home`
// leads, as in the .deb, whose own folder belongs to the package.
LibTorchPlace libtorch_place(const std::filesystem::path& private_folder);

// Why a folder of PyTorch (with lib/ and version.py) or of LibTorch (lib/ and build-version) does not do; empty: it
// does.
std::string libtorch_fault(const std::filesystem::path& torch, const LibTorchWish& wish);

// Folders that may hold one, best first: the link's own, `named` if given, that of python3, those below /opt (`opt`).
std::vector<std::filesystem::path> libtorch_candidates(const LibTorchPlace& place,
                                                       const std::optional<std::filesystem::path>& named,
                                                       const std::filesystem::path& opt);

// Makes the link lead to `torch`.
Status link_libtorch(const LibTorchPlace& place, const std::filesystem::path& torch);

// Installs PyTorch's wheels into <home>/venv and returns its torch folder. `progress` is told the bytes there so far.
// FAILED_PRECONDITION: no python3 with venv, no space; UNAVAILABLE: pip failed, with the end of what it said.
Result<std::filesystem::path> install_libtorch(const LibTorchPlace& place, const LibTorchWish& wish,
                                               const std::function<void(uint64_t bytes)>& progress,
                                               std::stop_token stop);

// What an installation of `wish` takes, about: while it is being made, and then.
uint64_t libtorch_bytes(const LibTorchWish& wish);

}  // namespace espalier::client

#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "common/files.h"
#include "common/status.h"

namespace espalier::infer {

struct StateStoreOptions {
  std::filesystem::path folder;  // of this service alone; made when it is missing
  std::chrono::milliseconds time_to_live = std::chrono::hours(24);
  int64_t max_tenant_bytes = int64_t{1} << 30;  // a tenant's oldest states make room for a new one
  int64_t max_bytes = int64_t{8} << 30;         // of all tenants
};

// States of generated objects in files, each owned by a tenant, for a while. A handle is random and names its state to
// the owner only; the disk holds the digests of tenants and handles, not these themselves. Survives a restart.
// Thread-safe.
class StateStore {
 public:
  // INVALID_ARGUMENT: the folder cannot be made or used.
  static Result<std::unique_ptr<StateStore>> open(StateStoreOptions options);

  // A folder for files that keep() is to take, removed with what is left in it.
  Result<TempDir> stage() const;

  struct Kept {
    std::string handle;  // st1.<64 hexadecimal digits>
    std::chrono::system_clock::time_point expires;
  };
  // Takes a file of stage(). RESOURCE_EXHAUSTED: too large, or the store is full of others' states.
  Result<Kept> keep(const std::string& tenant, const std::filesystem::path& file);

  // NOT_FOUND: no state of this tenant has that handle, or not any more.
  Result<std::filesystem::path> find(const std::string& tenant, const std::string& handle) const;

  // Removes what has expired. Also happens on its own, once a minute.
  void sweep();

 private:
  explicit StateStore(StateStoreOptions options) : options_(std::move(options)) {}
  std::filesystem::path folder_of(const std::string& tenant) const;
  bool is_expired(const std::filesystem::path& file) const;
  Status make_room(const std::filesystem::path& tenant_folder, int64_t bytes);

  const StateStoreOptions options_;
  std::mutex mutex_;  // held while files come and go
  std::jthread sweeper_;
};

}  // namespace espalier::infer

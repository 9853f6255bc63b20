#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/status.h"

namespace espalier {

// Bytes in a configuration: written as a number with B, KiB, MiB, GiB or TiB.
struct Bytes {
  uint64_t count = 0;
  auto operator<=>(const Bytes&) const = default;
};

// Where values come from besides the defaults, weakest first: file, environment, overrides (command line).
struct ConfigSources {
  std::filesystem::path file{};      // YAML; empty: none
  std::string environment_prefix{};  // "ESPALIER_WORKER": key lease.time is ESPALIER_WORKER_LEASE_TIME; empty: none
  std::vector<std::pair<std::string, std::string>> overrides{};  // key, value
};

// Strict reader of a component's settings.
//
// A component fills the table with one row per setting: key (dotted path), the member that receives the value, the
// allowed range, and a line of documentation. The member's value at that time is the default. load() then
//   - rejects keys that the table does not have, wrong types, values out of range and repeated keys,
//   - reports all faults in one INVALID_ARGUMENT, each as `coordinator.yaml:14: lease.time: 0s is not in [1s, 1h]`,
//   - writes nothing to any member when there is a fault.
// The members must outlive the table. Not thread-safe.
class ConfigTable {
 public:
  ConfigTable();
  ~ConfigTable();
  ConfigTable(const ConfigTable&) = delete;
  ConfigTable& operator=(const ConfigTable&) = delete;

  using Milliseconds = std::chrono::milliseconds;

  void text(std::string key, std::string* member, std::string doc);
  void path(std::string key, std::filesystem::path* member, std::string doc);
  // One of `allowed`.
  void choice(std::string key, std::string* member, std::vector<std::string> allowed, std::string doc);
  void flag(std::string key, bool* member, std::string doc);
  void integer(std::string key, int64_t* member, int64_t low, int64_t high, std::string doc);
  void integer(std::string key, int* member, int low, int high, std::string doc);
  void number(std::string key, double* member, double low, double high, std::string doc);
  // Written with a unit: 250ms, 30s, 5m, 2h.
  void duration(std::string key, Milliseconds* member, Milliseconds low, Milliseconds high, std::string doc);
  void bytes(std::string key, Bytes* member, Bytes low, Bytes high, std::string doc);
  // A YAML sequence of texts; a comma-separated list in the environment and in overrides. `allowed` empty: any text.
  void list(std::string key, std::vector<std::string>* member, std::vector<std::string> allowed, std::string doc);

  // NOT_FOUND: no such file. INVALID_ARGUMENT: see above.
  Status load(const ConfigSources& sources);

  // The present values as a documented YAML file that load() accepts.
  std::string print() const;

 private:
  struct Row;
  struct Faults;
  void add(Row row);
  Row* find(std::string_view key);
  void read_file(const std::filesystem::path& path, Faults& faults);
  void read_environment(const std::string& prefix, Faults& faults);
  void take(const std::string& key, const std::vector<std::string>& values, bool is_list, const std::string& place,
            Faults& faults);

  std::vector<std::unique_ptr<Row>> rows_;
};

}  // namespace espalier

#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "client/hub/hub.h"
#include "client/hub/plan.h"
#include "common/status.h"

namespace espalier::client {

// The espalier.json of a base that comes from a hub: what every base's has (nn/io/base_model.h), and
// "sources": {"owner/name": {"revision": commit, "licence"}}. It is written from the first file on, so that an
// interrupted fetch goes on with the commits that it began with. Fields it does not know are kept.
class BaseRecord {
 public:
  // FAILED_PRECONDITION when the folder holds a base that does not come from `repo`.
  static Result<BaseRecord> open(const std::filesystem::path& folder, const std::string& repo);

  // The commit that the folder's files of the repository come from; empty: none yet.
  std::string revision(const std::string& repo) const;
  // FAILED_PRECONDITION when the folder's files come from another commit.
  Status pin(const HubRepo& repo);
  // What the base has from now on: earlier selections stay.
  void add(const BasePlan& plan, const std::vector<int>& tiers);
  void add_digest(const std::string& place, const std::string& sha256);
  // Recorded sha256; empty: none.
  std::string digest(const std::string& place) const;
  const std::filesystem::path& folder() const { return folder_; }

  Status write() const;

 private:
  BaseRecord(std::filesystem::path folder, nlohmann::json object)
      : folder_(std::move(folder)), object_(std::move(object)) {}

  std::filesystem::path folder_;
  nlohmann::json object_;
};

}  // namespace espalier::client

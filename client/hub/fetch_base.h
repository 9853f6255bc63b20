#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "client/hub/hub.h"
#include "client/hub/plan.h"
#include "common/status.h"

namespace espalier::client {

struct FetchBaseOptions {
  HubOptions hub = {};
  std::string repo = "microsoft/TRELLIS.2-4B";
  std::string revision = {};  // branch, tag or commit; empty: the one the folder already has, else main
  std::filesystem::path folder = "models/trellis2-4b";
  BaseSelection selection = {};
  bool verify = false;  // read files again that an earlier fetch has checked
  bool silent = false;  // no progress on stderr
};

struct FetchedBase {
  int64_t bytes = 0;       // of all files of the selection
  int64_t downloaded = 0;  // of them, bytes of the files that came with this call
  int files = 0;
  std::map<std::string, std::string> revisions;  // repository -> commit
};

// Makes the folder a base that --base takes: downloads what it lacks and checks it, then espalier.json. May be called
// again at any time: what is there with the right content stays, half a file is completed. A file whose content is not
// the hub's is never touched (FAILED_PRECONDITION). RESOURCE_EXHAUSTED before anything is loaded when the disk has no
// room. One fetch per folder at a time (UNAVAILABLE).
Result<FetchedBase> fetch_base(const FetchBaseOptions& options);

}  // namespace espalier::client

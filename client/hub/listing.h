#pragma once

#include <string>

#include "client/hub/hub.h"

// The hub's answers about a repository. Nothing in them is trusted: sizes and digests are checked, and one path that
// would leave its folder refuses the whole answer (DATA_LOSS).
namespace espalier::client {

// {"sha": commit, "cardData": {"license"}, …}; the repository without files.
Result<HubRepo> parse_revision(const std::string& repo, const std::string& text);

// [{"type": "file", "path", "size", "oid": git sha1, "lfs": {"oid": sha256, "size"} or none}, …]: adds the files.
Status parse_tree(const std::string& text, HubRepo& repo);

}  // namespace espalier::client

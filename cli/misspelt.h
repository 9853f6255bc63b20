#pragma once

#include <string>
#include <vector>

#include "cli/description.h"
#include "common/status.h"

namespace espalier::cli {

// INVALID_ARGUMENT names the first argument that stands where a verb belongs but is none, and the nearest verb; also
// when --help follows, which would otherwise hide it. Or a verb is missing, and no help was asked for.
Status find_misspelt_verb(const CommandDescription& program, const std::vector<std::string>& arguments);

// The program and the verbs that the arguments name, from the program down.
std::vector<const CommandDescription*> named_path(const CommandDescription& program,
                                                  const std::vector<std::string>& arguments);

// The candidate with the fewest letters changed, left out, added or swapped; empty: none is near.
std::string nearest(const std::string& text, const std::vector<std::string>& candidates);

}  // namespace espalier::cli

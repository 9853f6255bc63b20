#pragma once

#include <string>
#include <vector>

#include "cli/description.h"

namespace espalier::cli {

// The manual page of the verb at the end of `path`, or of the program when it stands there alone, as roff of the man
// macros: `espalier submit --man | man -l -`.
std::string manual_page(const std::vector<const CommandDescription*>& path);

}  // namespace espalier::cli

#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace espalier::process {

// Our own environment for a child, as NAME=value, but for the variables of these names.
std::vector<std::string> environment_without(const std::vector<std::string_view>& names);

}  // namespace espalier::process

#pragma once

#include <string>
#include <string_view>

namespace espalier {

// Text out of a stranger's file for a terminal, which would obey the control characters in it: '?' stands for each.
std::string printable(std::string_view text);

}  // namespace espalier

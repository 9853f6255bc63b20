#pragma once

#include <string>
#include <vector>

namespace espalier::client {

// A curve as one line of text of `width` block characters at most (UTF-8), from the lowest value to the highest; each
// character is the mean of its share of the values. Values that are not finite are left out. Empty without values.
std::string sparkline(const std::vector<double>& values, int width);

}  // namespace espalier::client

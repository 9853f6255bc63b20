#include "process/environment.h"

#include <unistd.h>

#include <algorithm>

namespace espalier::process {

std::vector<std::string> environment_without(const std::vector<std::string_view>& names) {
  std::vector<std::string> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const auto name = text.substr(0, text.find('='));
    if (std::find(names.begin(), names.end(), name) == names.end()) environment.emplace_back(text);
  }
  return environment;
}

}  // namespace espalier::process

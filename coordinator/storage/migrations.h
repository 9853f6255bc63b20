#pragma once

#include <span>

namespace espalier::coordinator {

// One step of the schema; applied once, in order, never changed after release.
struct Migration {
  int version;
  const char* name;
  const char* sql;  // statements separated by ';' at line ends
};

std::span<const Migration> migrations();

}  // namespace espalier::coordinator

#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace espalier::archive::detail {

struct CaseFold {
  uint16_t code_point;
  std::array<uint16_t, 4> folded;  // unused places are 0
};

// Sorted by code point: letters of Latin, Greek, Cyrillic and Armenian, fullwidth Latin. ASCII is not listed.
std::span<const CaseFold> case_fold_table();

}  // namespace espalier::archive::detail

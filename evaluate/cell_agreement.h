#pragma once

#include <array>
#include <cstdint>
#include <span>

// How far two sets of occupied grid cells agree.
namespace espalier::evaluate {

using Cell = std::array<int32_t, 3>;

struct CellAgreement {
  double iou = 1;  // cells of both over cells of either; 1 where both are empty
  double f1 = 0;   // harmonic mean of the shares of either within one cell (diagonals included) of the other
};

// Each cell once, in any order.
CellAgreement cell_agreement(std::span<const Cell> got, std::span<const Cell> want);

}  // namespace espalier::evaluate

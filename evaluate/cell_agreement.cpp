#include "evaluate/cell_agreement.h"

#include <algorithm>

#include "absl/container/flat_hash_set.h"

namespace espalier::evaluate {
namespace {

using CellSet = absl::flat_hash_set<Cell>;

bool is_near(const Cell& cell, const CellSet& others) {
  for (int i = 0; i < 27; ++i) {
    if (others.contains({cell[0] + i / 9 - 1, cell[1] + i / 3 % 3 - 1, cell[2] + i % 3 - 1})) return true;
  }
  return false;
}

double share_near(std::span<const Cell> cells, const CellSet& others) {
  if (cells.empty()) return 0;
  const auto near = std::count_if(cells.begin(), cells.end(), [&](const Cell& cell) { return is_near(cell, others); });
  return static_cast<double>(near) / static_cast<double>(cells.size());
}

}  // namespace

CellAgreement cell_agreement(std::span<const Cell> got, std::span<const Cell> want) {
  const CellSet got_set(got.begin(), got.end()), want_set(want.begin(), want.end());
  const auto both = static_cast<double>(
      std::count_if(got.begin(), got.end(), [&](const Cell& cell) { return want_set.contains(cell); }));
  const double either = static_cast<double>(got.size() + want.size()) - both;
  CellAgreement result;
  if (either > 0) result.iou = both / either;
  const double precision = share_near(got, want_set), recall = share_near(want, got_set);
  if (precision + recall > 0) result.f1 = 2 * precision * recall / (precision + recall);
  return result;
}

}  // namespace espalier::evaluate

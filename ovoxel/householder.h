#pragma once

#include <array>
#include <limits>
#include <utility>

#include "ovoxel/lanes.h"

// Small symmetric linear systems by QR with column pivoting, four at a time; not for other folders.
//
// Operation for operation Eigen's ColPivHouseholderQR, so that ill-conditioned systems have the same solutions as in
// the reference. Businger and Golub 1965; Drmac and Bujanovic 2008 for the updates of the column norms.
namespace espalier::ovoxel::internal {

template <size_t N>
using LaneVector = std::array<Lanes, N>;

template <size_t N>
class PivotedQr {
 public:
  // Columns of the matrices.
  explicit PivotedQr(const std::array<LaneVector<N>, N>& columns) : columns_(columns) { factorize(); }

  // Lanes whose matrix has full rank; solve() is meaningless in the others.
  LaneMask regular() const { return regular_; }

  LaneVector<N> solve(LaneVector<N> b) const {
    for (size_t k = 0; k + 1 < N; ++k) reflect(k, b);
    for (size_t i = N; i-- > 0;) {
      b[i] = choose(b[i] == all(0), b[i], b[i] / columns_[i][i]);
      for (size_t row = 0; row < i; ++row) b[row] -= b[i] * columns_[i][row];
    }
    LaneVector<N> x{};
    for (size_t i = 0; i < N; ++i) {
      for (size_t to = 0; to < N; ++to) {
        const auto here = static_cast<int32_t>(to);
        x[to] = choose(order_[i] == LaneMask{here, here, here, here}, b[i], x[to]);
      }
    }
    return x;
  }

 private:
  static constexpr float kEpsilon = std::numeric_limits<float>::epsilon();
  static constexpr float kRootEpsilon = 0.00034526698300124390840f;  // sqrt(kEpsilon)

  // Rows from `first` on; three squares are summed as x + (y + z).
  static Lanes norm(const LaneVector<N>& column, size_t first) {
    Lanes sum = column[N - 1] * column[N - 1];
    for (size_t i = N - 1; i-- > first;) sum = column[i] * column[i] + sum;
    return root(sum);
  }

  void factorize() {
    Lanes most = all(0);
    for (size_t j = 0; j < N; ++j) {
      const auto place = static_cast<int32_t>(j);
      order_[j] = LaneMask{place, place, place, place};
      norm_[j] = direct_norm_[j] = norm(columns_[j], 0);
      most = largest(most, norm_[j]);
    }
    const Lanes tiny = most * kEpsilon * (most * kEpsilon) / static_cast<float>(N);
    for (size_t k = 0; k < N; ++k) {
      const Lanes pivot = move_pivot(k);
      regular_ &= ~(pivot * pivot < tiny * static_cast<float>(N - k));
      if (k + 1 == N) return;
      make_reflection(k);
      for (size_t j = k + 1; j < N; ++j) {
        reflect(k, columns_[j]);
        update_norm(k, j);
      }
    }
  }

  // Swaps the longest remaining column to place k; returns its norm.
  Lanes move_pivot(size_t k) {
    Lanes longest = norm_[k];
    std::array<LaneMask, N> chosen{};
    for (size_t j = k + 1; j < N; ++j) {
      chosen[j] = norm_[j] > longest;
      longest = choose(chosen[j], norm_[j], longest);
      for (size_t i = k + 1; i < j; ++i) chosen[i] &= ~chosen[j];
    }
    for (size_t j = k + 1; j < N; ++j) {
      for (size_t row = 0; row < N; ++row) exchange(chosen[j], columns_[k][row], columns_[j][row]);
      exchange(chosen[j], norm_[k], norm_[j]);
      exchange(chosen[j], direct_norm_[k], direct_norm_[j]);
      const LaneMask a = order_[k], b = order_[j];
      order_[k] = (chosen[j] & b) | (~chosen[j] & a);
      order_[j] = (chosen[j] & a) | (~chosen[j] & b);
    }
    return longest;
  }

  static void exchange(LaneMask mask, Lanes& a, Lanes& b) {
    const Lanes old = a;
    a = choose(mask, b, a);
    b = choose(mask, old, b);
  }

  // The Householder vector (1, v) that maps column k, from row k on, to its first axis.
  void make_reflection(size_t k) {
    LaneVector<N>& column = columns_[k];
    Lanes tail = column[N - 1] * column[N - 1];
    for (size_t i = N - 1; i-- > k + 1;) tail = column[i] * column[i] + tail;
    const Lanes first = column[k];
    const LaneMask flat = tail <= all(std::numeric_limits<float>::min());
    Lanes beta = root(first * first + tail);
    beta = choose(first >= all(0), -beta, beta);
    for (size_t i = k + 1; i < N; ++i) v_[k][i] = choose(flat, all(0), column[i] / (first - beta));
    tau_[k] = choose(flat, all(0), (beta - first) / beta);
    column[k] = choose(flat, first, beta);
  }

  // Applies reflection k to a column or a right-hand side.
  void reflect(size_t k, LaneVector<N>& x) const {
    Lanes along = v_[k][k + 1] * x[k + 1];
    for (size_t i = k + 2; i < N; ++i) along += v_[k][i] * x[i];
    along += x[k];
    x[k] -= tau_[k] * along;
    for (size_t i = k + 1; i < N; ++i) x[i] -= tau_[k] * v_[k][i] * along;
  }

  void update_norm(size_t k, size_t j) {
    const Lanes ratio = absolute(columns_[j][k]) / norm_[j];
    Lanes left = (1.0f + ratio) * (1.0f - ratio);
    left = choose(left < all(0), all(0), left);
    const Lanes drift = norm_[j] / direct_norm_[j];
    const LaneMask inexact = left * (drift * drift) <= all(kRootEpsilon);
    const Lanes direct = norm(columns_[j], k + 1);
    const LaneMask zero = norm_[j] == all(0);
    direct_norm_[j] = choose(inexact & ~zero, direct, direct_norm_[j]);
    norm_[j] = choose(zero, norm_[j], choose(inexact, direct, norm_[j] * root(left)));
  }

  std::array<LaneVector<N>, N> columns_;  // R in the upper triangle
  std::array<LaneVector<N>, N> v_{};      // v_[k][i], i > k
  LaneVector<N> tau_{}, norm_{}, direct_norm_{};
  std::array<LaneMask, N> order_{};  // order_[k]: the column that stands at place k
  LaneMask regular_{-1, -1, -1, -1};
};

}  // namespace espalier::ovoxel::internal

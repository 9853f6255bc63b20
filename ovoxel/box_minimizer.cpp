#include "ovoxel/box_minimizer.h"

#include <limits>

namespace espalier::ovoxel::internal {
namespace {

// Four quadrics and their boxes, component by component.
struct Problem {
  std::array<Lanes, 10> q;
  std::array<LaneVector<3>, 2> bounds;  // low, high

  // Element (i, j) of the symmetric 4x4 matrices.
  const Lanes& at(size_t i, size_t j) const {
    static constexpr uint8_t kPlace[4][4] = {{0, 1, 2, 3}, {1, 4, 5, 6}, {2, 5, 7, 8}, {3, 6, 8, 9}};
    return q[kPlace[i][j]];
  }

  LaneMask within(const Lanes& value, size_t axis) const {
    return (value >= bounds[0][axis]) & (value <= bounds[1][axis]);
  }

  // Sums of four are (0 + 2) + (1 + 3), as the reference's vectorised sums.
  Lanes error(const LaneVector<3>& p) const {
    std::array<Lanes, 4> row;
    for (size_t j = 0; j < 4; ++j) row[j] = (p[0] * at(0, j) + p[2] * at(2, j)) + (p[1] * at(1, j) + at(3, j));
    return (row[0] * p[0] + row[2] * p[2]) + (row[1] * p[1] + row[3]);
  }
};

// The search of minimize_in_box(), candidate for candidate.
class Search {
 public:
  Search(const Problem& problem, const LaneVector<3>& start) : problem_(problem), best_(start) {}

  void run() {
    for (size_t axis = 0; axis < 3; ++axis) faces(axis);
    for (size_t axis = 0; axis < 3; ++axis) edges(axis);
    for (size_t corner = 0; corner < 8; ++corner) {
      const auto& b = problem_.bounds;
      consider({b[corner & 4 ? 0 : 1][0], b[corner & 2 ? 0 : 1][1], b[corner & 1 ? 0 : 1][2]},
               LaneMask{} == LaneMask{});
    }
  }

  const LaneVector<3>& best() const { return best_; }
  LaneMask regular() const { return regular_; }

 private:
  void consider(const LaneVector<3>& point, LaneMask allowed) {
    const Lanes error = problem_.error(point);
    const LaneMask better = allowed & (error < error_);
    error_ = choose(better, error, error_);
    for (size_t a = 0; a < 3; ++a) best_[a] = choose(better, point[a], best_[a]);
  }

  void faces(size_t axis) {
    const size_t u = (axis + 1) % 3, v = (axis + 2) % 3;
    const PivotedQr<2> qr(
        {LaneVector<2>{problem_.at(u, u), problem_.at(v, u)}, LaneVector<2>{problem_.at(u, v), problem_.at(v, v)}});
    regular_ &= qr.regular();
    for (size_t side = 0; side < 2; ++side) {
      const Lanes fixed = problem_.bounds[side][axis];
      const LaneVector<2> x = qr.solve(
          {-(problem_.at(u, axis) * fixed + problem_.at(u, 3)), -(problem_.at(v, axis) * fixed + problem_.at(v, 3))});
      LaneVector<3> point;
      point[axis] = fixed;
      point[u] = x[0];
      point[v] = x[1];
      consider(point, problem_.within(x[0], u) & problem_.within(x[1], v));
    }
  }

  void edges(size_t axis) {
    const size_t u = (axis + 1) % 3, v = (axis + 2) % 3;
    for (size_t side = 0; side < 4; ++side) {
      LaneVector<3> point;
      point[u] = problem_.bounds[side / 2][u];
      point[v] = problem_.bounds[side % 2][v];
      point[axis] = -(problem_.at(axis, u) * point[u] + (problem_.at(axis, v) * point[v] + problem_.at(axis, 3))) /
                    problem_.at(axis, axis);
      consider(point, problem_.within(point[axis], axis));
    }
  }

  const Problem& problem_;
  LaneVector<3> best_;
  Lanes error_ = all(std::numeric_limits<float>::infinity());
  LaneMask regular_{-1, -1, -1, -1};
};

// Unused lanes repeat the first problem.
Problem gathered(const std::array<Quadric, kLanes>& quadrics, const std::array<Box, kLanes>& boxes, size_t count) {
  Problem out;
  for (size_t lane = 0; lane < kLanes; ++lane) {
    const size_t from = lane < count ? lane : 0;
    for (size_t k = 0; k < 10; ++k) out.q[k][lane] = quadrics[from].q[k];
    for (size_t a = 0; a < 3; ++a) {
      out.bounds[0][a][lane] = boxes[from].low[a];
      out.bounds[1][a][lane] = boxes[from].high[a];
    }
  }
  return out;
}

PivotedQr<3> factorized(const Problem& problem) {
  std::array<LaneVector<3>, 3> columns;
  for (size_t j = 0; j < 3; ++j) columns[j] = {problem.at(0, j), problem.at(1, j), problem.at(2, j)};
  return PivotedQr<3>(columns);
}

LaneVector<3> free_minimum(const Problem& problem, const PivotedQr<3>& qr) {
  return qr.solve({-problem.at(0, 3), -problem.at(1, 3), -problem.at(2, 3)});
}

mesh::Vec3 lane_of(const LaneVector<3>& points, size_t lane) {
  return {points[0][lane], points[1][lane], points[2][lane]};
}

}  // namespace

void BoxMinimizer::append(Batch& batch, size_t index, const Quadric& quadric, const Box& box) {
  batch.index[batch.count] = index;
  batch.quadrics[batch.count] = quadric;
  batch.boxes[batch.count] = box;
  ++batch.count;
}

void BoxMinimizer::add(size_t index, const Quadric& quadric, const Box& box) {
  append(fresh_, index, quadric, box);
  if (fresh_.count == kLanes) minimize();
}

void BoxMinimizer::finish() {
  if (fresh_.count > 0) minimize();
  if (outside_.count > 0) search();
}

void BoxMinimizer::minimize() {
  const Problem problem = gathered(fresh_.quadrics, fresh_.boxes, fresh_.count);
  const PivotedQr<3> qr = factorized(problem);
  const LaneVector<3> free = free_minimum(problem, qr);
  const LaneMask accepted =
      qr.regular() & problem.within(free[0], 0) & problem.within(free[1], 1) & problem.within(free[2], 2);
  for (size_t lane = 0; lane < fresh_.count; ++lane) {
    if (accepted[lane]) {
      points_[fresh_.index[lane]] = lane_of(free, lane);
    } else if (qr.regular()[lane]) {
      append(outside_, fresh_.index[lane], fresh_.quadrics[lane], fresh_.boxes[lane]);
      if (outside_.count == kLanes) search();
    } else {
      points_[fresh_.index[lane]] = minimize_in_box(fresh_.quadrics[lane], fresh_.boxes[lane]);
    }
  }
  fresh_.count = 0;
}

void BoxMinimizer::search() {
  const Problem problem = gathered(outside_.quadrics, outside_.boxes, outside_.count);
  Search search(problem, free_minimum(problem, factorized(problem)));
  search.run();
  for (size_t lane = 0; lane < outside_.count; ++lane) {
    points_[outside_.index[lane]] = search.regular()[lane]
                                        ? lane_of(search.best(), lane)
                                        : minimize_in_box(outside_.quadrics[lane], outside_.boxes[lane]);
  }
  outside_.count = 0;
}

}  // namespace espalier::ovoxel::internal

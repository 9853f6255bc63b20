#include "coordinator/jobs/job_state.h"

#include <algorithm>
#include <iterator>

namespace espalier::coordinator {
namespace {

template <class State>
struct Move {
  State from, to;
};

constexpr Move<v1::JobState> kJobMoves[] = {
    {v1::JOB_STATE_QUEUED, v1::JOB_STATE_PREPARING},    // the preparation was given to a worker
    {v1::JOB_STATE_QUEUED, v1::JOB_STATE_TRAINING},     // from a prepared dataset: a training was
    {v1::JOB_STATE_QUEUED, v1::JOB_STATE_CANCELLED},    // nothing runs: at once
    {v1::JOB_STATE_PREPARING, v1::JOB_STATE_TRAINING},  // the dataset is there
    {v1::JOB_STATE_PREPARING, v1::JOB_STATE_FAILED},    {v1::JOB_STATE_PREPARING, v1::JOB_STATE_CANCELLING},
    {v1::JOB_STATE_PREPARING, v1::JOB_STATE_CANCELLED},  // cancelled between two attempts
    {v1::JOB_STATE_TRAINING, v1::JOB_STATE_SUCCEEDED},  {v1::JOB_STATE_TRAINING, v1::JOB_STATE_PARTIALLY_SUCCEEDED},
    {v1::JOB_STATE_TRAINING, v1::JOB_STATE_FAILED},     {v1::JOB_STATE_TRAINING, v1::JOB_STATE_CANCELLING},
    {v1::JOB_STATE_TRAINING, v1::JOB_STATE_CANCELLED},  {v1::JOB_STATE_CANCELLING, v1::JOB_STATE_CANCELLED},
};

constexpr Move<v1::StageState> kStageMoves[] = {
    {v1::STAGE_STATE_PENDING, v1::STAGE_STATE_WAITING},
    {v1::STAGE_STATE_PENDING, v1::STAGE_STATE_FAILED},   // the dataset has nothing for it
    {v1::STAGE_STATE_PENDING, v1::STAGE_STATE_SKIPPED},  // the preparation failed
    {v1::STAGE_STATE_PENDING, v1::STAGE_STATE_CANCELLED},
    {v1::STAGE_STATE_WAITING, v1::STAGE_STATE_RUNNING},
    {v1::STAGE_STATE_WAITING, v1::STAGE_STATE_CANCELLED},
    {v1::STAGE_STATE_RUNNING, v1::STAGE_STATE_WAITING},  // another attempt
    {v1::STAGE_STATE_RUNNING, v1::STAGE_STATE_SUCCEEDED},
    {v1::STAGE_STATE_RUNNING, v1::STAGE_STATE_FAILED},
    {v1::STAGE_STATE_RUNNING, v1::STAGE_STATE_CANCELLED},
};

template <class State, size_t N>
bool listed(const Move<State> (&moves)[N], State from, State to) {
  return std::any_of(std::begin(moves), std::end(moves),
                     [&](const Move<State>& move) { return move.from == from && move.to == to; });
}

}  // namespace

bool is_final(v1::JobState state) {
  return state == v1::JOB_STATE_SUCCEEDED || state == v1::JOB_STATE_PARTIALLY_SUCCEEDED ||
         state == v1::JOB_STATE_FAILED || state == v1::JOB_STATE_CANCELLED;
}

bool is_final(v1::StageState state) {
  return state == v1::STAGE_STATE_SUCCEEDED || state == v1::STAGE_STATE_FAILED || state == v1::STAGE_STATE_CANCELLED ||
         state == v1::STAGE_STATE_SKIPPED;
}

bool can_move(v1::JobState from, v1::JobState to) { return listed(kJobMoves, from, to); }
bool can_move(v1::StageState from, v1::StageState to) { return listed(kStageMoves, from, to); }

}  // namespace espalier::coordinator

#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "espalier/v1/common.pb.h"

// Where ranks may go. Pure and not thread-safe.
namespace espalier::coordinator {

// What a task asks of a worker: nothing for a preparation (DENOISER_UNSPECIFIED), else to know the denoiser.
using Denoisers = unsigned;  // a bit per v1::Denoiser
constexpr Denoisers bit(v1::Denoiser denoiser) { return 1u << static_cast<unsigned>(denoiser); }
constexpr bool can_run(Denoisers denoisers, v1::Denoiser wanted) {
  return wanted == v1::DENOISER_UNSPECIFIED || (denoisers & bit(wanted)) != 0;
}

// An attached worker that takes tasks.
struct Seat {
  std::string worker_id;
  std::string host;  // workers with an equal one are on one machine
  Denoisers denoisers = 0;
  int free = 0;   // slots
  int total = 0;  // slots
};

// Sums over seats, so that a question costs a few additions however many workers there are.
class Capacity {
 public:
  void add(const Seat& seat);
  // `slots` more are free (less when negative) at workers with these denoisers.
  void change_free(Denoisers denoisers, int slots) { free_[denoisers % kSets] += slots; }

  int free(v1::Denoiser wanted) const;
  // Free slots that a task wanting `held` could not use.
  int free_beside(v1::Denoiser wanted, v1::Denoiser held) const;
  int total(v1::Denoiser wanted) const;

 private:
  static constexpr unsigned kSets = 16;
  std::array<int, kSets> free_{};  // by set of denoisers
  std::array<int, kSets> total_{};
};

// The seats (not those that could run `beside`) of `ranks` ranks, by rank, as indices into `seats`; a seat may appear
// several times. Empty when they do not all fit. `preferred` is the worker of the attempt before, which has the
// checkpoints on its disk. One rank: the preferred worker, else the one with the most free slots. More: one worker when
// it has the slots, else one host, else as few hosts as a greedy choice finds; the preferred worker first among equals.
std::vector<size_t> place(const std::vector<Seat>& seats, v1::Denoiser wanted, int ranks, const std::string& preferred,
                          std::optional<v1::Denoiser> beside = std::nullopt);

}  // namespace espalier::coordinator

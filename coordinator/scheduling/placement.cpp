#include "coordinator/scheduling/placement.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace espalier::coordinator {
namespace {

bool usable(const Seat& seat, v1::Denoiser wanted, std::optional<v1::Denoiser> beside) {
  return seat.free > 0 && can_run(seat.denoisers, wanted) && !(beside && can_run(seat.denoisers, *beside));
}

std::vector<size_t> place_one(const std::vector<Seat>& seats, v1::Denoiser wanted, const std::string& preferred,
                              std::optional<v1::Denoiser> beside) {
  const Seat* best = nullptr;
  for (const Seat& seat : seats) {
    if (!usable(seat, wanted, beside)) continue;
    if (!best || seat.free > best->free) best = &seat;
    if (seat.worker_id != preferred) continue;
    best = &seat;
    break;
  }
  return best ? std::vector<size_t>{static_cast<size_t>(best - seats.data())} : std::vector<size_t>();
}

// Smaller is better. Whole gangs on one worker or host: the tightest that suffices, so that large holes stay. Else the
// roomiest host, and on it the roomiest worker.
using GangOrder = std::tuple<bool, bool, int, int, std::string, bool, int, size_t>;

GangOrder gang_order(const std::vector<Seat>& seats, size_t index, int ranks, int host_free, bool preferred) {
  const Seat& seat = seats[index];
  const bool worker_suffices = seat.free >= ranks, host_suffices = host_free >= ranks;
  return {!worker_suffices,
          !host_suffices,
          worker_suffices ? (preferred ? 0 : seat.free) : 0,
          host_suffices ? host_free : -host_free,
          seat.host,
          !preferred,
          -seat.free,
          index};
}

}  // namespace

void Capacity::add(const Seat& seat) {
  free_[seat.denoisers % kSets] += std::max(seat.free, 0);
  total_[seat.denoisers % kSets] += seat.total;
}

int Capacity::free(v1::Denoiser wanted) const {
  int sum = 0;
  for (unsigned set = 0; set < kSets; ++set) sum += can_run(set, wanted) ? free_[set] : 0;
  return sum;
}

int Capacity::free_beside(v1::Denoiser wanted, v1::Denoiser held) const {
  int sum = 0;
  for (unsigned set = 0; set < kSets; ++set) sum += can_run(set, wanted) && !can_run(set, held) ? free_[set] : 0;
  return sum;
}

int Capacity::total(v1::Denoiser wanted) const {
  int sum = 0;
  for (unsigned set = 0; set < kSets; ++set) sum += can_run(set, wanted) ? total_[set] : 0;
  return sum;
}

std::vector<size_t> place(const std::vector<Seat>& seats, v1::Denoiser wanted, int ranks, const std::string& preferred,
                          std::optional<v1::Denoiser> beside) {
  if (ranks == 1) return place_one(seats, wanted, preferred, beside);
  std::map<std::string, int> host_free;
  std::vector<size_t> candidates;
  for (size_t i = 0; i < seats.size(); ++i) {
    if (!usable(seats[i], wanted, beside)) continue;
    candidates.push_back(i);
    host_free[seats[i].host] += seats[i].free;
  }
  std::vector<GangOrder> order;
  for (const size_t i : candidates) {
    order.push_back(gang_order(seats, i, ranks, host_free[seats[i].host], seats[i].worker_id == preferred));
  }
  std::sort(order.begin(), order.end());
  std::vector<size_t> chosen;
  for (const GangOrder& next : order) {
    const size_t seat = std::get<size_t>(next);
    for (int i = 0; i < seats[seat].free && static_cast<int>(chosen.size()) < ranks; ++i) chosen.push_back(seat);
  }
  if (static_cast<int>(chosen.size()) < ranks) chosen.clear();
  return chosen;
}

}  // namespace espalier::coordinator

#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

namespace espalier::coordinator {

// Who has had how much: rank-seconds of each tenant, halved every half-life, over its weight. The tenant with the
// lowest score is the one that is served next. Times are microseconds on any clock that does not go back. Pure: neither
// SQL nor a clock of its own. Not thread-safe.
//
//   usage(t) = Σ over rank-seconds at s of 2^(-(t-s)/half_life)
//   score    = (usage + horizon · running ranks) / weight
//
// The horizon counts what runs as if it had run for so long already, so that slots that become free together are shared
// out before any of them has made usage.
class FairShare {
 public:
  FairShare(long long half_life_us, long long horizon_us) : half_life_us_(half_life_us), horizon_us_(horizon_us) {}

  void set_weight(const std::string& tenant, double weight);  // above 0; 1 unless set
  // `ranks` ran from `from_us` to `to_us`; times before the latest settle() count as well.
  void add(const std::string& tenant, int ranks, long long from_us, long long to_us);
  // From `now_us` on, `delta` more (or fewer) ranks of the tenant run.
  void change_running(const std::string& tenant, int delta, long long now_us);
  // Counts what ran until `now_us`. Returns the tenants whose score has changed.
  std::vector<std::string> settle(long long now_us);

  int running(const std::string& tenant) const;
  double usage(const std::string& tenant, long long now_us) const;  // decayed rank-seconds as of the latest settle
  // Comparable between tenants until the next settle().
  double score(const std::string& tenant) const;

 private:
  struct Account {
    double weight = 1;
    double scaled = 0;  // usage · 2^((t - epoch)/half_life): does not change while nothing runs
    int running = 0;
    long long counted_us = 0;  // usage of running ranks is in `scaled` until then
  };
  double growth(long long at_us) const;  // 2^((at - epoch)/half_life)
  void count(Account& account, long long now_us);
  void rebase(long long now_us);

  const long long half_life_us_;
  const long long horizon_us_;
  long long epoch_us_ = 0;
  bool rebased_ = false;  // since the last settle(): every score has changed
  long long now_us_ = 0;
  std::map<std::string, Account> accounts_;
  std::set<std::string> active_;  // with running ranks
};

}  // namespace espalier::coordinator

#include "coordinator/scheduling/fair_share.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace espalier::coordinator {
namespace {

constexpr double kSecondsPerUs = 1e-6;
// Scaled usages are brought back to a new epoch long before 2^1023, the largest double.
constexpr double kRebaseAfterHalfLives = 256;

}  // namespace

double FairShare::growth(long long at_us) const {
  return std::exp2(static_cast<double>(at_us - epoch_us_) / static_cast<double>(half_life_us_));
}

void FairShare::set_weight(const std::string& tenant, double weight) { accounts_[tenant].weight = weight; }

// ∫ ranks · 2^((t - epoch)/H) dt = ranks · H/ln 2 · (growth(to) - growth(from))
void FairShare::add(const std::string& tenant, int ranks, long long from_us, long long to_us) {
  if (epoch_us_ == 0) epoch_us_ = from_us;
  if (to_us <= from_us) return;
  rebase(to_us);
  const double per_rank = static_cast<double>(half_life_us_) * kSecondsPerUs / std::log(2.0);
  accounts_[tenant].scaled += ranks * per_rank * (growth(to_us) - growth(from_us));
}

void FairShare::count(Account& account, long long now_us) {
  const double per_rank = static_cast<double>(half_life_us_) * kSecondsPerUs / std::log(2.0);
  if (now_us > account.counted_us) {
    account.scaled += account.running * per_rank * (growth(now_us) - growth(account.counted_us));
  }
  account.counted_us = std::max(account.counted_us, now_us);
}

void FairShare::change_running(const std::string& tenant, int delta, long long now_us) {
  if (epoch_us_ == 0) epoch_us_ = now_us;
  rebase(now_us);
  Account& account = accounts_[tenant];
  if (account.running == 0) account.counted_us = now_us;
  count(account, now_us);
  account.running += delta;
  if (account.running > 0)
    active_.insert(tenant);
  else
    active_.erase(tenant);
}

// Divides all by one factor, so that their order stays; what is not counted yet will be, in the new measure.
void FairShare::rebase(long long now_us) {
  if (static_cast<double>(now_us - epoch_us_) < kRebaseAfterHalfLives * static_cast<double>(half_life_us_)) return;
  const double factor = growth(now_us);
  for (auto& [tenant, account] : accounts_) account.scaled /= factor;
  epoch_us_ = now_us;
  rebased_ = true;
}

std::vector<std::string> FairShare::settle(long long now_us) {
  if (epoch_us_ == 0) epoch_us_ = now_us;
  now_us_ = std::max(now_us_, now_us);
  rebase(now_us_);
  for (const std::string& tenant : active_) count(accounts_[tenant], now_us_);
  if (!std::exchange(rebased_, false)) return {active_.begin(), active_.end()};
  std::vector<std::string> all;
  for (const auto& [tenant, account] : accounts_) all.push_back(tenant);
  return all;
}

int FairShare::running(const std::string& tenant) const {
  const auto found = accounts_.find(tenant);
  return found == accounts_.end() ? 0 : found->second.running;
}

double FairShare::usage(const std::string& tenant, long long now_us) const {
  const auto found = accounts_.find(tenant);
  return found == accounts_.end() ? 0 : found->second.scaled / growth(now_us);
}

double FairShare::score(const std::string& tenant) const {
  const auto found = accounts_.find(tenant);
  if (found == accounts_.end()) return 0;
  const Account& account = found->second;
  const double ahead = account.running * static_cast<double>(horizon_us_) * kSecondsPerUs * growth(now_us_);
  return (account.scaled + ahead) / account.weight;
}

}  // namespace espalier::coordinator

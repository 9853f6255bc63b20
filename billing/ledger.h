#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "billing/price_list.h"
#include "common/status.h"

// Double-entry bookkeeping of one tenant's credit, without storage: what may be booked and what it does to the
// balances. Amounts are int64 nano-dollars.
namespace espalier::billing {

// The sum of a tenant's accounts is zero: money enters from grants and adjustments (which go below zero) and ends in
// revenue.
enum class Account {
  kAvailable,    // may be spent; below zero only for a post-paid tenant: what it owes
  kHeld,         // reserved for jobs that have not ended
  kRevenue,      // charged
  kGrants,       // minus all credit granted
  kAdjustments,  // minus the sum of all corrections
};
inline constexpr std::array kAccounts = {Account::kAvailable, Account::kHeld, Account::kRevenue, Account::kGrants,
                                         Account::kAdjustments};
const char* to_string(Account account);  // "available", …

enum class TransactionKind { kHold, kCapture, kRelease, kReversal, kGrant, kAdjustment };
const char* to_string(TransactionKind kind);  // "hold", …

struct Posting {
  Account account;
  int64_t amount_nanos;  // added to the account
  bool operator==(const Posting&) const = default;
};

// Moves one amount from an account to another: its postings sum to zero by construction. Its id follows from what it
// is for, so the same thing is never booked twice. Made by the functions below only.
class Transaction {
 public:
  const std::string& id() const { return id_; }
  TransactionKind kind() const { return kind_; }
  const std::string& job_id() const { return job_id_; }      // of a hold, capture or release
  const std::string& line() const { return line_; }          // what part of the job; unique with kind and job
  const std::string& reverses() const { return reverses_; }  // id, of a reversal
  int64_t amount_nanos() const { return amount_nanos_; }     // above zero
  std::array<Posting, 2> postings() const { return {{{from_, -amount_nanos_}, {to_, amount_nanos_}}}; }

 private:
  friend class TransactionMaker;
  Transaction() = default;
  std::string id_, job_id_, line_, reverses_;
  TransactionKind kind_ = TransactionKind::kHold;
  Account from_ = Account::kAvailable, to_ = Account::kHeld;
  int64_t amount_nanos_ = 0;
};

// All makers: INVALID_ARGUMENT when the amount is not above zero (of an adjustment: is zero or the least int64).

// available -> held.
Result<Transaction> hold(const std::string& job_id, const std::string& line, int64_t nanos);
// held -> revenue.
Result<Transaction> capture(const std::string& job_id, const std::string& line, int64_t nanos);
// held -> available.
Result<Transaction> release(const std::string& job_id, const std::string& line, int64_t nanos);
// grants -> available. `request_id` is unique within the tenant.
Result<Transaction> grant(const std::string& tenant_id, const std::string& request_id, int64_t nanos);
// adjustments -> available, or back when `nanos` is below zero.
Result<Transaction> adjustment(const std::string& tenant_id, const std::string& request_id, int64_t nanos);
// Undoes a capture (the money becomes available again: its hold is gone), a grant or an adjustment. There is one
// reversal of a transaction at most, since its id follows from it. FAILED_PRECONDITION: another kind.
Result<Transaction> reversal(const Transaction& original);

// A transaction read back from storage. DATA_LOSS: its postings are not two that sum to zero.
struct StoredTransaction {
  std::string id, job_id, line, reverses;
  TransactionKind kind = TransactionKind::kHold;
  std::vector<Posting> postings;
};
Result<Transaction> restore(const StoredTransaction& stored);

class Balances {
 public:
  int64_t of(Account account) const { return nanos_[static_cast<size_t>(account)]; }
  void set(Account account, int64_t nanos) { nanos_[static_cast<size_t>(account)] = nanos; }
  bool balanced() const;  // the sum is zero
  bool operator==(const Balances&) const = default;

 private:
  std::array<int64_t, kAccounts.size()> nanos_{};
};

// The balances after a transaction. `post_paid`: available may go below zero.
// RESOURCE_EXHAUSTED: more than is available; the message names both amounts. FAILED_PRECONDITION: more than is held or
// was charged. OUT_OF_RANGE: an account would leave int64.
Result<Balances> after(const Balances& before, const Transaction& transaction, bool post_paid);

// What brings the hold of a job from `held` to `wanted` nanos; nothing when they are equal.
Result<std::optional<Transaction>> resized_hold(const std::string& job_id, const std::string& line, int64_t held,
                                                int64_t wanted);

// "preparation" or "training:<denoiser>": names a line in transactions and usage.
std::string line_name(const Line& line);

// What the end of a job books: a capture for every line that costs something, then the release of what is left of
// `held`. FAILED_PRECONDITION: the cost is above what is held.
Result<std::vector<Transaction>> settlement(const std::string& job_id, int64_t held, const std::vector<Line>& cost);

}  // namespace espalier::billing

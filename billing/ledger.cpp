#include "billing/ledger.h"

#include <limits>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "billing/name_uuid.h"

namespace espalier::billing {

// The one place where transactions come into being. An id is made of what the transaction is for (name_uuid.h): booking
// the same thing again gives the same id, and is refused where ids are unique.
class TransactionMaker {
 public:
  static Result<Transaction> job_line(TransactionKind kind, Account from, Account to, const std::string& job_id,
                                      const std::string& line, int64_t nanos) {
    ESP_ASSIGN(Transaction made, move(kind, from, to, nanos));
    made.job_id_ = job_id;
    made.line_ = line;
    made.id_ = name_uuid(job_id, absl::StrCat(to_string(kind), ":", line));
    return made;
  }

  static Result<Transaction> by_operator(TransactionKind kind, Account from, Account to, const std::string& tenant_id,
                                         const std::string& request_id, int64_t nanos) {
    ESP_ASSIGN(Transaction made, move(kind, from, to, nanos));
    made.id_ = name_uuid(tenant_id, absl::StrCat(to_string(kind), ":", request_id));
    return made;
  }

  static Result<Transaction> opposite(const Transaction& original) {
    // Of a capture the money goes back to where it may be spent: its hold is gone.
    const bool refund = original.kind() == TransactionKind::kCapture;
    ESP_ASSIGN(Transaction made, move(TransactionKind::kReversal, original.to_,
                                      refund ? Account::kAvailable : original.from_, original.amount_nanos()));
    made.job_id_ = original.job_id();
    made.line_ = original.line();
    made.reverses_ = original.id();
    made.id_ = name_uuid(original.id(), "reversal");
    return made;
  }

  static Result<Transaction> restored(const StoredTransaction& stored) {
    if (stored.postings.size() != 2 || stored.postings[0].amount_nanos >= 0 ||
        stored.postings[0].amount_nanos == std::numeric_limits<int64_t>::min() ||
        stored.postings[1].amount_nanos != -stored.postings[0].amount_nanos) {
      return absl::DataLossError(absl::StrCat("transaction ", stored.id, ": its postings do not sum to zero"));
    }
    ESP_ASSIGN(Transaction made, move(stored.kind, stored.postings[0].account, stored.postings[1].account,
                                      stored.postings[1].amount_nanos));
    made.id_ = stored.id;
    made.job_id_ = stored.job_id;
    made.line_ = stored.line;
    made.reverses_ = stored.reverses;
    return made;
  }

 private:
  static Result<Transaction> move(TransactionKind kind, Account from, Account to, int64_t nanos) {
    if (nanos <= 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("amount: ", nanos, " nanos of a ", to_string(kind), " is not above zero"));
    }
    Transaction made;
    made.kind_ = kind;
    made.from_ = from;
    made.to_ = to;
    made.amount_nanos_ = nanos;
    return made;
  }
};

namespace {

Status short_of(Account account, const Transaction& transaction, int64_t balance) {
  if (account == Account::kAvailable) {
    return absl::ResourceExhaustedError(absl::StrCat("credit: ", dollars_precise(transaction.amount_nanos()),
                                                     " is needed (", transaction.amount_nanos(), " nanos), ",
                                                     dollars_precise(balance), " is available (", balance, " nanos)"));
  }
  return absl::FailedPreconditionError(absl::StrCat(to_string(transaction.kind()), " of ", transaction.amount_nanos(),
                                                    " nanos: the account ", to_string(account), " has ", balance));
}

bool may_go_below_zero(Account account, bool post_paid) {
  return account == Account::kGrants || account == Account::kAdjustments ||
         (account == Account::kAvailable && post_paid);
}

}  // namespace

const char* to_string(Account account) {
  constexpr const char* kNames[] = {"available", "held", "revenue", "grants", "adjustments"};
  return kNames[static_cast<size_t>(account)];
}

const char* to_string(TransactionKind kind) {
  constexpr const char* kNames[] = {"hold", "capture", "release", "reversal", "grant", "adjustment"};
  return kNames[static_cast<size_t>(kind)];
}

Result<Transaction> hold(const std::string& job_id, const std::string& line, int64_t nanos) {
  return TransactionMaker::job_line(TransactionKind::kHold, Account::kAvailable, Account::kHeld, job_id, line, nanos);
}

Result<Transaction> capture(const std::string& job_id, const std::string& line, int64_t nanos) {
  return TransactionMaker::job_line(TransactionKind::kCapture, Account::kHeld, Account::kRevenue, job_id, line, nanos);
}

Result<Transaction> release(const std::string& job_id, const std::string& line, int64_t nanos) {
  return TransactionMaker::job_line(TransactionKind::kRelease, Account::kHeld, Account::kAvailable, job_id, line,
                                    nanos);
}

Result<Transaction> grant(const std::string& tenant_id, const std::string& request_id, int64_t nanos) {
  return TransactionMaker::by_operator(TransactionKind::kGrant, Account::kGrants, Account::kAvailable, tenant_id,
                                       request_id, nanos);
}

Result<Transaction> adjustment(const std::string& tenant_id, const std::string& request_id, int64_t nanos) {
  if (nanos >= 0 || nanos == std::numeric_limits<int64_t>::min()) {  // the least one has no opposite
    return TransactionMaker::by_operator(TransactionKind::kAdjustment, Account::kAdjustments, Account::kAvailable,
                                         tenant_id, request_id, nanos);
  }
  return TransactionMaker::by_operator(TransactionKind::kAdjustment, Account::kAvailable, Account::kAdjustments,
                                       tenant_id, request_id, -nanos);
}

Result<Transaction> reversal(const Transaction& original) {
  const TransactionKind kind = original.kind();
  if (kind == TransactionKind::kCapture || kind == TransactionKind::kGrant || kind == TransactionKind::kAdjustment) {
    return TransactionMaker::opposite(original);
  }
  return absl::FailedPreconditionError(absl::StrCat("transaction ", original.id(), " is a ", to_string(kind),
                                                    "; only captures, grants and adjustments can be reversed"));
}

Result<Transaction> restore(const StoredTransaction& stored) { return TransactionMaker::restored(stored); }

bool Balances::balanced() const {
  return std::accumulate(nanos_.begin(), nanos_.end(), __int128{0}) == 0;  // five of int64 may leave int64 on the way
}

Result<Balances> after(const Balances& before, const Transaction& transaction, bool post_paid) {
  Balances balances = before;
  for (const Posting& posting : transaction.postings()) {
    int64_t sum = 0;
    if (__builtin_add_overflow(before.of(posting.account), posting.amount_nanos, &sum)) {
      return absl::OutOfRangeError(absl::StrCat(to_string(transaction.kind()), " of ", transaction.amount_nanos(),
                                                " nanos: the account ", to_string(posting.account),
                                                " cannot hold so much"));
    }
    if (posting.amount_nanos < 0 && sum < 0 && !may_go_below_zero(posting.account, post_paid)) {
      return short_of(posting.account, transaction, before.of(posting.account));
    }
    balances.set(posting.account, sum);
  }
  return balances;
}

Result<std::optional<Transaction>> resized_hold(const std::string& job_id, const std::string& line, int64_t held,
                                                int64_t wanted) {
  if (held == wanted) return std::optional<Transaction>();
  ESP_ASSIGN(Transaction change,
             wanted > held ? hold(job_id, line, wanted - held) : release(job_id, line, held - wanted));
  return std::optional(std::move(change));
}

std::string line_name(const Line& line) {
  if (line.kind == Line::Kind::kPreparation) return "preparation";
  return absl::StrCat("training:", std::string(to_string(line.denoiser)));
}

Result<std::vector<Transaction>> settlement(const std::string& job_id, int64_t held, const std::vector<Line>& cost) {
  std::vector<Transaction> booked;
  for (const Line& line : cost) {
    if (line.amount_nanos == 0) continue;
    ESP_ASSIGN(Transaction charge, capture(job_id, line_name(line), line.amount_nanos));
    if (charge.amount_nanos() > held) {
      return absl::FailedPreconditionError(
          absl::StrCat("job ", job_id, ": ", charge.line(), " costs more than is left of the hold, ", held, " nanos"));
    }
    held -= charge.amount_nanos();
    booked.push_back(std::move(charge));
  }
  if (held > 0) {
    ESP_ASSIGN(Transaction rest, release(job_id, "end", held));
    booked.push_back(std::move(rest));
  }
  return booked;
}

}  // namespace espalier::billing

#include "billing/ledger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <map>
#include <random>
#include <set>

#include "billing/name_uuid.h"

namespace espalier::billing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

constexpr int64_t kMost = std::numeric_limits<int64_t>::max();

std::vector<Line> cost_of(std::vector<Denoiser> denoisers, bool reused = false) {
  const Order order{.objects = 20, .reused = reused, .denoisers = std::move(denoisers), .steps = 2000};
  return price(PriceList{}, order)->lines;
}

TEST(NameUuid, IsAVersion8UuidOfSpaceAndName) {
  EXPECT_THAT(name_uuid("job_a", "preparation"),
              MatchesRegex("[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"));
  // printf 'job_a\0preparation' | sha256sum
  EXPECT_EQ(name_uuid("job_a", "preparation").substr(0, 8), "23109549");
  EXPECT_EQ(name_uuid("job_a", "preparation"), name_uuid("job_a", "preparation"));
  EXPECT_NE(name_uuid("job_a", "preparation"), name_uuid("job_b", "preparation"));
  EXPECT_NE(name_uuid("ab", "c"), name_uuid("a", "bc"));
}

TEST(Transaction, MovesOneAmountBetweenTheAccountsOfItsKind) {
  struct Row {
    Result<Transaction> made;
    Account from, to;
  };
  const Row rows[] = {
      {hold("job", "submit", 7), Account::kAvailable, Account::kHeld},
      {capture("job", "preparation", 7), Account::kHeld, Account::kRevenue},
      {release("job", "end", 7), Account::kHeld, Account::kAvailable},
      {grant("ten", "request-1", 7), Account::kGrants, Account::kAvailable},
      {adjustment("ten", "request-1", 7), Account::kAdjustments, Account::kAvailable},
      {adjustment("ten", "request-1", -7), Account::kAvailable, Account::kAdjustments},
      {reversal(*capture("job", "preparation", 7)), Account::kRevenue, Account::kAvailable},
      {reversal(*grant("ten", "request-1", 7)), Account::kAvailable, Account::kGrants},
      {reversal(*adjustment("ten", "request-1", -7)), Account::kAdjustments, Account::kAvailable},
  };
  for (const Row& row : rows) {
    ASSERT_TRUE(row.made.ok()) << row.made.status();
    EXPECT_THAT(row.made->postings(), ElementsAre(Posting{row.from, -7}, Posting{row.to, 7}));
  }
}

TEST(Transaction, RefusesAmountsThatAreNotAboveZero) {
  EXPECT_TRUE(absl::IsInvalidArgument(hold("job", "submit", 0).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(capture("job", "submit", -1).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(grant("ten", "request-1", -5).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(adjustment("ten", "request-1", 0).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(adjustment("ten", "request-1", std::numeric_limits<int64_t>::min()).status()));
}

TEST(Transaction, OnlyChargesAndOperatorsBookingsAreReversed) {
  EXPECT_TRUE(absl::IsFailedPrecondition(reversal(*hold("job", "submit", 7)).status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(reversal(*release("job", "end", 7)).status()));
  const auto refund = reversal(*capture("job", "preparation", 7));
  EXPECT_EQ(refund->reverses(), capture("job", "preparation", 7)->id());
  EXPECT_TRUE(absl::IsFailedPrecondition(reversal(*refund).status()));
}

TEST(Transaction, IsReadBackAsItWasOrRefused) {
  const Transaction made = *capture("job", "training:geometry", 9);
  StoredTransaction stored{made.id(), made.job_id(), made.line(), "", made.kind(), {}};
  for (const Posting& posting : made.postings()) stored.postings.push_back(posting);
  const auto back = restore(stored);
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->postings(), made.postings());
  EXPECT_EQ(back->id(), made.id());
  stored.postings[1].amount_nanos = 8;
  EXPECT_TRUE(absl::IsDataLoss(restore(stored).status()));
  stored.postings.pop_back();
  EXPECT_TRUE(absl::IsDataLoss(restore(stored).status()));
}

TEST(After, RefusesWhatIsNotThere) {
  Balances balances = *after({}, *grant("ten", "request-1", 100), false);
  const Status refused = after(balances, *hold("job", "submit", 101), false).status();
  EXPECT_TRUE(absl::IsResourceExhausted(refused));
  EXPECT_THAT(std::string(refused.message()), HasSubstr("101 nanos"));
  EXPECT_THAT(std::string(refused.message()), HasSubstr("100 nanos"));
  EXPECT_EQ(after(balances, *hold("job", "submit", 101), /*post_paid=*/true)->of(Account::kAvailable), -1);
  EXPECT_TRUE(absl::IsFailedPrecondition(after(balances, *capture("job", "preparation", 1), true).status()));
  EXPECT_TRUE(absl::IsResourceExhausted(after({}, *reversal(*grant("ten", "request-1", 1)), false).status()));
}

TEST(After, RefusesOverflowInsteadOfWrapping) {
  const Balances full = *after({}, *grant("ten", "request-1", kMost), false);
  EXPECT_TRUE(full.balanced());
  EXPECT_TRUE(absl::IsOutOfRange(after(full, *grant("ten", "request-2", 1), false).status()));
  Balances owing;
  owing.set(Account::kAvailable, std::numeric_limits<int64_t>::min());
  EXPECT_TRUE(absl::IsOutOfRange(after(owing, *hold("job", "submit", 1), true).status()));
}

TEST(Settlement, ChargesEveryLineAndReleasesTheRest) {
  const auto booked = settlement("job", 40'000'000'000, cost_of({Denoiser::kGeometry, Denoiser::kTexture}));
  ASSERT_TRUE(booked.ok());
  std::vector<std::pair<std::string, int64_t>> seen;
  for (const Transaction& transaction : *booked) {
    seen.emplace_back(std::string(to_string(transaction.kind())) + " " + transaction.line(),
                      transaction.amount_nanos());
  }
  EXPECT_THAT(seen, ElementsAre(std::pair("capture preparation", 2'004'600'000),
                                std::pair("capture training:geometry", 6'492'000'000),
                                std::pair("capture training:texture", 6'756'000'000),
                                std::pair("release end", 24'747'400'000)));
}

TEST(Settlement, BooksNothingForFreeLinesAndNothingToRelease) {
  const auto reused = settlement("job", 6'492'000'000, cost_of({Denoiser::kGeometry}, /*reused=*/true));
  ASSERT_EQ(reused->size(), 1u);
  EXPECT_EQ((*reused)[0].line(), "training:geometry");
  EXPECT_TRUE(settlement("job", 0, {})->empty());
  EXPECT_TRUE(absl::IsFailedPrecondition(settlement("job", 1, cost_of({Denoiser::kGeometry})).status()));
}

TEST(ResizedHold, HoldsMoreOrReleases) {
  EXPECT_EQ((*resized_hold("job", "prepared", 5, 8))->kind(), TransactionKind::kHold);
  EXPECT_EQ((*resized_hold("job", "prepared", 5, 8))->amount_nanos(), 3);
  EXPECT_EQ((*resized_hold("job", "prepared", 8, 5))->kind(), TransactionKind::kRelease);
  EXPECT_FALSE((*resized_hold("job", "prepared", 5, 5)).has_value());
}

// A tenant's book in memory, driven at random: whatever is tried in whatever order, what is accepted keeps the sum at
// zero, the credit at or above zero, and no line of a job charged twice.
class RandomBook {
 public:
  RandomBook(uint32_t seed, bool post_paid) : random_(seed), post_paid_(post_paid) {}

  void step() {
    const std::string job = "job_" + std::to_string(pick(4));
    const std::string line = "line" + std::to_string(pick(3));
    const std::string request = "request-" + std::to_string(pick(40));
    const int64_t nanos = pick(12) == 0 ? kMost - pick(3) : 1 + pick(1000);
    switch (pick(7)) {
      case 0:
        return try_to(hold(job, line, nanos));
      case 1:
        return try_to(capture(job, line, nanos));
      case 2:
        return try_to(release(job, line, nanos));
      case 3:
        return try_to(grant("ten", request, nanos));
      case 4:
        return try_to(adjustment("ten", request, pick(2) ? nanos : -nanos));
      case 5:
        if (!booked_.empty()) try_to(reversal(booked_[static_cast<size_t>(pick(static_cast<int>(booked_.size())))]));
        return;
      default:
        return finish(job);
    }
  }

  size_t size() const { return booked_.size(); }

  void check() const {
    ASSERT_TRUE(balances_.balanced());
    ASSERT_GE(balances_.of(Account::kHeld), 0);
    ASSERT_GE(balances_.of(Account::kRevenue), 0);
    ASSERT_TRUE(post_paid_ || balances_.of(Account::kAvailable) >= 0);
    for (const auto& [line, times] : captures_) ASSERT_EQ(times, 1) << line;
  }

 private:
  int pick(int below) { return std::uniform_int_distribution<int>(0, below - 1)(random_); }

  void try_to(const Result<Transaction>& made) {
    if (!made.ok() || ids_.contains(made->id())) return;
    const auto next = after(balances_, *made, post_paid_);
    if (!next.ok()) return;
    balances_ = *next;
    ids_.insert(made->id());
    if (made->kind() == TransactionKind::kCapture) ++captures_[made->job_id() + made->line()];
    booked_.push_back(*made);
  }

  void finish(const std::string& job) {
    const auto all = settlement(job, pick(50'000), {{.amount_nanos = pick(40'000)}});
    if (!all.ok()) return;
    for (const Transaction& transaction : *all) try_to(transaction);
  }

  std::mt19937 random_;
  const bool post_paid_;
  Balances balances_;
  std::set<std::string> ids_;
  std::map<std::string, int> captures_;
  std::vector<Transaction> booked_;
};

TEST(Book, KeepsItsInvariantsUnderRandomOperations) {
  size_t booked = 0;
  for (uint32_t seed = 0; seed < 200; ++seed) {
    RandomBook book(seed, /*post_paid=*/seed % 2 == 1);
    for (int i = 0; i < 200; ++i) {
      book.step();
      ASSERT_NO_FATAL_FAILURE(book.check()) << "seed " << seed << " step " << i;
    }
    booked += book.size();
  }
  EXPECT_GT(booked, 4000u);  // that many were accepted, so the checks above saw something
}

}  // namespace
}  // namespace espalier::billing

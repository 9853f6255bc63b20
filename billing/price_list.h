#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "common/denoiser.h"
#include "common/status.h"

// Exact prices. All money is int64 nano-dollars (1e-9 USD); nothing here is floating point.
namespace espalier::billing {

inline constexpr const char* kCancelFree = "free";
inline constexpr const char* kCancelCompletedStages = "completed_stages";

// One version of the price list; frozen into a job at submit.
struct PriceList {
  std::string version = "2026-11";
  int64_t object_nanos = 100'230'000;  // preparation of one object
  int64_t minimum_objects = 10;        // billed per request that is prepared
  int64_t assumed_objects = 100;       // credit is held for so many when a job does not say how many it has
  // One step at rank 32 and resolution 512, by denoiser. Even, so that half (rank 16) is exact.
  std::array<int64_t, 3> step_nanos = {8'337'000, 3'246'000, 3'378'000};
  std::string cancel_policy = kCancelFree;  // what a cancelled job pays

  std::string to_json() const;
  // DATA_LOSS: not written by to_json.
  static Result<PriceList> from_json(const std::string& text);
};

// The defaults overridden by a strict YAML file (configs/pricing.yaml documents the keys).
// INVALID_ARGUMENT with every fault; NOT_FOUND.
Result<PriceList> load_price_list(const std::filesystem::path& file);

// What is priced. Ranges: objects 0..1,000,000; rank 16, 32, 64; resolution 512, 1024; steps 1..1,000,000.
struct Order {
  int64_t objects = 0;              // unique objects successfully prepared (or expected)
  bool reused = false;              // the source was a prepared dataset: preparation is free
  std::vector<Denoiser> denoisers;  // the successful ones (or all, for an estimate), in request order
  int32_t rank = 32;
  int32_t resolution = 512;
  int64_t steps = 0;
};

struct Line {
  enum class Kind { kPreparation, kTraining };
  Kind kind = Kind::kPreparation;
  Denoiser denoiser = Denoiser::kSparseStructure;  // of a training line
  int64_t quantity = 0;                            // objects billed, or steps
  int64_t unit_nanos = 0;
  int64_t multiplier_numerator = 1;  // amount = quantity * unit * numerator / denominator, without remainder
  int64_t multiplier_denominator = 1;
  int64_t amount_nanos = 0;
};

struct Invoice {
  std::string price_version;
  std::vector<Line> lines;  // preparation first (also when it is free), then training in request order
  int64_t total_nanos = 0;
};

// The same function makes estimates and final costs. INVALID_ARGUMENT: a value outside its range.
Result<Invoice> price(const PriceList& prices, const Order& order);

// "$31.93": cents, half up (below zero: the same of the amount, with a minus). For totals.
std::string dollars(int64_t nanos);
// "$31.9266": four decimals, half up. For lines.
std::string dollars_precise(int64_t nanos);
// "31.93", "-0.000000001": up to nine decimals, exactly. INVALID_ARGUMENT: anything else, or outside int64 nanos.
Result<int64_t> parse_dollars(const std::string& text);

}  // namespace espalier::billing

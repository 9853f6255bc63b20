#include "billing/price_list.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/config.h"

namespace espalier::billing {
namespace {

constexpr int64_t kMaxUnitNanos = 100'000'000'000;  // $100; a sum of lines cannot overflow
constexpr int64_t kMaxQuantity = 1'000'000;

Status check(const Order& order) {
  const auto fault = [](const char* field, int64_t value, const char* allowed) {
    return absl::InvalidArgumentError(absl::StrCat(field, ": ", value, " is not ", allowed));
  };
  if (order.objects < 0 || order.objects > kMaxQuantity) return fault("objects", order.objects, "in 0 to 1000000");
  if (order.steps < 1 || order.steps > kMaxQuantity) return fault("steps", order.steps, "in 1 to 1000000");
  if (order.rank != 16 && order.rank != 32 && order.rank != 64) return fault("rank", order.rank, "16, 32 or 64");
  if (order.resolution != 512 && order.resolution != 1024) {
    return fault("resolution", order.resolution, "512 or 1024");
  }
  for (auto at = order.denoisers.begin(); at != order.denoisers.end(); ++at) {
    if (std::find(order.denoisers.begin(), at, *at) == at) continue;
    return absl::InvalidArgumentError(absl::StrCat("denoisers: ", std::string(to_string(*at)), " is named twice"));
  }
  return absl::OkStatus();
}

Result<int64_t> exact_amount(const Line& line) {
  int64_t product = 0;
  if (__builtin_mul_overflow(line.quantity, line.unit_nanos, &product) ||
      __builtin_mul_overflow(product, line.multiplier_numerator, &product)) {
    return absl::InvalidArgumentError("the amount is too large");
  }
  if (product % line.multiplier_denominator != 0) {
    return absl::InvalidArgumentError("the price list gives fractions of a nano-dollar: step prices must be even");
  }
  return product / line.multiplier_denominator;
}

std::string round_to(int64_t nanos, int64_t unit, int decimals) {
  const uint64_t magnitude = nanos < 0 ? -static_cast<uint64_t>(nanos) : static_cast<uint64_t>(nanos);
  const uint64_t units = (magnitude + static_cast<uint64_t>(unit / 2)) / static_cast<uint64_t>(unit);
  const uint64_t per_dollar = 1'000'000'000 / static_cast<uint64_t>(unit);
  return absl::StrFormat("%s$%d.%0*d", nanos < 0 && units > 0 ? "-" : "", units / per_dollar, decimals,
                         units % per_dollar);
}

constexpr const char* kStepKeys[] = {"training.sparse_structure_step_nanos", "training.geometry_step_nanos",
                                     "training.texture_step_nanos"};

}  // namespace

std::string PriceList::to_json() const {
  return nlohmann::json{{"version", version},
                        {"object_nanos", object_nanos},
                        {"minimum_objects", minimum_objects},
                        {"assumed_objects", assumed_objects},
                        {"step_nanos", step_nanos},
                        {"cancel_policy", cancel_policy}}
      .dump();
}

Result<PriceList> PriceList::from_json(const std::string& text) {
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  try {
    PriceList prices;
    prices.version = json.at("version").get<std::string>();
    prices.object_nanos = json.at("object_nanos").get<int64_t>();
    prices.minimum_objects = json.at("minimum_objects").get<int64_t>();
    prices.step_nanos = json.at("step_nanos").get<std::array<int64_t, 3>>();
    prices.assumed_objects = json.value("assumed_objects", prices.assumed_objects);  // not in the oldest lists
    prices.cancel_policy = json.value("cancel_policy", prices.cancel_policy);
    return prices;
  } catch (const nlohmann::json::exception& error) {
    return absl::DataLossError(absl::StrCat("stored price list: ", error.what()));
  }
}

Result<PriceList> load_price_list(const std::filesystem::path& file) {
  PriceList prices;
  ConfigTable table;
  table.text("version", &prices.version, "Name of this version; told with every cost.");
  table.integer("preparation.object_nanos", &prices.object_nanos, 0, kMaxUnitNanos, "One prepared object.");
  table.integer("preparation.minimum_objects", &prices.minimum_objects, 0, kMaxQuantity, "Objects billed at least.");
  table.integer("preparation.assumed_objects", &prices.assumed_objects, 0, kMaxQuantity,
                "Credit is held for so many objects when a job does not say how many it has.");
  for (size_t i = 0; i < prices.step_nanos.size(); ++i) {
    table.integer(kStepKeys[i], &prices.step_nanos[i], 0, kMaxUnitNanos, "One step at rank 32, resolution 512; even.");
  }
  table.choice("cancel_policy", &prices.cancel_policy, {kCancelFree, kCancelCompletedStages},
               "What a cancelled job pays: nothing, or the stages that have succeeded.");
  ESP_TRY(table.load({.file = file}));
  for (size_t i = 0; i < prices.step_nanos.size(); ++i) {
    if (prices.step_nanos[i] % 2 == 0) continue;
    return absl::InvalidArgumentError(absl::StrCat(file.filename().string(), ": ", kStepKeys[i], ": ",
                                                   prices.step_nanos[i],
                                                   " is odd; rank 16 costs half of it, which must be exact"));
  }
  if (prices.version.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(file.filename().string(), ": version: is empty"));
  }
  return prices;
}

// A step's price grows with the rank and the resolution. The list has that of rank 32 at 512, so the multiplier is
// (rank / 32) · (resolution / 512), kept as a fraction: the half of rank 16 has to come out without a remainder.
Result<Invoice> price(const PriceList& prices, const Order& order) {
  ESP_TRY(check(order));
  Invoice invoice;
  invoice.price_version = prices.version;
  const int64_t objects = order.reused ? 0 : std::max(prices.minimum_objects, order.objects);
  invoice.lines.push_back({.kind = Line::Kind::kPreparation, .quantity = objects, .unit_nanos = prices.object_nanos});
  for (const Denoiser denoiser : order.denoisers) {
    invoice.lines.push_back({.kind = Line::Kind::kTraining,
                             .denoiser = denoiser,
                             .quantity = order.steps,
                             .unit_nanos = prices.step_nanos[static_cast<size_t>(denoiser)],
                             .multiplier_numerator = (order.rank / 16) * (order.resolution / 512),
                             .multiplier_denominator = 2});
  }
  for (Line& line : invoice.lines) {
    ESP_ASSIGN(line.amount_nanos, exact_amount(line));
    invoice.total_nanos += line.amount_nanos;
  }
  return invoice;
}

Result<int64_t> parse_dollars(const std::string& text) {
  const bool negative = text.starts_with('-');
  const std::string digits = text.substr(negative ? 1 : 0);
  const size_t point = std::min(digits.find('.'), digits.size());
  const std::string whole = digits.substr(0, point);
  std::string fraction = point < digits.size() ? digits.substr(point + 1) : "";
  const bool only_digits = (whole + fraction).find_first_not_of("0123456789") == std::string::npos;
  const bool complete = !whole.empty() && (point == digits.size() || !fraction.empty());
  int64_t nanos = 0;
  fraction.resize(std::max<size_t>(fraction.size(), 9), '0');
  if (!only_digits || !complete || fraction.size() > 9 || !absl::SimpleAtoi(whole + fraction, &nanos)) {
    return absl::InvalidArgumentError(
        absl::StrCat(text, " is not an amount of dollars such as 12.50 (at most nine decimals)"));
  }
  return negative ? -nanos : nanos;
}

std::string dollars(int64_t nanos) { return round_to(nanos, 10'000'000, 2); }
std::string dollars_precise(int64_t nanos) { return round_to(nanos, 100'000, 4); }

}  // namespace espalier::billing

#include <iostream>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "billing/price_list.h"
#include "cli/app.h"
#include "client/command.h"
#include "common/denoiser.h"

namespace espalier::client {
namespace {

struct EstimateOptions {
  int64_t objects = 0, steps = 1000;
  std::vector<std::string> denoisers = {"sparse_structure"};
  int rank = 32, resolution = 512;
  bool reused = false;
  std::string pricing;
};

std::string name_of(const billing::Line& line) {
  return line.kind == billing::Line::Kind::kPreparation ? "preparation" : std::string(to_string(line.denoiser));
}

nlohmann::json invoice_json(const billing::Invoice& invoice) {
  nlohmann::json lines = nlohmann::json::array();
  for (const auto& line : invoice.lines) {
    lines.push_back({{"item", name_of(line)},
                     {"quantity", line.quantity},
                     {"unit_nanos", line.unit_nanos},
                     {"multiplier_numerator", line.multiplier_numerator},
                     {"multiplier_denominator", line.multiplier_denominator},
                     {"amount_nanos", line.amount_nanos}});
  }
  return {{"total_nanos", invoice.total_nanos}, {"price_version", invoice.price_version}, {"lines", lines}};
}

void print(const billing::Invoice& invoice) {
  for (const auto& line : invoice.lines) {
    const bool preparation = line.kind == billing::Line::Kind::kPreparation;
    std::cout << absl::StrFormat("%-17s %7d %-8s %12s\n", name_of(line), line.quantity,
                                 preparation ? "objects" : "steps", billing::dollars_precise(line.amount_nanos));
  }
  std::cout << absl::StrFormat("%-17s %7s %-8s %12s   (prices %s)\n", "total", "", "",
                               billing::dollars(invoice.total_nanos), invoice.price_version);
}

Status estimate(const Command& command, const EstimateOptions& options) {
  billing::PriceList prices;
  if (!options.pricing.empty()) {
    ESP_ASSIGN(prices, billing::load_price_list(options.pricing));
  }
  billing::Order order;
  order.objects = options.objects;
  order.reused = options.reused;
  order.rank = options.rank;
  order.resolution = options.resolution;
  order.steps = options.steps;
  for (const auto& name : options.denoisers) {
    const auto denoiser = parse_denoiser(name);
    if (!denoiser) {
      return absl::InvalidArgumentError(
          absl::StrCat("--denoisers: ", name, " is unknown (allowed: sparse_structure, geometry, texture)"));
    }
    order.denoisers.push_back(*denoiser);
  }
  ESP_ASSIGN(const auto invoice, billing::price(prices, order));
  command.json ? void(std::cout << invoice_json(invoice).dump() << std::endl) : print(invoice);
  return absl::OkStatus();
}

}  // namespace

void add_estimate(cli::App& app, Command& command) {
  auto& verb = app.verb("estimate", "The exact price of a job; needs no server");
  auto options = std::make_shared<EstimateOptions>();
  verb.option("--objects", options->objects, "Unique objects in the archive, 0..1000000").required();
  verb.option("--denoisers", options->denoisers, "sparse_structure, geometry, texture; comma-separated")
      .separated_by_commas()
      .show_default();
  verb.option("--rank", options->rank, "16, 32 or 64").show_default();
  verb.option("--resolution", options->resolution, "512 or 1024").show_default();
  verb.option("--steps", options->steps, "100..10000").range(100, 10'000).show_default();
  verb.flag("--reused", options->reused, "The source is a prepared dataset");
  verb.option("--pricing", options->pricing, "Price list (default: the built-in one, as configs/pricing.yaml)");
  verb.run([&command, options] {
    command.needs_coordinator = false;
    command.run = [&command, options] { return estimate(command, *options); };
  });
}

}  // namespace espalier::client

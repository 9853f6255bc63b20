#include "coordinator/billing/job_price.h"

#include "coordinator/names.h"

namespace espalier::coordinator {

Result<v1::Cost> job_price(const billing::PriceList& prices, const v1::TrainingSpec& spec,
                           const std::vector<v1::Denoiser>& denoisers, int64_t objects, bool reused) {
  billing::Order order{.objects = objects, .reused = reused, .denoisers = {}};
  order.rank = spec.rank();
  order.resolution = spec.resolution();
  order.steps = spec.steps();
  for (const v1::Denoiser denoiser : denoisers) order.denoisers.push_back(*from_proto(denoiser));
  ESP_ASSIGN(const billing::Invoice invoice, billing::price(prices, order));
  v1::Cost cost;
  cost.set_total_nanos(invoice.total_nanos);
  cost.set_price_version(invoice.price_version);
  for (const billing::Line& line : invoice.lines) *cost.add_lines() = to_proto(line);
  return cost;
}

Result<v1::Cost> job_price(const billing::PriceList& prices, const v1::TrainingSpec& spec, int64_t objects,
                           bool reused) {
  std::vector<v1::Denoiser> denoisers;
  for (const int denoiser : spec.denoisers()) denoisers.push_back(static_cast<v1::Denoiser>(denoiser));
  return job_price(prices, spec, denoisers, objects, reused);
}

v1::Pricing to_proto(const billing::PriceList& prices) {
  v1::Pricing out;
  out.set_version(prices.version);
  out.set_object_nanos(prices.object_nanos);
  out.set_minimum_objects(prices.minimum_objects);
  out.set_assumed_objects(prices.assumed_objects);
  for (const Denoiser denoiser : kDenoisers) {
    v1::StepPrice* step = out.add_steps();
    step->set_denoiser(to_proto(denoiser));
    step->set_nanos(prices.step_nanos[static_cast<size_t>(denoiser)]);
  }
  out.set_cancel_policy(prices.cancel_policy);
  return out;
}

v1::CostLine to_proto(const billing::Line& line) {
  v1::CostLine out;
  const bool training = line.kind == billing::Line::Kind::kTraining;
  out.set_kind(training ? v1::COST_KIND_TRAINING : v1::COST_KIND_PREPARATION);
  if (training) out.set_denoiser(to_proto(line.denoiser));
  out.set_quantity(line.quantity);
  out.set_unit_nanos(line.unit_nanos);
  out.set_multiplier_numerator(line.multiplier_numerator);
  out.set_multiplier_denominator(line.multiplier_denominator);
  out.set_amount_nanos(line.amount_nanos);
  return out;
}

billing::Line from_proto(const v1::CostLine& line) {
  const auto denoiser = from_proto(line.denoiser());
  return {.kind = denoiser ? billing::Line::Kind::kTraining : billing::Line::Kind::kPreparation,
          .denoiser = denoiser.value_or(Denoiser::kSparseStructure),
          .quantity = line.quantity(),
          .unit_nanos = line.unit_nanos(),
          .multiplier_numerator = line.multiplier_numerator(),
          .multiplier_denominator = line.multiplier_denominator(),
          .amount_nanos = line.amount_nanos()};
}

}  // namespace espalier::coordinator

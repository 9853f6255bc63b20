#pragma once

#include <cstdint>
#include <vector>

#include "billing/price_list.h"
#include "common/status.h"
#include "espalier/v1/billing.pb.h"
#include "espalier/v1/jobs.pb.h"

namespace espalier::coordinator {

// The price of training `denoisers` as `spec` says from so many objects. `reused`: nothing is prepared.
// INVALID_ARGUMENT: a value outside its range.
Result<v1::Cost> job_price(const billing::PriceList& prices, const v1::TrainingSpec& spec,
                           const std::vector<v1::Denoiser>& denoisers, int64_t objects, bool reused);
// Of all denoisers of the spec.
Result<v1::Cost> job_price(const billing::PriceList& prices, const v1::TrainingSpec& spec, int64_t objects,
                           bool reused);

v1::Pricing to_proto(const billing::PriceList& prices);
v1::CostLine to_proto(const billing::Line& line);
billing::Line from_proto(const v1::CostLine& line);

}  // namespace espalier::coordinator

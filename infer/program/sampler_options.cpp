#include "infer/program/sampler_options.h"

#include "absl/strings/str_cat.h"
#include "cli/app.h"
#include "infer/request.h"
#include "infer/samplers/limits.h"

namespace espalier::infer {

void add_sampler_options(cli::App& app, const std::string& prefix, const std::string& of, SamplerOverrides& sampler) {
  const auto add = [&](const char* name, auto& value, const std::string& what, const SamplerLimit& limit) {
    app.option(absl::StrCat("--", prefix, name), value,
               absl::StrCat(what, range_text(limit), " (default: the base's)"));
  };
  add("steps", sampler.steps, absl::StrCat("Sampler steps", of, ", "), kStepsLimit);
  add("guidance", sampler.guidance_strength, "Its guidance strength, ", kGuidanceStrengthLimit);
  add("guidance-rescale", sampler.guidance_rescale, "", kGuidanceRescaleLimit);
  add("rescale-t", sampler.rescale_t, "", kRescaleTLimit);
}

}  // namespace espalier::infer

#pragma once

#include <string>

namespace espalier::cli {
class App;
}

namespace espalier::infer {

struct SamplerOverrides;

// --steps, --guidance, --guidance-rescale and --rescale-t of one network's sampler, with the ranges of
// samplers/limits.h.
//   prefix: before their names, e.g. "texture-"
//   of: what the steps are of, in the help, e.g. " of the texture"
void add_sampler_options(cli::App& app, const std::string& prefix, const std::string& of, SamplerOverrides& sampler);

}  // namespace espalier::infer

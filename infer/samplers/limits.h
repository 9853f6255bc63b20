#pragma once

#include <string>
#include <string_view>

// What a caller may set a sampler to. Requests are checked by this table and the command line's help quotes it; a test
// holds the comments of inference.proto, and the client's help, against it.
namespace espalier::infer {

struct SamplerLimit {
  std::string_view field;  // of SamplerOptions in inference.proto
  double low, high;        // both allowed
};

inline constexpr SamplerLimit kStepsLimit{"steps", 1, 50};
// Every dialect of requests fits: hosted services allow 0..10, and their guides advise up to 15.
inline constexpr SamplerLimit kGuidanceStrengthLimit{"guidance_strength", 0, 15};
inline constexpr SamplerLimit kGuidanceRescaleLimit{"guidance_rescale", 0, 1};
inline constexpr SamplerLimit kIntervalStartLimit{"guidance_interval_start", 0, 1};
inline constexpr SamplerLimit kIntervalEndLimit{"guidance_interval_end", 0, 1};
inline constexpr SamplerLimit kRescaleTLimit{"rescale_t", 1, 6};

inline constexpr SamplerLimit kSamplerLimits[] = {kStepsLimit,         kGuidanceStrengthLimit, kGuidanceRescaleLimit,
                                                  kIntervalStartLimit, kIntervalEndLimit,      kRescaleTLimit};

// "1..50"
std::string range_text(const SamplerLimit& limit);

}  // namespace espalier::infer

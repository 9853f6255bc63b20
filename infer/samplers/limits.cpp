#include "infer/samplers/limits.h"

#include "absl/strings/str_cat.h"

namespace espalier::infer {

std::string range_text(const SamplerLimit& limit) { return absl::StrCat(limit.low, "..", limit.high); }

}  // namespace espalier::infer

#pragma once

#include "tests/golden/golden.h"

namespace espalier::golden {

// Sampler cases of kind "pipeline", and of kind "weights": the networks of the former.
Status run_pipeline(const Case&, Report&);
Status run_pipeline_weights(const Case&, Report&);

}  // namespace espalier::golden

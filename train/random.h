#pragma once

#include <cstdint>

#include "common/philox.h"

// The random numbers of training are functions of (seed, purpose, step, slot), never of a generator's state: a run
// gives the same numbers on any number of ranks and after any resume.
namespace espalier::train {

enum class Purpose : uint32_t {
  kOrder = 1,            // permutation of an epoch (step = epoch)
  kView = 2,             // which condition view
  kTime = 3,             // flow time
  kNoise = 4,            // noise of the flow
  kConditionDrop = 5,    // condition dropout
  kAugment = 6,          // augmentation of the sample
  kPosterior = 7,        // sampling of a VAE posterior
  kValidationNoise = 8,  // fixed noise of the validation loss
  kInit = 9,             // initial weights
};

// One sample of one update: slot 0..batch_size-1 of the global batch of `step`, showing data set item `item`.
struct SampleRef {
  int64_t step = 0;
  int64_t slot = 0;
  int64_t item = 0;
};

// The stream of draws of one purpose for (a, b), usually (step, slot).
PhiloxStream random_stream(uint64_t seed, Purpose purpose, int64_t a, int64_t b = 0);

}  // namespace espalier::train

#pragma once

#include <stop_token>
#include <vector>

#include "common/status.h"
#include "dataset/prepared_dataset.h"
#include "preprocess/discovery.h"
#include "preprocess/encoders.h"
#include "preprocess/object_store.h"
#include "preprocess/pipeline.h"
#include "preprocess/prepare_object.h"

namespace espalier::preprocess {

// All assets through prepare_object(), several at once, within the memory budget. Records in the order of the assets,
// also for excluded, duplicate and failed ones. Objects finished in an earlier run are taken from the store.
// `observer` is called by one thread at a time. An error is the run's, never an asset's.
Result<std::vector<dataset::ObjectRecord>> prepare_all(const std::vector<Asset>& assets, const ObjectSettings& settings,
                                                       int threads, const Encoders& encoders, const ObjectStore& store,
                                                       std::stop_token stop, const PreprocessObserver& observer);

}  // namespace espalier::preprocess

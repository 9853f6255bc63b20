#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "common/status.h"
#include "nano/corpus.h"
#include "nano/recipe.h"
#include "train/loop.h"

// What all stages of the recipe share.
namespace espalier::nano {

// The two corpora of a recipe; the held-out objects have a seed of their own.
CorpusConfig train_corpus(const Recipe& recipe);
CorpusConfig held_corpus(const Recipe& recipe);

// Checkpoints go to work/<stage>; the schedule is the caller's to set.
train::LoopConfig loop_config(const Recipe& recipe, const std::string& stage, int64_t steps, int64_t batch);

// Runs the trainer on this machine alone, logging the loss now and then. Items 0 .. items - 1 are shown equally often.
Status run_stage(const std::string& stage, const train::LoopConfig& config,
                 const std::vector<train::Parameter>& parameters, size_t items, const train::LossFunction& loss,
                 train::LoopHooks hooks);

}  // namespace espalier::nano

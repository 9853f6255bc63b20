#include "tests/faults/expectation.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "billing/price_list.h"
#include "tests/faults/simulated_programs.h"

namespace espalier::faults {
namespace {

const PlannedJob& planned(const Plan& plan, size_t job) { return plan.jobs.at(job); }

// The denoisers in a dataset's first line, "dataset RESOLUTION DENOISERS SEED".
bool has_denoiser(const std::string& dataset, v1::Denoiser denoiser) {
  const std::string header = dataset.substr(0, dataset.find('\n'));
  const size_t begin = header.find(' ', header.find(' ') + 1) + 1;
  return header.substr(begin, header.find(' ', begin) - begin).find(absl::StrCat(static_cast<int>(denoiser))) !=
         std::string::npos;
}

}  // namespace

std::string expected_dataset(const Plan& plan, size_t job) {
  const PlannedJob& wanted = planned(plan, job);
  if (wanted.earlier >= 0) return expected_dataset(plan, static_cast<size_t>(wanted.earlier));
  if (wanted.preparation != Fate::kSucceeds) return "";
  v1::PreprocessTask task;
  task.set_resolution(wanted.request.spec().resolution());
  *task.mutable_denoisers() = wanted.request.spec().denoisers();
  task.set_seed(wanted.request.spec().seed());
  return prepare(plan.archives.at(static_cast<size_t>(wanted.archive)), task);
}

v1::StageState expected_stage(const Plan& plan, size_t job, v1::Denoiser denoiser) {
  const std::string dataset = expected_dataset(plan, job);
  if (dataset.empty()) return v1::STAGE_STATE_SKIPPED;
  const bool succeeds = has_denoiser(dataset, denoiser) && planned(plan, job).training.at(denoiser) == Fate::kSucceeds;
  return succeeds ? v1::STAGE_STATE_SUCCEEDED : v1::STAGE_STATE_FAILED;
}

v1::JobState expected_state(const Plan& plan, size_t job) {
  const auto& denoisers = planned(plan, job).request.spec().denoisers();
  int succeeded = 0;
  for (const int denoiser : denoisers) {
    succeeded += expected_stage(plan, job, static_cast<v1::Denoiser>(denoiser)) == v1::STAGE_STATE_SUCCEEDED ? 1 : 0;
  }
  if (succeeded == 0) return v1::JOB_STATE_FAILED;
  return succeeded == denoisers.size() ? v1::JOB_STATE_SUCCEEDED : v1::JOB_STATE_PARTIALLY_SUCCEEDED;
}

std::string expected_adapter(const Plan& plan, size_t job, v1::Denoiser denoiser, const std::string& stamp) {
  const v1::TrainingSpec& spec = planned(plan, job).request.spec();
  v1::TrainTask task;
  task.set_denoiser(denoiser);
  task.set_resolution(spec.resolution());
  task.set_rank(spec.rank());
  task.set_learning_rate(spec.learning_rate());
  task.set_steps(spec.steps());
  task.set_seed(spec.seed());
  Training training(task, expected_dataset(plan, job));
  while (!training.done()) training.advance();
  return training.adapter(stamp);
}

int64_t expected_cost(const Plan& plan, size_t job) {
  if (expected_state(plan, job) == v1::JOB_STATE_FAILED) return 0;
  const v1::TrainingSpec& spec = planned(plan, job).request.spec();
  billing::Order order{.objects = objects_in(expected_dataset(plan, job)),
                       .reused = planned(plan, job).source != PlannedJob::Source::kArchive,
                       .denoisers = {}};
  order.rank = spec.rank();
  order.resolution = spec.resolution();
  order.steps = spec.steps();
  for (const int denoiser : spec.denoisers()) {
    if (expected_stage(plan, job, static_cast<v1::Denoiser>(denoiser)) != v1::STAGE_STATE_SUCCEEDED) continue;
    order.denoisers.push_back(static_cast<Denoiser>(denoiser - 1));
  }
  const auto invoice = billing::price(billing::PriceList(), order);
  EXPECT_TRUE(invoice.ok()) << invoice.status();
  return invoice.ok() ? invoice->total_nanos : -1;
}

}  // namespace espalier::faults

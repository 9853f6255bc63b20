#include "coordinator/jobs/job_validator.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base_description.h"
#include "coordinator/clock.h"
#include "coordinator/names.h"

namespace espalier::coordinator {
namespace {

constexpr double kFarFromAdvice = 5;  // factor
constexpr int kEvaluationView = 8;    // where none is held out; as of espalier-evaluate

// Collects faults of one spec.
class SpecCheck {
 public:
  SpecCheck(const v1::TrainingSpec& spec, const BaseConfig& base, const std::string& prefix)
      : spec_(spec), base_(base), prefix_(prefix) {}

  std::vector<FieldFault> run(bool source_required) {
    check_source(source_required);
    check_denoisers();
    check_numbers();
    check_holdout();
    return std::move(faults_);
  }

 private:
  void fault(const std::string& field, const std::string& what) {
    faults_.push_back({absl::StrCat(prefix_, ".", field), what});
  }

  void check_source(bool required) {
    switch (spec_.source_case()) {
      case v1::TrainingSpec::kArtefactId:
        if (absl::StrContains(spec_.artefact_id(), "://")) {
          fault("artefact_id", "is a URL; URLs are not fetched here: download the file and upload it as an artefact");
        } else if (!is_id(spec_.artefact_id(), "art")) {
          fault("artefact_id", "must be the id of an uploaded artefact (art_…)");
        }
        break;
      case v1::TrainingSpec::kDatasetId:
        if (!is_id(spec_.dataset_id(), "dat")) fault("dataset_id", "must be the id of a prepared dataset (dat_…)");
        break;
      case v1::TrainingSpec::SOURCE_NOT_SET:
        if (required) fault("source", "one of artefact_id and dataset_id must be set");
    }
  }

  void check_denoisers() {
    if (spec_.denoisers_size() < 1 || spec_.denoisers_size() > 3) {
      fault("denoisers", absl::StrCat("names ", spec_.denoisers_size(),
                                      "; must name 1 to 3 of sparse_structure, geometry, texture"));
    }
    std::set<int> seen;
    for (int i = 0; i < spec_.denoisers_size(); ++i) {
      const std::string field = absl::StrCat("denoisers[", i, "]");
      const auto name = denoiser_name(spec_.denoisers(i));
      if (name.empty()) {
        fault(field, absl::StrCat(static_cast<int>(spec_.denoisers(i)),
                                  " is not a denoiser; must be sparse_structure, geometry or texture"));
      } else if (!seen.insert(spec_.denoisers(i)).second) {
        fault(field, absl::StrCat(name, " is named twice; each denoiser may be named once"));
      } else if (std::find(base_.denoisers.begin(), base_.denoisers.end(), name) == base_.denoisers.end()) {
        fault(field, absl::StrCat("the base model ", base_.name, " has no ", name, " to train; it has ",
                                  absl::StrJoin(base_.denoisers, ", ")));
      }
    }
  }

  void check_resolution() {
    const std::string text = absl::StrCat(spec_.resolution());
    if (spec_.resolution() != 512 && spec_.resolution() != 1024) {
      fault("resolution", text + " is not 512 or 1024");
    } else if (std::find(base_.resolutions.begin(), base_.resolutions.end(), text) == base_.resolutions.end()) {
      fault("resolution",
            absl::StrCat(text, ": the base model ", base_.name, " has only ", absl::StrJoin(base_.resolutions, ", ")));
    }
  }

  void check_numbers() {
    check_resolution();
    if (spec_.rank() != 16 && spec_.rank() != 32 && spec_.rank() != 64) {
      fault("rank", absl::StrCat(spec_.rank(), " is not 16, 32 or 64"));
    }
    const double rate = spec_.learning_rate();
    if (!(rate >= 1e-6 && rate <= 1e-2)) fault("learning_rate", absl::StrCat(rate, " is not in 1e-6 to 1e-2"));
    if (spec_.steps() < 100 || spec_.steps() > 10'000) {
      fault("steps", absl::StrCat(spec_.steps(), " is not in 100 to 10000"));
    }
    if (spec_.seed() < 0) fault("seed", absl::StrCat(spec_.seed(), " is negative"));
    if (spec_.batch_size() < 0 || spec_.batch_size() > 64) {
      fault("batch_size", absl::StrCat(spec_.batch_size(), " is not in 1 to 64 (or 0 for the default)"));
    }
    if (spec_.world_size() < 1 || spec_.world_size() > 64) {
      fault("world_size", absl::StrCat(spec_.world_size(), " is not in 1 to 64"));
    }
    const int interval = spec_.checkpoint_interval_steps();
    if (interval != 0 && (interval < 10 || interval > 10'000)) {
      fault("checkpoint_interval_steps", absl::StrCat(interval, " is not in 10 to 10000 (or 0 for the default)"));
    }
  }

  void check_holdout() {
    if (spec_.holdout_views_size() > 8) {
      fault("holdout_views", absl::StrCat("names ", spec_.holdout_views_size(), " views; at most 8 of 16"));
    }
    std::set<int> seen;
    for (int i = 0; i < spec_.holdout_views_size(); ++i) {
      const int view = spec_.holdout_views(i);
      const std::string field = absl::StrCat("holdout_views[", i, "]");
      if (view < 0 || view > 15) fault(field, absl::StrCat(view, " is not in 0 to 15"));
      if (!seen.insert(view).second) fault(field, absl::StrCat(view, " is named twice"));
    }
  }

  const v1::TrainingSpec& spec_;
  const BaseConfig& base_;
  const std::string& prefix_;
  std::vector<FieldFault> faults_;
};

}  // namespace

bool is_request_id(const std::string& text) {
  return text.size() >= 8 && text.size() <= 64 &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isalnum(c) || c == '-' || c == '_'; });
}

v1::TrainingSpec with_defaults(v1::TrainingSpec spec, const BaseConfig& base) {
  if (spec.resolution() == 0) spec.set_resolution(512);
  if (spec.rank() == 0) spec.set_rank(32);
  if (!spec.has_learning_rate()) spec.set_learning_rate(default_learning_rate(base.recommended_learning_rate));
  if (spec.steps() == 0) spec.set_steps(1000);
  if (!spec.has_seed()) spec.set_seed(0);
  if (spec.world_size() == 0) spec.set_world_size(1);
  if (spec.evaluate() && spec.holdout_views().empty()) spec.add_holdout_views(kEvaluationView);
  return spec;
}

std::vector<FieldFault> validate_spec(const v1::TrainingSpec& spec, const BaseConfig& base, const std::string& prefix,
                                      bool source_required) {
  return SpecCheck(spec, base, prefix).run(source_required);
}

std::vector<FieldFault> validate_submit(const v1::SubmitJobRequest& request, const BaseConfig& base) {
  std::vector<FieldFault> faults = validate_spec(request.spec(), base, "spec", /*source_required=*/true);
  if (!is_request_id(request.request_id())) {
    faults.push_back({"request_id", "must be 8 to 64 characters of letters, digits, '-' and '_'"});
  }
  if (!v1::Priority_IsValid(request.priority())) {
    faults.push_back({"priority", absl::StrCat(static_cast<int>(request.priority()), " is not LOW, NORMAL or HIGH")});
  }
  if (request.name().size() > 200) faults.push_back({"name", "is longer than 200 bytes"});
  if (request.expected_objects() < 0 || request.expected_objects() > 1'000'000) {
    faults.push_back({"expected_objects", absl::StrCat(request.expected_objects(), " is not in 0 to 1000000")});
  }
  return faults;
}

std::vector<std::string> spec_warnings(const v1::TrainingSpec& spec, const BaseConfig& base) {
  const double advised = base.recommended_learning_rate;
  const double rate = spec.learning_rate();
  if (advised <= 0 || rate <= 0) return {};
  if (rate <= advised * kFarFromAdvice && rate >= advised / kFarFromAdvice) return {};
  return {absl::StrCat("learning_rate ", rate, " is far from ", advised, ", which is recommended for the base model ",
                       base.name)};
}

}  // namespace espalier::coordinator

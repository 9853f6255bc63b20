#include "client/job_view.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "billing/price_list.h"
#include "cli/board.h"
#include "common/denoiser.h"
#include "common/exit_codes.h"

namespace espalier::client {
namespace {

// JOB_STATE_PARTIALLY_SUCCEEDED -> "partially succeeded"
std::string enum_text(const std::string& name, const std::string& prefix) {
  return absl::StrReplaceAll(absl::AsciiStrToLower(name.substr(prefix.size())), {{"_", " "}});
}

void describe_preparation(const v1::PreparationStatus& status, std::string& text) {
  absl::StrAppend(&text, "  preparation       ", state_text(status.state()));
  if (status.objects_total() > 0) {
    absl::StrAppend(&text, "  ", status.objects_done(), "/", status.objects_total(), " objects, ",
                    status.objects_skipped(), " skipped");
  }
  if (status.reused()) absl::StrAppend(&text, "  (prepared dataset reused)");
  if (!status.dataset_id().empty()) absl::StrAppend(&text, "  ", status.dataset_id());
  if (!status.error().empty()) absl::StrAppend(&text, "  ", status.error());
  absl::StrAppend(&text, "\n");
}

void describe_denoiser(const v1::DenoiserStatus& status, std::string& text) {
  absl::StrAppendFormat(&text, "  %-17s %s  %d/%d steps", denoiser_text(status.denoiser()), state_text(status.state()),
                        status.step(), status.total_steps());
  if (status.step() > 0) absl::StrAppendFormat(&text, "  loss %.4f", status.loss());
  if (status.attempt() > 1) absl::StrAppend(&text, "  attempt ", status.attempt());
  if (status.world_size() > 1) absl::StrAppend(&text, "  ", status.world_size(), " ranks");
  if (status.has_adapter()) absl::StrAppend(&text, "  ", status.adapter().adapter_id());
  if (status.has_evaluating()) absl::StrAppend(&text, "  ", progress_text(status.evaluating()));
  if (!status.error().empty()) absl::StrAppend(&text, "  ", status.error());
  absl::StrAppend(&text, "\n");
  for (const auto& scores : status.evaluation().candidates()) absl::StrAppend(&text, "    ", scores_text(scores), "\n");
}

}  // namespace

std::string progress_text(const v1::EvaluationProgress& progress) {
  if (progress.candidate().empty()) return "evaluating";
  return absl::StrCat("evaluating ", progress.candidate(), " ", progress.done(), "/", progress.total());
}

std::string scores_text(const v1::EvaluationScores& scores) {
  std::string text = absl::StrFormat("%-15s IoU %.3f  F1 %.3f", scores.candidate(), scores.iou(), scores.f1());
  if (scores.has_chamfer()) {
    absl::StrAppendFormat(&text, "  Chamfer %.4f  F-score %.3f  normals %.3f", scores.chamfer(), scores.f_score(),
                          scores.normal_consistency());
  }
  if (scores.has_psnr()) {
    absl::StrAppendFormat(&text, "  PSNR %.2f  common %.2f", scores.psnr(), scores.psnr_common());
  }
  return text;
}

std::string state_text(v1::JobState state) { return enum_text(v1::JobState_Name(state), "JOB_STATE_"); }

std::string state_text(v1::StageState state) { return enum_text(v1::StageState_Name(state), "STAGE_STATE_"); }

std::string priority_text(v1::Priority priority) {
  return priority == v1::PRIORITY_UNSPECIFIED ? "normal" : enum_text(v1::Priority_Name(priority), "PRIORITY_");
}

std::string denoiser_text(v1::Denoiser denoiser) {
  if (denoiser == v1::DENOISER_UNSPECIFIED) return "preparation";
  return absl::AsciiStrToLower(v1::Denoiser_Name(denoiser).substr(sizeof("DENOISER_") - 1));
}

bool is_terminal(v1::JobState state) {
  return state == v1::JOB_STATE_SUCCEEDED || state == v1::JOB_STATE_PARTIALLY_SUCCEEDED ||
         state == v1::JOB_STATE_FAILED || state == v1::JOB_STATE_CANCELLED;
}

std::string local_time(const google::protobuf::Timestamp& time) {
  const std::time_t seconds = time.seconds();
  std::tm parts{};
  ::localtime_r(&seconds, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts);
  return text;
}

std::string money(int64_t nanos) { return billing::dollars(nanos); }

std::string describe(const v1::Job& job) {
  std::string text = absl::StrCat(job.job_id(), "  ", state_text(job.state()));
  if (!job.name().empty()) absl::StrAppend(&text, "  ", job.name());
  if (job.state() == v1::JOB_STATE_QUEUED) {
    absl::StrAppend(&text, "  ", priority_text(job.priority()), " priority, position ", job.queue_position());
  }
  if (!job.waiting_for().empty()) absl::StrAppend(&text, "  (", job.waiting_for(), ")");
  absl::StrAppend(&text, "\n");
  const auto& spec = job.spec();
  absl::StrAppendFormat(&text, "  rank %d, resolution %d, %d steps, learning rate %g\n", spec.rank(), spec.resolution(),
                        spec.steps(), spec.learning_rate());
  describe_preparation(job.preparation(), text);
  for (const auto& denoiser : job.denoisers()) describe_denoiser(denoiser, text);
  for (const auto& warning : job.warnings()) absl::StrAppend(&text, "  warning: ", warning, "\n");
  if (!job.error().empty()) absl::StrAppend(&text, "  error: ", job.error(), "\n");
  const bool ended = is_terminal(job.state());
  absl::StrAppend(&text, "  ", ended ? "cost " : "estimate ",
                  money(ended ? job.cost().total_nanos() : job.estimate().total_nanos()), "\n");
  return text;
}

Status outcome(const v1::Job& job) {
  switch (job.state()) {
    case v1::JOB_STATE_FAILED:
      return absl::AbortedError(absl::StrCat(job.job_id(), " failed: ", job.error()));
    case v1::JOB_STATE_CANCELLED:
      return absl::CancelledError(absl::StrCat(job.job_id(), " was cancelled"));
    case v1::JOB_STATE_PARTIALLY_SUCCEEDED: {
      std::string failed;
      for (const auto& denoiser : job.denoisers()) {
        if (denoiser.state() != v1::STAGE_STATE_FAILED) continue;
        absl::StrAppend(&failed, "\n  ", denoiser_text(denoiser.denoiser()), ": ", denoiser.error());
      }
      return with_exit_code(absl::AbortedError(absl::StrCat(job.job_id(), " succeeded in part; failed:", failed)),
                            kExitPartial);
    }
    default:
      return absl::OkStatus();
  }
}

Status parse_denoisers(const std::vector<std::string>& names, v1::TrainingSpec& spec) {
  for (const auto& name : names) {
    const auto denoiser = parse_denoiser(name);
    if (!denoiser) {
      return absl::InvalidArgumentError(
          absl::StrCat("--denoisers: ", name, " is unknown (allowed: sparse_structure, geometry, texture)"));
    }
    spec.add_denoisers(static_cast<v1::Denoiser>(static_cast<int>(*denoiser) + 1));
  }
  return absl::OkStatus();
}

}  // namespace espalier::client

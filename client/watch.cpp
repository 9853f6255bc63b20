#include "client/watch.h"

#include <grpcpp/grpcpp.h>

#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/app.h"
#include "cli/board.h"
#include "client/call.h"
#include "client/job_view.h"
#include "common/stoppable_wait.h"
#include "espalier/v1/jobs.grpc.pb.h"
#include "rpc/channel.h"
#include "rpc/status.h"

namespace espalier::client {
namespace {

// How long a coordinator may be away before watching gives up.
constexpr std::chrono::minutes kPatience{5};

class EventView {
 public:
  explicit EventView(bool json) : json_(json), board_(json) {}

  void show(const v1::JobEvent& event) {
    if (json_) std::cout << to_json(event) << std::endl;
    switch (event.event_case()) {
      case v1::JobEvent::kStateChanged:
        return state(event.state_changed());
      case v1::JobEvent::kStageChanged:
        return stage(event.stage_changed());
      case v1::JobEvent::kPreparationProgress:
        return preparation(event.preparation_progress());
      case v1::JobEvent::kTrainingProgress:
        return training(event.training_progress());
      case v1::JobEvent::kObjectFailed:
        return object(event.object_failed());
      case v1::JobEvent::kValidation:
        return validation(event.validation());
      case v1::JobEvent::kEvaluationProgress:
        return line(denoiser_text(event.evaluation_progress().denoiser()), progress_text(event.evaluation_progress()));
      case v1::JobEvent::kEvaluationReady:
        return evaluation(event.evaluation_ready());
      default:
        return;
    }
  }

  void connection_lost() { board_.print("the coordinator does not answer; trying again"); }

 private:
  void line(const std::string& key, const std::string& text, bool milestone = false) {
    board_.set(key, absl::StrFormat("%-17s %s", key, text), milestone);
  }

  void state(const v1::StateChanged& changed) {
    line("job", absl::StrCat(state_text(changed.state()), changed.error().empty() ? "" : ": ", changed.error()), true);
  }

  void stage(const v1::StageChanged& changed) {
    std::string text = state_text(changed.state());
    if (changed.attempt() > 1) absl::StrAppend(&text, " (attempt ", changed.attempt(), ")");
    if (changed.resumed_at_step() > 0) absl::StrAppend(&text, ", goes on from step ", changed.resumed_at_step());
    if (!changed.error().empty()) absl::StrAppend(&text, ": ", changed.error());
    line(denoiser_text(changed.denoiser()), text, true);
  }

  void preparation(const v1::PreparationProgress& progress) {
    const double share = progress.total() > 0 ? static_cast<double>(progress.done()) / progress.total() : 0;
    std::string text = absl::StrFormat("%s  %d/%d objects", cli::bar(share), progress.done(), progress.total());
    if (progress.skipped() > 0) absl::StrAppend(&text, ", ", progress.skipped(), " skipped");
    line("preparation", text, progress.done() == progress.total());
  }

  void training(const v1::TrainingProgress& progress) {
    const double share = static_cast<double>(progress.step()) / std::max(1, progress.total_steps());
    line(denoiser_text(progress.denoiser()),
         absl::StrFormat("%s  step %d/%d  loss %.4f  lr %.2g  grad %.3f  %.3f s/step  %s left", cli::bar(share),
                         progress.step(), progress.total_steps(), progress.loss(), progress.learning_rate(),
                         progress.grad_norm(), progress.seconds_per_step(), cli::duration_text(progress.eta_seconds())),
         progress.step() == progress.total_steps());
  }

  void object(const v1::ObjectReport& report) {
    board_.print(absl::StrCat("skipped ", report.path(), ": ", report.code(), ": ", report.message()));
  }

  void validation(const v1::ValidationMeasured& measured) {
    board_.print(absl::StrFormat("%s: validation loss %s training: %.4f", denoiser_text(measured.denoiser()),
                                 measured.before_training() ? "before" : "after", measured.loss()));
  }

  void evaluation(const v1::EvaluationReady& ready) {
    for (const auto& scores : ready.evaluation().candidates()) {
      board_.print(absl::StrCat(denoiser_text(ready.denoiser()), ": ", scores_text(scores)));
    }
  }

  bool json_;
  cli::Board board_;
};

// One connection. OK: the job has ended.
Status follow(const Command& command, const std::string& job_id, int64_t& last_sequence, EventView& view) {
  const auto stub = v1::JobService::NewStub(coordinator_channel(command));
  grpc::ClientContext context;
  const std::stop_callback on_stop(command.stop, [&] { context.TryCancel(); });
  v1::WatchJobRequest request;
  request.set_job_id(job_id);
  request.set_after_sequence(last_sequence);
  const auto reader = stub->WatchJob(&context, request);
  v1::JobEvent event;
  while (reader->Read(&event)) {
    last_sequence = event.sequence();
    view.show(event);
  }
  return from_grpc(reader->Finish());
}

void add_job_argument(cli::App& verb, std::string& job_id) {
  verb.option("job", job_id, "Job id, as printed by submit and jobs").required();
}

}  // namespace

Result<v1::Job> get_job(const Command& command, const std::string& job_id) {
  v1::GetJobRequest request;
  request.set_job_id(job_id);
  ESP_ASSIGN(const auto response, call(command, &v1::JobService::Stub::GetJob, request));
  return response.job();
}

Result<v1::Job> watch_job(const Command& command, const std::string& job_id, int64_t after_sequence) {
  using Clock = std::chrono::steady_clock;
  EventView view(command.json);
  auto last_contact = Clock::now();
  for (bool lost = false;;) {
    const int64_t before = after_sequence;
    const Status status = follow(command, job_id, after_sequence, view);
    if (status.ok()) return get_job(command, job_id);
    if (command.stop.stop_requested()) {
      return absl::CancelledError(absl::StrCat("stopped watching; the job goes on (espalier watch ", job_id, ")"));
    }
    if (!absl::IsUnavailable(status)) return explain(status, command.coordinator);
    if (after_sequence != before) last_contact = Clock::now();
    if (Clock::now() - last_contact > kPatience) return explain(status, command.coordinator);
    if (!std::exchange(lost, true)) view.connection_lost();
    wait_unless_stopped(std::chrono::seconds(1), command.stop);
  }
}

void add_watch(cli::App& app, Command& command) {
  auto& verb = app.verb("watch", "Follow a job until it has ended");
  auto job_id = std::make_shared<std::string>();
  add_job_argument(verb, *job_id);
  verb.run([&command, job_id] {
    command.run = [&command, job_id]() -> Status {
      ESP_ASSIGN(const auto job, watch_job(command, *job_id));
      if (!command.json) std::cout << describe(job);
      return outcome(job);
    };
  });
}

}  // namespace espalier::client

#include "worker/task.h"

#include <algorithm>
#include <csignal>
#include <cstring>
#include <optional>

#include "absl/strings/str_cat.h"
#include "common/events.h"
#include "common/log.h"
#include "process/child.h"
#include "rpc/transfer.h"
#include "worker/event_relay.h"
#include "worker/task_command.h"

namespace espalier::worker {
namespace {

namespace fs = std::filesystem;

v1::TaskFinished failure(bool permanent, std::string code, std::string message) {
  v1::TaskFinished finished;
  auto& report = *finished.mutable_failure();
  report.set_permanent(permanent);
  report.set_code(std::move(code));
  report.set_message(std::move(message));
  return finished;
}

// Of the worker's own part: transfers and disk. Content that is gone or wrong stays so; the rest may get better.
v1::TaskFinished failure(const Status& status) {
  const bool permanent = absl::IsNotFound(status) || absl::IsDataLoss(status) || absl::IsInvalidArgument(status);
  return failure(permanent, absl::StatusCodeToString(status.code()), std::string(status.message()));
}

v1::TaskFinished cancelled() {
  v1::TaskFinished finished;
  finished.mutable_cancelled();
  return finished;
}

// One attempt of one task.
class Attempt {
 public:
  Attempt(const WorkerConfig& config, const v1::AssignTask& task, v1::ArtefactService::StubInterface& artefacts,
          const Report& report, std::stop_token stop)
      : config_(config), task_(task), artefacts_(artefacts), report_(report), stop_(std::move(stop)) {}

  v1::TaskFinished run() {
    folder_ = task_folder(config_, task_);
    std::error_code error;
    fs::create_directories(folder_.checkpoints, error);
    if (error) return failure(absl::UnavailableError(absl::StrCat(folder_.root.string(), ": ", error.message())));
    if (const Status status = fetch_inputs(); !status.ok()) {
      return stop_.stop_requested() ? cancelled() : failure(status);
    }
    const bool train = task_.has_train();
    std::optional<CheckpointUploader> uploader;
    if (train) uploader.emplace(artefacts_, task_.lease(), report_);
    EventRelay relay(task_, report_, train ? &*uploader : nullptr);
    const auto exit = run_program(relay);
    uploader.reset();
    if (!exit.ok()) return failure(exit.status());
    auto finished = conclude(*exit, relay);
    // A finished task needs its folder no more; a failed one goes on from there.
    if (finished.has_trained() || finished.has_preprocessed()) fs::remove_all(folder_.root, error);
    return finished;
  }

 private:
  Status fetch_inputs() {
    const auto& input = task_.has_train() ? task_.train().dataset() : task_.preprocess().source();
    if (!fs::exists(folder_.input)) ESP_TRY(download(input, folder_.input));
    if (!task_.has_train() || !task_.train().has_checkpoint()) return absl::OkStatus();
    // The training program goes on from the newest checkpoint in the folder, ours or the fetched one.
    const auto& checkpoint = task_.train().checkpoint();
    const auto name = fs::path(checkpoint.file_name()).filename();
    if (name.empty() || fs::exists(folder_.checkpoints / name)) return absl::OkStatus();
    return download(checkpoint, folder_.checkpoints / name);
  }

  Status download(const v1::Artefact& artefact, const fs::path& destination) {
    TransferOptions options;
    options.stop = stop_;
    return annotate(download_file(artefacts_, artefact.artefact_id(), destination, options).status(),
                    absl::StrCat("fetching ", artefact.file_name()));
  }

  Result<process::ChildExit> run_program(EventRelay& relay) {
    process::ChildObserver observer;
    observer.on_event = [&](std::string_view line) { relay.on_event(line); };
    observer.on_log = [&](std::string_view line) { relay.on_log(line); };
    observer.on_tick = [&] { relay.flush(); };
    auto exit = process::run_child(task_command(config_, task_, folder_), observer, stop_, config_.stop_grace);
    relay.flush();
    return exit;
  }

  v1::TaskFinished conclude(const process::ChildExit& exit, const EventRelay& relay) {
    if (exit.signal == 0 && exit.code == kExitOk) return store_output(relay);
    if (exit.stopped) return cancelled();  // the last checkpoint holds, also when the child did not end in time
    if (exit.signal != 0) {
      const char* hint = exit.signal == SIGKILL ? " (out of memory?)" : "";
      return failure(
          false, "ABORTED",
          absl::StrCat("the task program was ended by signal ", exit.signal, ", ", ::strsignal(exit.signal), hint));
    }
    const std::string message = !relay.error_message().empty() ? relay.error_message()
                                : !relay.last_log_line().empty()
                                    ? relay.last_log_line()
                                    : absl::StrCat("the task program ended with exit code ", exit.code);
    const std::string code = relay.error_code().empty() ? "UNKNOWN" : relay.error_code();
    return failure(exit.code == kExitInvalid, code, message);
  }

  v1::TaskFinished store_output(const EventRelay& relay) {
    UploadDescription description;
    description.kind = task_.has_train() ? v1::ARTEFACT_KIND_ADAPTER : v1::ARTEFACT_KIND_PREPARED_DATASET;
    description.file_name = task_.has_train() ? absl::StrCat(denoiser_name(task_.train().denoiser()), ".safetensors")
                                              : std::string("dataset.zip");
    description.content_type = task_.has_train() ? "application/octet-stream" : "application/zip";
    description.task = &task_.lease();
    TransferOptions options;
    options.stop = stop_;
    const auto artefact = upload_file(artefacts_, folder_.output, description, options);
    if (!artefact.ok()) {
      return stop_.stop_requested() ? cancelled() : failure(annotate(artefact.status(), "storing the result"));
    }
    v1::TaskFinished finished;
    if (task_.has_train()) {
      *finished.mutable_trained() = relay.validation();
      finished.mutable_trained()->set_artefact_id(artefact->artefact_id());
    } else {
      *finished.mutable_preprocessed() = prepared(relay, artefact->artefact_id());
    }
    return finished;
  }

  v1::PreprocessResult prepared(const EventRelay& relay, const std::string& artefact_id) const {
    const auto& event = relay.result();
    v1::PreprocessResult result;
    result.set_artefact_id(artefact_id);
    result.set_content_id(event.value("dataset_id", std::string()));
    result.set_resolution(task_.preprocess().resolution());
    result.set_objects(event.value("objects", 0));
    result.set_reused(event.value("reused", false));
    const auto ready = event.value("stages", std::vector<std::string>{"sparse_structure"});
    for (const auto denoiser : {v1::DENOISER_SPARSE_STRUCTURE, v1::DENOISER_GEOMETRY, v1::DENOISER_TEXTURE}) {
      if (std::find(ready.begin(), ready.end(), denoiser_name(denoiser)) != ready.end()) result.add_denoisers(denoiser);
    }
    for (const auto& warning : relay.warnings()) result.add_warnings(warning);
    return result;
  }

  const WorkerConfig& config_;
  const v1::AssignTask& task_;
  v1::ArtefactService::StubInterface& artefacts_;
  const Report& report_;
  std::stop_token stop_;
  TaskFolder folder_;
};

// Task ids become folder names.
bool is_safe_id(const std::string& id) {
  return !id.empty() && id.size() <= 100 &&
         id.find_first_not_of("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-") == std::string::npos;
}

}  // namespace

void run_task(const WorkerConfig& config, const v1::AssignTask& task, v1::ArtefactService::StubInterface& artefacts,
              const Report& report, std::stop_token stop) {
  v1::TaskFinished finished;
  try {
    finished = is_safe_id(task.lease().task_id())
                   ? Attempt(config, task, artefacts, report, std::move(stop)).run()
                   : failure(true, "INVALID_ARGUMENT", "the task id is not a plain name");
  } catch (const std::exception& error) {
    finished = failure(false, "INTERNAL", error.what());
  }
  *finished.mutable_lease() = task.lease();
  log_info("task ended", {{"task", task.lease().task_id()},
                          {"attempt", task.lease().attempt()},
                          {"outcome", finished.has_failure()     ? finished.failure().message()
                                      : finished.has_cancelled() ? "cancelled"
                                                                 : "done"}});
  v1::WorkerMessage message;
  *message.mutable_task_finished() = std::move(finished);
  report(std::move(message));
}

}  // namespace espalier::worker

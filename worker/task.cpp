#include "worker/task.h"

#include <algorithm>
#include <csignal>
#include <cstring>
#include <optional>

#include "absl/strings/str_cat.h"
#include "common/events.h"
#include "common/exit_codes.h"
#include "common/log.h"
#include "process/child.h"
#include "rpc/transfer.h"
#include "worker/evaluation.h"
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

v1::TaskFinished member_done() {
  v1::TaskFinished finished;
  finished.mutable_member_done();
  return finished;
}

// Why a task program did not end well, in one line.
std::string complaint(const process::ChildExit& exit, const EventRelay& relay) {
  if (exit.signal != 0) {
    const char* hint = exit.signal == SIGKILL ? " (out of memory?)" : "";
    return absl::StrCat("the task program was ended by signal ", exit.signal, ", ", ::strsignal(exit.signal), hint);
  }
  if (!relay.error_message().empty()) return relay.error_message();
  if (!relay.last_log_line().empty()) return relay.last_log_line();
  return absl::StrCat("the task program ended with exit code ", exit.code);
}

v1::TaskFinished cancelled() {
  v1::TaskFinished finished;
  finished.mutable_cancelled();
  return finished;
}

// One attempt of one task; of a gang's, one member: inputs into the cache -> child process -> its output to the
// coordinator -> the result. Whatever goes wrong becomes a report that says whether another attempt may help
// (failure()), for which the task's folder, with its checkpoints, stays.
class Attempt {
 public:
  Attempt(const TaskResources& resources, const v1::AssignTask& task, const Report& report, const TaskControl& control)
      : resources_(resources),
        task_(task),
        report_(report),
        control_(control),
        folder_(resources.workspace.hold_task_folder(folder_name(task.lease()))),
        files_(task_files(task, folder_.path())) {}

  v1::TaskFinished run() {
    auto finished = attempt();
    // A later attempt goes on from what a failed one left. Members other than 0 leave nothing.
    const bool no_other = !finished.has_failure() || finished.failure().permanent();
    const bool over = control_.over || (no_other && !finished.has_cancelled());
    std::error_code error;
    if (over || task_.lease().member() > 0) fs::remove_all(files_.folder, error);
    return finished;
  }

 private:
  bool leads() const { return task_.lease().member() == 0; }

  v1::TaskFinished attempt() {
    std::error_code error;
    fs::create_directories(files_.pieces, error);
    if (error) return failure(absl::UnavailableError(absl::StrCat(files_.folder.string(), ": ", error.message())));
    if (const Status status = fetch_inputs(); !status.ok()) {
      return control_.stop.stop_requested() ? cancelled() : failure(status);
    }
    std::optional<CheckpointUploader> uploader;
    if (task_.has_train() && leads()) uploader.emplace(resources_.artefacts, task_.lease(), report_);
    EventRelay relay(task_, report_, uploader ? &*uploader : nullptr);
    const auto exit = run_program(task_command(resources_.config, task_, files_, control_.slot), relay);
    uploader.reset();  // the last of its reports must come before the result
    return exit.ok() ? conclude(*exit, relay) : failure(exit.status());
  }

  Status fetch_inputs() {
    for (const auto& input : inputs_of(task_)) {
      inputs_.push_back(resources_.workspace.hold_download(input.sha256()));
      const auto& held = inputs_.back();
      const std::lock_guard lock(held.making());  // tasks with the same input fetch it once
      if (!fs::exists(held.path())) ESP_TRY(download(input, held.path()));
      files_.inputs.push_back(held.path());
    }
    return leads() ? fetch_checkpoint() : absl::OkStatus();  // member 0 tells the others what it has read
  }

  // The training program goes on from the newest checkpoint in the folder, ours or the fetched one.
  Status fetch_checkpoint() {
    if (!task_.has_train() || !task_.train().has_checkpoint()) return absl::OkStatus();
    const auto& checkpoint = task_.train().checkpoint();
    const auto name = fs::path(checkpoint.file_name()).filename();
    if (name.empty() || fs::exists(files_.pieces / name)) return absl::OkStatus();
    return download(checkpoint, files_.pieces / name);
  }

  Status download(const v1::Artefact& artefact, const fs::path& destination) {
    TransferOptions options;
    options.stop = control_.stop;
    options.task = &task_.lease();
    return annotate(download_file(resources_.artefacts, artefact.artefact_id(), destination, options).status(),
                    absl::StrCat("fetching ", artefact.file_name()));
  }

  Result<process::ChildExit> run_program(const process::ChildSpec& program, EventRelay& relay) {
    process::ChildObserver observer;
    observer.on_event = [&](std::string_view line) { relay.on_event(line); };
    observer.on_log = [&](std::string_view line) { relay.on_log(line); };
    observer.on_tick = [&] { relay.flush(); };
    auto exit = process::run_child(program, observer, control_.stop, resources_.config.stop_grace);
    relay.flush();
    return exit;
  }

  v1::TaskFinished conclude(const process::ChildExit& exit, const EventRelay& relay) {
    if (exit.signal == 0 && exit.code == kExitOk) return leads() ? store_output(relay) : member_done();
    // The last checkpoint holds, also when the child did not end in time. Another member's stop stops the whole gang.
    if (exit.stopped || (exit.signal == 0 && exit.code == kExitCancelled)) return cancelled();
    if (exit.signal != 0) return failure(false, "ABORTED", complaint(exit, relay));
    const std::string code = relay.error_code().empty() ? "UNKNOWN" : relay.error_code();
    return failure(exit.code == kExitInvalid, code, complaint(exit, relay));
  }

  UploadDescription output_description() const {
    UploadDescription description;
    description.task = &task_.lease();
    if (task_.has_train()) {
      description.kind = v1::ARTEFACT_KIND_ADAPTER;
      description.file_name = absl::StrCat(denoiser_name(task_.train().denoiser()), ".safetensors");
      return description;
    }
    const bool part = task_.has_preprocess() && task_.preprocess().shards() > 1;
    description.kind = part ? v1::ARTEFACT_KIND_DATASET_PART : v1::ARTEFACT_KIND_PREPARED_DATASET;
    description.file_name = part ? absl::StrCat("part-", task_.preprocess().shard(), ".zip") : "dataset.zip";
    description.content_type = "application/zip";
    return description;
  }

  v1::TaskFinished store_output(const EventRelay& relay) {
    TransferOptions options;
    options.stop = control_.stop;
    const auto artefact = upload_file(resources_.artefacts, files_.output, output_description(), options);
    if (!artefact.ok()) {
      return control_.stop.stop_requested() ? cancelled() : failure(annotate(artefact.status(), "storing the result"));
    }
    v1::TaskFinished finished;
    if (task_.has_train()) {
      store_logs(files_.logs, options);
      auto& result = *finished.mutable_trained();
      result = relay.validation();
      result.set_artefact_id(artefact->artefact_id());
      if (task_.train().has_evaluation_view()) evaluate(result);
    } else {
      *finished.mutable_preprocessed() = prepared(relay, artefact->artefact_id());
    }
    return finished;
  }

  // The training has succeeded: what goes wrong from here on is told with its result.
  void evaluate(v1::TrainResult& result) {
    v1::WorkerMessage message;
    *message.mutable_adapter_stored()->mutable_lease() = task_.lease();
    *message.mutable_adapter_stored()->mutable_result() = result;
    report_(std::move(message));
    auto evaluation = evaluation_of_output();
    if (!evaluation.ok()) return result.set_evaluation_error(std::string(evaluation.status().message()));
    *result.mutable_evaluation() = *std::move(evaluation);
    TransferOptions options;
    options.stop = control_.stop;
    store_logs(files_.evaluation, options);
  }

  Result<v1::Evaluation> evaluation_of_output() {
    EventRelay relay(task_, report_, nullptr);
    ESP_ASSIGN(const auto exit,
               run_program(evaluation_command(resources_.config, task_, files_, control_.slot), relay));
    if (exit.signal == 0 && exit.code == kExitOk) return read_evaluation(files_.evaluation / "evaluation.json");
    return exit.stopped ? absl::CancelledError("it was stopped") : absl::AbortedError(complaint(exit, relay));
  }

  // For people to look at afterwards: the adapter counts without them.
  void store_logs(const fs::path& folder, const TransferOptions& options) {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(folder, error)) {
      UploadDescription description;
      description.kind = v1::ARTEFACT_KIND_LOG;
      description.file_name =
          absl::StrCat(denoiser_name(task_.train().denoiser()), ".", entry.path().filename().string());
      description.task = &task_.lease();
      const auto stored = upload_file(resources_.artefacts, entry.path(), description, options).status();
      if (!stored.ok()) log_warning("log not stored", {{"err", stored.ToString()}});
    }
  }

  v1::PreprocessResult prepared(const EventRelay& relay, const std::string& artefact_id) const {
    const auto& event = relay.result();
    v1::PreprocessResult result;
    result.set_artefact_id(artefact_id);
    result.set_content_id(event.value("dataset_id", std::string()));
    result.set_resolution(task_.has_preprocess() ? task_.preprocess().resolution() : event.value("resolution", 0));
    result.set_objects(event.value("objects", 0));
    result.set_reused(event.value("reused", false));
    const auto ready = event.value("stages", std::vector<std::string>());
    for (const auto denoiser : {v1::DENOISER_SPARSE_STRUCTURE, v1::DENOISER_GEOMETRY, v1::DENOISER_TEXTURE}) {
      if (std::find(ready.begin(), ready.end(), denoiser_name(denoiser)) != ready.end()) result.add_denoisers(denoiser);
    }
    for (const auto& warning : relay.warnings()) result.add_warnings(warning);
    return result;
  }

  const TaskResources& resources_;
  const v1::AssignTask& task_;
  const Report& report_;
  const TaskControl& control_;
  Workspace::Hold folder_;
  std::vector<Workspace::Hold> inputs_;
  TaskFiles files_;
};

// Task ids and digests become names of folders and files.
bool is_safe_name(const std::string& id) {
  return !id.empty() && id.size() <= 100 &&
         id.find_first_not_of("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-") == std::string::npos;
}

Status check(const v1::AssignTask& task) {
  const auto inputs = inputs_of(task);
  const bool safe = is_safe_name(task.lease().task_id()) && !inputs.empty() &&
                    std::all_of(inputs.begin(), inputs.end(), [](const auto& i) { return is_safe_name(i.sha256()); });
  return safe ? absl::OkStatus() : absl::InvalidArgumentError("the task's id or inputs are not plain names");
}

std::string outcome_of(const v1::TaskFinished& finished) {
  if (finished.has_failure()) return finished.failure().message();
  return finished.has_cancelled() ? "cancelled" : "done";
}

}  // namespace

void run_task(const TaskResources& resources, const v1::AssignTask& task, const Report& report,
              const TaskControl& control) {
  const LogScope scope({{"job", task.job_id()},
                        {"tenant", task.tenant_id()},
                        {"task", task.lease().task_id()},
                        {"denoiser", task.has_train() ? denoiser_name(task.train().denoiser()) : std::string()},
                        {"attempt", task.lease().attempt()},
                        {"rank", task.lease().member()}});
  log_info("task begun");
  v1::TaskFinished finished;
  try {
    const Status checked = check(task);
    finished = checked.ok() ? Attempt(resources, task, report, control).run() : failure(checked);
  } catch (const std::exception& error) {
    finished = failure(false, "INTERNAL", error.what());
  }
  resources.workspace.trim();
  *finished.mutable_lease() = task.lease();
  log_info("task ended", {{"state", outcome_of(finished)}});
  v1::WorkerMessage message;
  *message.mutable_task_finished() = std::move(finished);
  report(std::move(message));
}

}  // namespace espalier::worker

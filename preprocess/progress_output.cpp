#include "preprocess/progress_output.h"

#include <cstdio>
#include <nlohmann/json.hpp>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "common/printable.h"

namespace espalier::preprocess {

PreprocessObserver ProgressOutput::observer() {
  PreprocessObserver observer;
  observer.started = [this](int64_t total) { started(total); };
  observer.object = [this](const ObjectEvent& event) { object(event); };
  observer.warning = [this](const std::string& message) { warning(message); };
  return observer;
}

void ProgressOutput::started(int64_t total) {
  events_.write({{"event", "started"}, {"task", task_}, {"total", total}});
  board_.print(absl::StrCat(total, " objects"));
}

void ProgressOutput::object(const ObjectEvent& event) {
  nlohmann::json line = {{"event", "object"},        {"done", event.done}, {"total", event.total},
                         {"skipped", event.skipped}, {"path", event.path}, {"status", event.status}};
  if (!event.code.empty()) line["code"] = event.code, line["message"] = event.message;
  events_.write(line);
  std::string text = absl::StrFormat("[%d/%d] %-9s %s", event.done, event.total, event.status, printable(event.path));
  if (event.status == "ok") {
    absl::StrAppendFormat(&text, "  %.1f s", event.seconds);
    return board_.set("object", text, /*milestone=*/true);
  }
  if (!event.code.empty()) absl::StrAppend(&text, ": ", event.code, ": ", printable(event.message));
  board_.print(text);  // stays to be read
}

void ProgressOutput::warning(const std::string& message) {
  events_.write({{"event", "log"}, {"level", "warning"}, {"message", message}});
  board_.print(absl::StrCat("warning: ", printable(message)));
}

void ProgressOutput::result(const PreprocessResult& result) {
  events_.write({{"event", "result"},
                 {"path", result.path.string()},
                 {"bytes", result.bytes},
                 {"sha256", result.sha256},
                 {"dataset_id", result.dataset_id},
                 {"resolution", result.resolution},
                 {"objects", result.objects},
                 {"failed", result.failed},
                 {"duplicates", result.duplicates},
                 {"stages", result.stages},
                 {"reused", result.reused}});
  if (!for_people_) return;
  std::fprintf(stderr, "%s %lld objects, %lld failed, %lld duplicates: %s (%.1f MB)\n",
               result.reused ? "reused" : "prepared", static_cast<long long>(result.objects),
               static_cast<long long>(result.failed), static_cast<long long>(result.duplicates), result.path.c_str(),
               static_cast<double>(result.bytes) / 1e6);
}

void ProgressOutput::error(const Status& status) {
  const std::string message(status.message());
  events_.write({{"event", "error"}, {"code", absl::StatusCodeToString(status.code())}, {"message", message}});
  if (!for_people_) return;
  const std::vector<std::string> lines = absl::StrSplit(message, '\n');
  for (const std::string& line : lines) std::fprintf(stderr, "espalier-preprocess: %s\n", printable(line).c_str());
}

}  // namespace espalier::preprocess

#include "train/progress.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace espalier::train {
namespace {

using nlohmann::json;

// A log of a training without a terminal has about so many lines of steps.
constexpr int64_t kLinesOfSteps = 10;

}  // namespace

ProgressOutput::ProgressOutput(int fd, std::FILE* terminal)
    : events_(fd), terminal_(terminal), people_(fd < 0), board_(/*silent=*/!people_, terminal) {}

void ProgressOutput::write(const json& event) {
  events_.write(event);
  if (people_) show(event);
}

void ProgressOutput::write_error(const Status& status) {
  events_.write({{"event", "error"},
                 {"code", absl::StatusCodeToString(status.code())},
                 {"message", std::string(status.message())}});
  std::fprintf(terminal_, "espalier-train: %s\n", std::string(status.message()).c_str());
  std::fflush(terminal_);
}

void ProgressOutput::show_step(const json& event) {
  const int64_t step = event.at("step"), total = event.at("total");
  const double share = static_cast<double>(step) / static_cast<double>(std::max<int64_t>(total, 1));
  board_.set("step",
             absl::StrFormat("%s  step %d/%d  loss %.4f  %.2f s/step  %s left", cli::bar(share), step, total,
                             event.at("loss").get<double>(), event.at("seconds_per_step").get<double>(),
                             cli::duration_text(event.at("eta_seconds"))),
             step == total || step % std::max<int64_t>(total / kLinesOfSteps, 1) == 0);
}

void ProgressOutput::show(const json& event) {
  const auto& kind = event.at("event");
  if (kind == "step") return show_step(event);
  if (kind == "started" && event.at("resumed_at") > 0) {
    board_.print(absl::StrCat("resuming after step ", event.at("resumed_at").get<int64_t>()));
  } else if (kind == "validation") {
    board_.print(absl::StrFormat("validation loss %s: %.4f", event.at("when").get<std::string>(),
                                 event.at("loss").get<double>()));
  } else if (kind == "log") {
    board_.print(absl::StrCat(event.at("level").get<std::string>(), ": ", event.at("message").get<std::string>()));
  } else if (kind == "result") {
    board_.print(absl::StrCat("adapter written to ", event.at("path").get<std::string>(), " (",
                              event.at("bytes").get<int64_t>(), " bytes)"));
  }
}

}  // namespace espalier::train

#include "train/progress.h"

#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace espalier::train {
namespace {

using nlohmann::json;

std::string duration(double seconds) {
  const auto s = static_cast<int64_t>(seconds + 0.5);
  if (s >= 3600) return absl::StrFormat("%dh%02dm", s / 3600, s / 60 % 60);
  if (s >= 60) return absl::StrFormat("%dm%02ds", s / 60, s % 60);
  return absl::StrCat(s, "s");
}

}  // namespace

ProgressOutput::ProgressOutput(int fd, std::FILE* terminal)
    : events_(fd), terminal_(terminal), people_(fd < 0), bar_(people_ && isatty(fileno(terminal)) != 0) {}

void ProgressOutput::write(const json& event) {
  events_.write(event);
  if (people_) show(event);
}

void ProgressOutput::write_error(const Status& status) {
  events_.write({{"event", "error"},
                 {"code", absl::StatusCodeToString(status.code())},
                 {"message", std::string(status.message())}});
  line(absl::StrCat("espalier-train: ", status.message()));
}

void ProgressOutput::line(const std::string& text) {
  if (bar_open_) std::fputc('\n', terminal_);
  bar_open_ = false;
  std::fprintf(terminal_, "%s\n", text.c_str());
  std::fflush(terminal_);
}

void ProgressOutput::show_step(const json& event) {
  const int64_t step = event.at("step"), total = event.at("total");
  const auto text =
      absl::StrFormat("step %d/%d  loss %.4f  %.2f s/step  %s left", step, total, event.at("loss").get<double>(),
                      event.at("seconds_per_step").get<double>(), duration(event.at("eta_seconds")));
  if (!bar_) {
    if (step % std::max<int64_t>(total / 10, 1) == 0) line(text);
    return;
  }
  constexpr int64_t kWidth = 30;
  const auto filled = static_cast<size_t>(kWidth * step / total);
  const auto bar = std::string(filled, '=') + std::string(kWidth - filled, ' ');
  std::fprintf(terminal_, "\r\033[K[%s] %s", bar.c_str(), text.c_str());
  std::fflush(terminal_);
  bar_open_ = true;
}

void ProgressOutput::show(const json& event) {
  const auto& kind = event.at("event");
  if (kind == "step") return show_step(event);
  if (kind == "started" && event.at("resumed_at") > 0) {
    line(absl::StrCat("resuming after step ", event.at("resumed_at").get<int64_t>()));
  } else if (kind == "validation") {
    line(absl::StrFormat("validation loss %s: %.4f", event.at("when").get<std::string>(),
                         event.at("loss").get<double>()));
  } else if (kind == "log") {
    line(absl::StrCat(event.at("level").get<std::string>(), ": ", event.at("message").get<std::string>()));
  } else if (kind == "result") {
    line(absl::StrCat("adapter written to ", event.at("path").get<std::string>(), " (",
                      event.at("bytes").get<int64_t>(), " bytes)"));
  }
}

}  // namespace espalier::train

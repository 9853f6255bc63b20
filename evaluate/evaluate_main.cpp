// espalier-evaluate: judges a base and adapters by the objects of a prepared dataset.
#include <algorithm>
#include <functional>
#include <iostream>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/app.h"
#include "cli/board.h"
#include "common/events.h"
#include "common/exit_codes.h"
#include "common/files.h"
#include "common/heap.h"
#include "common/installation.h"
#include "common/stop_signals.h"
#include "evaluate/evaluation.h"
#include "evaluate/report.h"
#include "image/codec.h"
#include "nn/threads.h"

namespace {

using espalier::Status;
namespace fs = std::filesystem;

struct Options {
  espalier::evaluate::EvaluationConfig config;
  fs::path output;
  bool json = false;
  int progress_fd = -1;
};

void add_options(espalier::cli::App& app, Options& options) {
  auto& config = options.config;
  config.base = espalier::kDefaultBase;
  app.option("--dataset", config.dataset, "Prepared dataset, zip or folder").required();
  app.option("--base", config.base, "Folder of the base model").show_default();
  app.option("--device", config.device, "cpu, cuda, or auto: cuda where there is one").show_default();
  app.option("--adapter,--adapters", config.adapters, "Adapters to judge together; may be repeated");
  app.flag("--each", config.each, "Judge each adapter by itself, too");
  app.option("--scale", config.scale, "Of the adapters, 0..2").show_default();
  app.option("--view", config.view, "Condition view to generate from: one the adapters were not trained on")
      .show_default();
  app.option("--seeds", config.seeds, "Noise seeds to average over, 1..100").show_default();
  app.option("--max-objects", config.max_objects, "Judge no more than so many objects, the first ones (default: all)");
  app.option("--picture-size", config.picture_size, "Pixels per side of the contact sheet's pictures, 16..1024")
      .show_default();
  app.option("-o,--output", options.output, "Folder for evaluation.json and contact_sheet.png");
  app.flag("--json", options.json, "Print the scores as JSON instead of a table");
  app.option("--progress-fd", options.progress_fd, "Write progress as JSON lines there (docs/formats/events.md)");
}

Status write_report(const espalier::evaluate::EvaluationReport& report, const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return absl::InvalidArgumentError(absl::StrCat("--output: ", folder.string(), ": ", error.message()));
  ESP_TRY(espalier::write_file_atomic(folder / "evaluation.json", espalier::evaluate::to_json(report)));
  if (report.objects.front().picture.pixels.empty()) return absl::OkStatus();  // a base without shapes
  ESP_ASSIGN(const auto sheet, espalier::evaluate::contact_sheet(report));
  ESP_ASSIGN(const std::string png, espalier::image::encode_png(sheet));
  return espalier::write_file_atomic(folder / "contact_sheet.png", png);
}

// Every object is worth a line: each takes seconds.
std::function<void(const std::string&, int, int)> shown_on(espalier::cli::Board& board) {
  return [&board](const std::string& candidate, int done, int objects) {
    const double share = static_cast<double>(done) / std::max(objects, 1);
    board.set(candidate,
              absl::StrFormat("%-17s %s  %d of %d objects", candidate, espalier::cli::bar(share), done, objects),
              /*milestone=*/true);
  };
}

Status run(Options options, const espalier::EventWriter& events) {
  if (options.output.empty()) options.config.picture_size = 0;
  options.config.base = espalier::find_base(options.config.base);
  espalier::cli::Board board;
  options.config.progress = shown_on(board);
  if (options.progress_fd >= 0) {
    options.config.progress = [&](const std::string& candidate, int done, int objects) {
      events.write({{"event", "evaluation"}, {"candidate", candidate}, {"done", done}, {"total", objects}});
    };
  }
  ESP_ASSIGN(const auto report, espalier::evaluate::evaluate(options.config));
  std::cout << (options.json ? espalier::evaluate::to_json(report) : espalier::evaluate::to_table(report));
  return options.output.empty() ? absl::OkStatus() : write_report(report, options.output);
}

}  // namespace

int main(int argc, char** argv) {
  espalier::keep_freed_memory();
  espalier::nn::use_available_cores();
  const espalier::StopSignals signals;  // before any thread
  espalier::cli::App app("espalier-evaluate", "Judges a base model and adapters by the objects of a prepared dataset.");
  Options options;
  options.config.stop = signals.token();
  add_options(app, options);
  if (const auto done = app.parse(argc, argv)) return *done;
  const espalier::EventWriter events(options.progress_fd);
  const Status status = run(std::move(options), events);
  if (status.ok()) return espalier::kExitOk;
  const std::string code = absl::StatusCodeToString(status.code()), message(status.message());
  events.write({{"event", "error"}, {"code", code}, {"message", message}});
  std::cerr << "espalier-evaluate: " << message << "\n";
  return espalier::exit_code(status);
}

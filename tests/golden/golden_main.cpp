// golden PATH...: replays every golden case found in the given folders and reports the worst error of each.
#include <algorithm>
#include <fstream>
#include <iostream>
#include <map>
#include <set>

#include "tests/golden/golden.h"

namespace espalier::golden {
namespace {

namespace fs = std::filesystem;

// Cases whose own folder name does not start with one of these prefixes are recognised by their parent's (models).
const std::map<std::string, Runner>& runners() {
  static const std::map<std::string, Runner> table = {
      {"models", run_models_case},         {"sampler_", run_sampler_case}, {"imgprep_", run_imgprep_case},
      {"train_", run_train_case},          {"render_", run_render_case},   {"ovoxel_fdg_", run_dual_grid_case},
      {"ovoxel_import_", run_import_case}, {"ovoxel_io", run_vxz_case},    {"ovoxel_pbr_", run_pbr_voxels_case},
      {"ovoxel_remesh", run_remesh_case},
  };
  return table;
}

nlohmann::json load_json(const fs::path& path) {
  std::ifstream file(path);
  return file ? nlohmann::json::parse(file) : nlohmann::json();
}

struct Found {
  Case test_case;
  Runner runner;
};

// Fills `found` when `folder` is a case folder.
bool recognise(const fs::path& folder, std::vector<Found>& found) {
  const std::string name = folder.filename().string();
  if (fs::exists(folder / "config.json") && fs::exists(folder.parent_path() / "index.json")) {
    Case test_case{folder, name, load_json(folder / "config.json"), {}};
    const nlohmann::json index = load_json(folder.parent_path() / "index.json");
    for (const auto& entry : index.at("cases")) {
      if (entry["case"] == name) test_case.index = entry;
    }
    found.push_back({test_case, run_models_case});
    return true;
  }
  for (const auto& [prefix, runner] : runners()) {
    if (prefix == "models" || !name.starts_with(prefix)) continue;
    for (const char* file : {"case.json", "params.json", "scene.json"}) {
      if (!fs::exists(folder / file)) continue;
      found.push_back({{folder, name, load_json(folder / file), {}}, runner});
      return true;
    }
  }
  return false;
}

void collect(const fs::path& path, std::vector<Found>& found) {
  if (!fs::is_directory(path) || recognise(path, found)) return;
  std::set<fs::path> children;
  for (const auto& entry : fs::directory_iterator(path)) children.insert(entry.path());
  for (const auto& child : children) collect(child, found);
}

struct Totals {
  int passed = 0, failed = 0, unsupported = 0;
};

void run(const Found& found, Totals& totals) {
  Report report;
  Status status = absl::UnimplementedError("this kind of case is not built yet");
  try {
    if (found.runner != nullptr) status = found.runner(found.test_case, report);
  } catch (const std::exception& error) {
    status = absl::InternalError(error.what());
  }
  const bool unsupported = absl::IsUnimplemented(status);
  const bool passed = status.ok() && report.passed();
  ++(unsupported ? totals.unsupported : passed ? totals.passed : totals.failed);
  std::cout << (unsupported ? "UNSUPPORTED "
                : passed    ? "PASS "
                            : "FAIL ")
            << found.test_case.folder.filename().string() << "  "
            << (status.ok() ? report.summary() : std::string(status.message())) << std::endl;
}

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "usage: golden PATH...   (case folders, or any folder above them)\n";
    return 2;
  }
  std::vector<Found> found;
  for (int i = 1; i < argc; ++i) {
    if (!fs::is_directory(argv[i])) {
      std::cerr << "golden: " << argv[i] << " is not a folder\n";
      return 2;
    }
    collect(fs::canonical(argv[i]), found);
  }
  Totals totals;
  for (const auto& entry : found) run(entry, totals);
  std::cout << totals.passed << " passed, " << totals.failed << " failed, " << totals.unsupported << " unsupported\n";
  return totals.failed == 0 && !found.empty() ? 0 : 1;
}

}  // namespace
}  // namespace espalier::golden

int main(int argc, char** argv) { return espalier::golden::main(argc, argv); }

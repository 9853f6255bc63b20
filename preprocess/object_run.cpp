#include "preprocess/object_run.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <system_error>
#include <thread>

#include "absl/strings/str_cat.h"
#include "ovoxel/grid.h"
#include "preprocess/memory_budget.h"

namespace espalier::preprocess {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kShownWarnings = 5;  // per object

constexpr uint64_t kVoxelsPerSquare = 8;          // a surface's voxels, in squares of the grid's side
constexpr uint64_t kDualGridBytes = 2 * 25 + 16;  // per voxel: its slabs and the whole, then packed
constexpr uint64_t kMaterialBytes = 2 * 18;       // per voxel: its slabs and the whole

uint64_t squared(int side) { return static_cast<uint64_t>(side) * static_cast<uint64_t>(side); }

// Rough peak of one object: the scene in several forms, the voxels, the encoders' activations, the views.
uint64_t estimated_bytes(const ObjectSettings& settings, const Encoders& encoders, const Asset& asset) {
  std::error_code error;
  const auto file = std::filesystem::file_size(settings.root / asset.path, error);
  const auto cells = static_cast<uint64_t>(settings.ss_resolution);
  uint64_t voxel = 0;  // of the shape or, when that is done, of the texture
  if (encoders.shape != nullptr) voxel = kDualGridBytes + encoders.shape->bytes_per_voxel();
  if (encoders.texture != nullptr) voxel = std::max(voxel, kMaterialBytes + encoders.texture->bytes_per_voxel());
  return (error ? 0 : file * 16) + squared(settings.voxel_resolution) * kVoxelsPerSquare * sizeof(ovoxel::Voxel) +
         cells * cells * cells * 4 * 256 + squared(settings.shape_resolution) * kVoxelsPerSquare * voxel +
         squared(settings.render_size) * 4 * static_cast<uint64_t>(settings.views);
}

// What the manifest and the path say of an object, which may change between runs.
void describe(const Asset& asset, dataset::ObjectRecord& record) {
  record.sha256 = asset.sha256;
  record.path = asset.path;
  record.bundle_sha256 = asset.bundle_sha256;
  record.name = asset.name;
  record.split = asset.split;
  record.repeat = asset.repeat;
  record.aesthetic_score = asset.aesthetic_score;
  record.extra = asset.extra;
}

// Threads take the next asset until none is left. Each holds its share of the memory budget while it prepares one, so a
// large object runs beside fewer others. The first fault that is the run's own stops all.
class Run {
 public:
  Run(const std::vector<Asset>& assets, const ObjectSettings& settings, const Encoders& encoders,
      const ObjectStore& store, std::stop_token stop, const PreprocessObserver& observer)
      : assets_(assets),
        settings_(settings),
        encoders_(encoders),
        store_(store),
        outer_stop_(std::move(stop)),
        observer_(observer),
        records_(assets.size()),
        budget_(MemoryBudget::of_this_machine()) {}

  Result<std::vector<dataset::ObjectRecord>> run(int threads) {
    const std::stop_callback forward(outer_stop_, [this] { stop_.request_stop(); });
    std::vector<std::jthread> pool;
    for (int i = 0; i < threads; ++i) pool.emplace_back([this] { work(); });
    pool.clear();
    if (!fault_.ok()) return fault_;
    if (outer_stop_.stop_requested()) return absl::CancelledError("stopped; finished objects are kept");
    return std::move(records_);
  }

 private:
  void work() {
    const NumericThreads numerics(1);
    for (size_t i = next_++; i < assets_.size() && !stop_.stop_requested(); i = next_++) handle(i);
  }

  void handle(size_t i) {
    const auto start = Clock::now();
    const Asset& asset = assets_[i];
    dataset::ObjectRecord record;
    std::vector<std::string> warnings;
    if (asset.excluded || !asset.duplicate_of.empty()) {
      record.status = asset.excluded ? "excluded" : "duplicate";
      record.duplicate_of = asset.duplicate_of;
    } else if (auto finished = store_.find(asset)) {
      record = *std::move(finished);
    } else if (!prepare(asset, record, warnings)) {
      return;
    }
    describe(asset, record);
    report(i, std::move(record), warnings, std::chrono::duration<double>(Clock::now() - start).count());
  }

  // False when the run is over.
  bool prepare(const Asset& asset, dataset::ObjectRecord& record, std::vector<std::string>& warnings) {
    const MemoryBudget::Share share(budget_, estimated_bytes(settings_, encoders_, asset));
    if (stop_.stop_requested()) return false;
    std::string stage;
    auto result = prepare_object(asset, settings_, encoders_, store_, stop_.get_token(), stage, warnings);
    if (result.ok()) {
      record = *std::move(result);
      return true;
    }
    if (asset_error_code(result.status()).empty()) {
      end(result.status());
      return false;
    }
    record.status = "failed";
    record.stages = {{"sparse_structure", "failed"}};
    record.error = asset_error(result.status(), stage);
    return true;
  }

  void end(const Status& status) {
    const std::lock_guard lock(mutex_);
    if (fault_.ok() && !stop_.stop_requested()) fault_ = status;
    stop_.request_stop();
  }

  void report(size_t i, dataset::ObjectRecord record, const std::vector<std::string>& warnings, double seconds) {
    const std::lock_guard lock(mutex_);
    ObjectEvent event;
    event.done = ++done_;
    event.total = static_cast<int64_t>(assets_.size());
    event.skipped = skipped_ += dataset::is_prepared(record) ? 0 : 1;
    event.path = record.path;
    event.status = record.status;
    event.seconds = seconds;
    if (record.error) event.code = record.error->code, event.message = record.error->message;
    for (size_t k = 0; k < std::min(warnings.size(), kShownWarnings) && observer_.warning; ++k)
      observer_.warning(absl::StrCat(record.path, ": ", warnings[k]));
    records_[i] = std::move(record);
    if (observer_.object) observer_.object(event);
  }

  const std::vector<Asset>& assets_;
  const ObjectSettings& settings_;
  const Encoders& encoders_;
  const ObjectStore& store_;
  const std::stop_token outer_stop_;
  const PreprocessObserver& observer_;
  std::stop_source stop_;  // of this run: requested from outside, or after a fault
  std::atomic<size_t> next_ = 0;

  std::mutex mutex_;  // guards the members below and calls of the observer
  std::vector<dataset::ObjectRecord> records_;
  int64_t done_ = 0, skipped_ = 0;
  Status fault_;

  MemoryBudget budget_;
};

}  // namespace

Result<std::vector<dataset::ObjectRecord>> prepare_all(const std::vector<Asset>& assets, const ObjectSettings& settings,
                                                       int threads, const Encoders& encoders, const ObjectStore& store,
                                                       std::stop_token stop, const PreprocessObserver& observer) {
  return Run(assets, settings, encoders, store, std::move(stop), observer).run(threads);
}

}  // namespace espalier::preprocess

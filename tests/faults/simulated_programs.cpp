#include "tests/faults/simulated_programs.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/sha256.h"

namespace espalier::faults {
namespace {

constexpr const char* kArchive = "archive ";
constexpr const char* kDataset = "dataset ";
constexpr const char* kPart = "part ";
constexpr const char* kCheckpoint = "checkpoint ";
constexpr const char* kAdapter = "adapter ";

std::vector<std::string> lines_of(const std::string& text) { return absl::StrSplit(text, '\n', absl::SkipEmpty()); }

// Makes a file as large as several messages of a stream, so that it can be cut in the middle.
std::string padding(const std::string& digest) {
  const size_t blocks = 500 + std::stoul(digest.substr(0, 3), nullptr, 16);
  std::string out;
  for (size_t i = 0; i < blocks; ++i) absl::StrAppend(&out, "\n", digest);
  return out;
}

std::string dataset_header(const v1::PreprocessTask& task) {
  return absl::StrCat(kDataset, task.resolution(), " ", absl::StrJoin(task.denoisers(), ","), " ", task.seed());
}

// The archive's objects as they are in the dataset of `header`.
std::vector<std::string> objects_of(const std::string& archive, const std::string& header) {
  std::vector<std::string> lines = lines_of(archive);
  lines.erase(lines.begin());
  for (std::string& line : lines) line = sha256_hex(absl::StrCat(header, "/", line));
  return lines;
}

}  // namespace

std::string make_archive(const std::string& unique, int objects) {
  std::string out = absl::StrCat(kArchive, unique);
  for (int i = 0; i < objects; ++i) absl::StrAppend(&out, "\nobject ", i, " of ", unique, " ", std::string(997, 'o'));
  return out;
}

bool is_dataset(const std::string& bytes) { return absl::StartsWith(bytes, kDataset); }

int objects_in(const std::string& bytes) { return static_cast<int>(lines_of(bytes).size()) - 1; }

std::string prepare(const std::string& archive, const v1::PreprocessTask& task) {
  if (is_dataset(archive)) return archive;
  const std::string header = dataset_header(task);
  return absl::StrCat(header, "\n", absl::StrJoin(objects_of(archive, header), "\n"));
}

std::string prepare_part(const std::string& archive, const v1::PreprocessTask& task) {
  const std::string header = dataset_header(task);
  const std::vector<std::string> objects = objects_of(archive, header);
  std::string out = absl::StrCat(kPart, header);
  for (size_t i = static_cast<size_t>(task.shard()); i < objects.size(); i += static_cast<size_t>(task.shards())) {
    absl::StrAppend(&out, "\n", objects[i]);
  }
  return out;
}

std::string merge(const std::vector<std::string>& parts) {
  std::vector<std::vector<std::string>> shards;
  for (const std::string& part : parts) shards.push_back(lines_of(part));
  std::string out = shards.at(0).at(0).substr(std::string(kPart).size());
  for (size_t row = 1; row < shards[0].size(); ++row) {
    for (const auto& shard : shards) {
      if (row < shard.size()) absl::StrAppend(&out, "\n", shard[row]);
    }
  }
  return out;
}

Training::Training(const v1::TrainTask& task, const std::string& dataset) : steps_(task.steps()) {
  origin_ = sha256_hex(absl::StrCat(sha256_hex(dataset), "/", static_cast<int>(task.denoiser()), "/", task.resolution(),
                                    "/", task.rank(), "/", std::lround(task.learning_rate() * 1e9), "/", task.steps(),
                                    "/", task.seed(), "/", task.batch_size()));
  history_ = origin_;
}

void Training::advance() {
  step_ = std::min(step_ + kStepsAtOnce, steps_);
  history_ = sha256_hex(absl::StrCat(history_, "/", step_));
}

std::string Training::checkpoint() const {
  return absl::StrCat(kCheckpoint, step_, " ", origin_, " ", history_, padding(history_));
}

bool Training::resume(const std::string& checkpoint) {
  const std::vector<std::string> words = absl::StrSplit(checkpoint.substr(0, checkpoint.find('\n')), ' ');
  int step = 0;
  if (!absl::StartsWith(checkpoint, kCheckpoint) || words.size() != 4 || words[2] != origin_) return false;
  if (!absl::SimpleAtoi(words[1], &step) || step > steps_) return false;
  step_ = step;
  history_ = words[3];
  return true;
}

std::string Training::adapter(const std::string& stamp) const {
  return absl::StrCat(kAdapter, stamp, "\n", origin_, "\n", history_, padding(history_));
}

std::optional<std::string> stamp_of(const std::string& adapter) {
  if (!absl::StartsWith(adapter, kAdapter)) return std::nullopt;
  const size_t begin = std::string(kAdapter).size();
  return adapter.substr(begin, adapter.find('\n') - begin);
}

}  // namespace espalier::faults

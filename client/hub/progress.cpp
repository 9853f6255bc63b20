#include "client/hub/progress.h"

#include <algorithm>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace espalier::client {
namespace {

constexpr std::chrono::milliseconds kDrawInterval{100};
constexpr int kBarWidth = 16;  // with the longest name of the release a line stays below 80 columns

std::string short_name(const std::string& place) { return std::filesystem::path(place).stem().string(); }

double share(int64_t done, int64_t total) {
  return total > 0 ? static_cast<double>(done) / static_cast<double>(total) : 1;
}

}  // namespace

void FetchProgress::start(int64_t bytes_to_load) {
  total_ = bytes_to_load;
  loaded_ = 0;
  start_ = Clock::now();
}

void FetchProgress::begin(const std::string& name, int64_t size, int64_t held) {
  name_ = name;
  size_ = size;
  done_ = held;
  draw();
}

void FetchProgress::update(int64_t done) {
  loaded_ = std::max<int64_t>(loaded_ + done - done_, 0);
  done_ = done;
  if (Clock::now() - drawn_ >= kDrawInterval) draw();
}

void FetchProgress::checking(const std::string& name) {
  board_.set("file", absl::StrCat("checking ", short_name(name)));
}

void FetchProgress::finish(const std::string& name, int64_t size) {
  board_.print(absl::StrFormat("%-72s %8s", name, cli::bytes_text(size)));
  draw();
}

void FetchProgress::draw() {
  drawn_ = Clock::now();
  board_.set("file", absl::StrFormat("%s  %s  %s", cli::bar(share(done_, size_), kBarWidth), cli::bytes_text(size_),
                                     short_name(name_)));
  if (total_ == 0) return;
  const double seconds = std::chrono::duration<double>(drawn_ - start_).count();
  const double rate = seconds > 0 ? static_cast<double>(loaded_) / seconds : 0;  // bytes/s
  std::string line = absl::StrFormat("%s  %s of %s", cli::bar(share(loaded_, total_)), cli::bytes_text(loaded_),
                                     cli::bytes_text(total_));
  if (rate > 0) {
    absl::StrAppend(&line, "  ", cli::bytes_text(static_cast<int64_t>(rate)), "/s  ",
                    cli::duration_text(static_cast<double>(total_ - loaded_) / rate), " left");
  }
  board_.set("all", line);
}

}  // namespace espalier::client

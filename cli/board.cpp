#include "cli/board.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace espalier::cli {
namespace {

constexpr std::chrono::seconds kQuietInterval{10};

// A line that wraps would take two rows, of which one would stay when the block is drawn again.
std::string cut_to_width(const std::string& line, std::FILE* terminal) {
  winsize size{};
  if (::ioctl(::fileno(terminal), TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || line.size() < size.ws_col) return line;
  size_t end = size.ws_col - 1;
  while (end > 0 && (static_cast<unsigned char>(line[end]) & 0xc0) == 0x80) --end;  // not inside a UTF-8 character
  return line.substr(0, end);
}

}  // namespace

Board::Board(bool silent, std::FILE* out) : silent_(silent), out_(out), terminal_(::isatty(::fileno(out)) == 1) {}

Board::~Board() { std::fflush(out_); }

void Board::set(const std::string& key, const std::string& line, bool milestone) {
  if (silent_) return;
  if (!lines_.contains(key)) keys_.push_back(key);
  auto& current = lines_[key];
  if (current == line) return;
  const bool first = current.empty();
  current = line;
  if (terminal_) {
    erase();
    draw();
    return;
  }
  const auto now = std::chrono::steady_clock::now();
  if (!first && !milestone && now - printed_[key] < kQuietInterval) return;
  printed_[key] = now;
  std::fprintf(out_, "%s\n", line.c_str());
  std::fflush(out_);
}

void Board::print(const std::string& line) {
  if (silent_) return;
  if (terminal_) erase();
  std::fprintf(out_, "%s\n", line.c_str());
  terminal_ ? draw() : void(std::fflush(out_));
}

void Board::erase() {
  if (drawn_ > 0) std::fprintf(out_, "\033[%zuA\033[J", drawn_);
  drawn_ = 0;
}

void Board::draw() {
  for (const auto& key : keys_) std::fprintf(out_, "%s\n", cut_to_width(lines_[key], out_).c_str());
  drawn_ = keys_.size();
  std::fflush(out_);
}

std::string bar(double fraction, int width) {
  const double clamped = std::isfinite(fraction) ? std::clamp(fraction, 0.0, 1.0) : 0.0;
  const int full = static_cast<int>(std::lround(clamped * width));
  return absl::StrCat("[", std::string(full, '#'), std::string(width - full, '-'), "] ",
                      absl::StrFormat("%3.0f", clamped * 100), " %");
}

std::string duration_text(double seconds) {
  const auto s = static_cast<int64_t>(std::max(0.0, std::ceil(seconds)));
  if (s >= 3600) return absl::StrFormat("%dh%02dm", s / 3600, s / 60 % 60);
  if (s >= 60) return absl::StrFormat("%dm%02ds", s / 60, s % 60);
  return absl::StrFormat("%ds", s);
}

std::string bytes_text(int64_t bytes) {
  const char* units[] = {"B", "kB", "MB", "GB", "TB"};
  double value = static_cast<double>(bytes);
  int unit = 0;
  for (; value >= 1000 && unit < 4; ++unit) value /= 1000;
  return unit == 0 ? absl::StrCat(bytes, " B") : absl::StrFormat("%.1f %s", value, units[unit]);
}

}  // namespace espalier::cli

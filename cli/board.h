#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

namespace espalier::cli {

// Progress of several things at once, of every program. On a terminal a block of lines is redrawn in place; elsewhere a
// line is printed when its thing begins, at milestones, and every few seconds between. Not thread-safe.
class Board {
 public:
  // `out` stays the caller's.
  explicit Board(bool silent = false, std::FILE* out = stderr);
  ~Board();  // leaves the last state on the screen
  Board(const Board&) = delete;
  Board& operator=(const Board&) = delete;

  // Sets the line of `key`; lines keep the order in which their keys first came. `milestone`: print it also when there
  // is no terminal and the last print was a moment ago.
  void set(const std::string& key, const std::string& line, bool milestone = false);
  // A line that stays, above the block.
  void print(const std::string& line);

 private:
  void erase();
  void draw();

  bool silent_;
  std::FILE* out_;
  bool terminal_;
  std::vector<std::string> keys_;
  std::map<std::string, std::string> lines_;
  std::map<std::string, std::chrono::steady_clock::time_point> printed_;
  size_t drawn_ = 0;
};

// "[######----]  40 %"
std::string bar(double fraction, int width = 24);
// "1h02m", "3m05s", "12s"
std::string duration_text(double seconds);
// "1.5 MB"
std::string bytes_text(int64_t bytes);

}  // namespace espalier::cli

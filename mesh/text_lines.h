#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace espalier::mesh::internal {

// The statements of a Wavefront file (OBJ, MTL): lines that end in LF, CRLF or CR, the last one perhaps in nothing. A
// backslash with nothing but blanks after it joins the next line to this one; a comment is left alone, since many end
// in a Windows path. A byte order mark is skipped.
class TextLines {
 public:
  explicit TextLines(std::string_view text);  // which must outlive this

  // False at the end of the text. `line` is good until the next call.
  bool next(std::string_view& line);

  // Of the file's lines, from 1: where the last statement began.
  int64_t number() const { return first_; }

 private:
  std::string_view take();

  std::string_view rest_;
  std::string joined_;
  int64_t first_ = 0, taken_ = 0;
};

}  // namespace espalier::mesh::internal

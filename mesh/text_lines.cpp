#include "mesh/text_lines.h"

#include <algorithm>

#include "mesh/import_internal.h"

namespace espalier::mesh::internal {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

// The line without its backslash when it goes on in the next one; false otherwise.
bool continues(std::string_view& line) {
  const std::string_view content = trim(line);
  if (!content.ends_with('\\') || content.starts_with('#')) return false;
  line = content.substr(0, content.size() - 1);
  return true;
}

}  // namespace

TextLines::TextLines(std::string_view text) : rest_(text) {
  if (rest_.starts_with(kByteOrderMark)) rest_.remove_prefix(kByteOrderMark.size());
}

std::string_view TextLines::take() {
  size_t end = 0;
  while (end < rest_.size() && rest_[end] != '\n' && rest_[end] != '\r') ++end;
  const std::string_view line = rest_.substr(0, end);
  const size_t mark = rest_.substr(end).starts_with("\r\n") ? 2 : 1;
  rest_.remove_prefix(std::min(end + mark, rest_.size()));
  ++taken_;
  return line;
}

bool TextLines::next(std::string_view& line) {
  if (rest_.empty()) return false;
  first_ = taken_ + 1;
  line = take();
  if (!continues(line)) return true;
  joined_ = line;
  for (bool more = true; more && !rest_.empty();) {
    std::string_view part = take();
    more = continues(part);
    joined_.append(1, ' ').append(part);
  }
  line = joined_;
  return true;
}

}  // namespace espalier::mesh::internal

#include <algorithm>
#include <array>
#include <cctype>

#include "absl/strings/str_cat.h"
#include "archive/central_directory.h"
#include "archive/detail/case_fold_table.h"
#include "archive/detail/utf8.h"

namespace espalier::archive {
namespace {

bool is_windows_device(std::string_view component) {
  static constexpr std::array<std::string_view, 6> kDevices = {"con", "prn", "aux", "nul", "conin$", "conout$"};
  std::string stem(component.substr(0, component.find('.')));
  std::transform(stem.begin(), stem.end(), stem.begin(), [](unsigned char c) { return std::tolower(c); });
  while (!stem.empty() && stem.back() == ' ') stem.pop_back();
  if (std::find(kDevices.begin(), kDevices.end(), stem) != kDevices.end()) return true;
  return stem.size() == 4 && (stem.starts_with("com") || stem.starts_with("lpt")) && stem[3] >= '1' && stem[3] <= '9';
}

// The name quoted for a message, with unprintable bytes replaced and cut to a readable length.
std::string quoted(std::string_view name) {
  std::string out = "\"";
  for (const char c : name.substr(0, 120)) out.push_back(static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c);
  return out + (name.size() > 120 ? "...\"" : "\"");
}

// Why a component is refused; empty when it is fine.
std::string_view component_fault(std::string_view component) {
  if (component.empty()) return "has an empty component";
  if (component == "." || component == "..") return "has a '.' or '..' component";
  if (component.back() == '.' || component.back() == ' ') return "has a component ending in a dot or space";
  if (is_windows_device(component)) return "has a reserved device name";
  return {};
}

Status name_error(std::string_view name, std::string_view fault) {
  return absl::InvalidArgumentError(absl::StrCat("entry ", quoted(name), ": the name ", std::string(fault)));
}

}  // namespace

Result<std::string> normalize_name(std::string_view raw, const Limits& limits) {
  if (raw.empty()) return name_error(raw, "is empty");
  if (raw.size() > limits.max_name_bytes)
    return name_error(raw, absl::StrCat("is longer than ", limits.max_name_bytes, " bytes"));
  const bool control = std::any_of(raw.begin(), raw.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
  if (control) return name_error(raw, "has a control character");
  if (!detail::decode_utf8(raw)) return name_error(raw, "is not UTF-8");
  std::string name(raw);
  std::replace(name.begin(), name.end(), '\\', '/');
  if (name.front() == '/') return name_error(raw, "is absolute");
  if (name.size() >= 2 && name[1] == ':' && std::isalpha(static_cast<unsigned char>(name[0])) != 0)
    return name_error(raw, "has a drive letter");
  if (name.back() == '/') name.pop_back();
  size_t depth = 0;
  for (size_t start = 0; start <= name.size(); ++depth) {
    const size_t end = std::min(name.find('/', start), name.size());
    const std::string_view fault = component_fault(std::string_view(name).substr(start, end - start));
    if (!fault.empty()) return name_error(raw, fault);
    start = end + 1;
  }
  if (depth > limits.max_depth) return name_error(raw, absl::StrCat("has more than ", limits.max_depth, " components"));
  return name;
}

std::string collision_key(std::string_view name) {
  const auto decoded = detail::decode_utf8(name);
  if (!decoded) return std::string(name);
  const auto table = detail::case_fold_table();
  std::string key;
  for (const char32_t c : *decoded) {
    if (c < 0x80) {
      key.push_back(static_cast<char>(std::tolower(static_cast<int>(c))));
      continue;
    }
    const auto found =
        std::lower_bound(table.begin(), table.end(), c,
                         [](const detail::CaseFold& fold, char32_t value) { return fold.code_point < value; });
    if (found == table.end() || found->code_point != c) {
      detail::append_utf8(c, key);
      continue;
    }
    for (const uint16_t folded : found->folded) {
      if (folded != 0) detail::append_utf8(folded, key);
    }
  }
  return key;
}

}  // namespace espalier::archive

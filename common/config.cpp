#include "common/config.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <optional>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "common/files.h"

namespace espalier {
namespace {

constexpr uint64_t kMaxFileBytes = 1 << 20;

struct Unit {
  const char* name;
  int64_t factor;
};
constexpr Unit kTimeUnits[] = {{"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}};
constexpr Unit kByteUnits[] = {{"TiB", int64_t{1} << 40},
                               {"GiB", int64_t{1} << 30},
                               {"MiB", int64_t{1} << 20},
                               {"KiB", int64_t{1} << 10},
                               {"B", 1}};

// "30s" -> 30 * 1000. Whole numbers only; nothing on overflow.
template <size_t N>
std::optional<int64_t> parse_with_unit(const std::string& text, const Unit (&units)[N]) {
  const size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const std::string name(absl::StripAsciiWhitespace(text.substr(digits)));
  int64_t count = 0;
  if (digits == 0 || !absl::SimpleAtoi(text.substr(0, digits), &count)) return std::nullopt;
  for (const Unit& unit : units) {
    if (name != unit.name) continue;
    if (count > std::numeric_limits<int64_t>::max() / unit.factor) return std::nullopt;
    return count * unit.factor;
  }
  return std::nullopt;
}

template <size_t N>
std::string print_with_unit(int64_t value, const Unit (&units)[N]) {
  for (const Unit& unit : units) {
    if (value != 0 && value % unit.factor == 0) return absl::StrCat(value / unit.factor, unit.name);
  }
  return absl::StrCat(value, units[N - 1].name);
}

std::string yaml_quoted(const std::string& text) {
  return absl::StrCat("\"", absl::StrReplaceAll(text, {{"\\", "\\\\"}, {"\"", "\\\""}}), "\"");
}

std::string print_number(double value) {
  char buffer[32];
  return {buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr};
}

}  // namespace

// Reads its values (one, or any count for a list) and returns what stores them, or says what is wrong.
struct ConfigTable::Row {
  using Store = std::function<void()>;
  std::string key;
  std::string doc;
  std::string allowed;  // for people, e.g. "1 to 64"
  bool is_list = false;
  std::function<Result<Store>(const std::vector<std::string>&)> parse;
  std::function<std::string()> print;
  Store pending{};  // the strongest valid value so far; run when the whole load is without fault
};

struct ConfigTable::Faults {
  std::vector<std::string> lines;
  void add(const std::string& place, const std::string& key, const std::string& what) {
    lines.push_back(key.empty() ? absl::StrCat(place, ": ", what) : absl::StrCat(place, ": ", key, ": ", what));
  }
};

ConfigTable::ConfigTable() = default;
ConfigTable::~ConfigTable() = default;

void ConfigTable::add(Row row) { rows_.push_back(std::make_unique<Row>(std::move(row))); }

ConfigTable::Row* ConfigTable::find(std::string_view key) {
  for (const auto& row : rows_) {
    if (row->key == key) return row.get();
  }
  return nullptr;
}

namespace {

// `parse_one` gives nothing for a wrong type; `low`..`high` bound the value; `print` shows one.
template <class T, class Parse, class Print>
auto bounded_parser(T* member, T low, T high, std::string kind, Parse parse_one, Print print) {
  return [=](const std::vector<std::string>& values) -> Result<std::function<void()>> {
    const std::optional<T> value = parse_one(values[0]);
    if (!value) return absl::InvalidArgumentError(absl::StrCat("'", values[0], "' is not ", kind));
    if (*value < low || high < *value) {
      return absl::InvalidArgumentError(absl::StrCat(values[0], " is not in [", print(low), ", ", print(high), "]"));
    }
    return std::function<void()>([member, value] { *member = *value; });
  };
}

std::optional<int64_t> parse_integer(const std::string& text) {
  int64_t value = 0;
  if (!absl::SimpleAtoi(text, &value)) return std::nullopt;
  return value;
}

}  // namespace

void ConfigTable::text(std::string key, std::string* member, std::string doc) {
  auto parse = [member](const std::vector<std::string>& values) -> Result<Row::Store> {
    return Row::Store([member, value = values[0]] { *member = value; });
  };
  add(Row{std::move(key), std::move(doc), "text", false, parse, [member] { return yaml_quoted(*member); }});
}

void ConfigTable::path(std::string key, std::filesystem::path* member, std::string doc) {
  auto parse = [member](const std::vector<std::string>& values) -> Result<Row::Store> {
    return Row::Store([member, value = values[0]] { *member = value; });
  };
  add(Row{std::move(key), std::move(doc), "path", false, parse, [member] { return yaml_quoted(member->string()); }});
}

void ConfigTable::choice(std::string key, std::string* member, std::vector<std::string> allowed, std::string doc) {
  const std::string names = absl::StrJoin(allowed, ", ");
  auto parse = [=](const std::vector<std::string>& values) -> Result<Row::Store> {
    if (std::find(allowed.begin(), allowed.end(), values[0]) == allowed.end()) {
      return absl::InvalidArgumentError(absl::StrCat("'", values[0], "' is not one of ", names));
    }
    return Row::Store([member, value = values[0]] { *member = value; });
  };
  add(Row{std::move(key), std::move(doc), names, false, parse, [member] { return *member; }});
}

void ConfigTable::flag(std::string key, bool* member, std::string doc) {
  auto parse = [member](const std::vector<std::string>& values) -> Result<Row::Store> {
    if (values[0] != "true" && values[0] != "false") {
      return absl::InvalidArgumentError(absl::StrCat("'", values[0], "' is not true or false"));
    }
    return Row::Store([member, value = values[0] == "true"] { *member = value; });
  };
  add(Row{std::move(key), std::move(doc), "true or false", false, parse,
          [member] { return std::string(*member ? "true" : "false"); }});
}

void ConfigTable::integer(std::string key, int64_t* member, int64_t low, int64_t high, std::string doc) {
  const auto print = [](int64_t value) { return absl::StrCat(value); };
  add(Row{std::move(key), std::move(doc), absl::StrCat(low, " to ", high), false,
          bounded_parser(member, low, high, "a whole number", parse_integer, print), [=] { return print(*member); }});
}

void ConfigTable::integer(std::string key, int* member, int low, int high, std::string doc) {
  const auto print = [](int value) { return absl::StrCat(value); };
  const auto parse = [](const std::string& text) -> std::optional<int> {
    int value = 0;
    if (!absl::SimpleAtoi(text, &value)) return std::nullopt;
    return value;
  };
  add(Row{std::move(key), std::move(doc), absl::StrCat(low, " to ", high), false,
          bounded_parser(member, low, high, "a whole number", parse, print), [=] { return print(*member); }});
}

void ConfigTable::number(std::string key, double* member, double low, double high, std::string doc) {
  const auto parse = [](const std::string& text) -> std::optional<double> {
    double value = 0;
    if (!absl::SimpleAtod(text, &value) || !std::isfinite(value)) return std::nullopt;
    return value;
  };
  add(Row{std::move(key), std::move(doc), absl::StrCat(print_number(low), " to ", print_number(high)), false,
          bounded_parser(member, low, high, "a number", parse, print_number), [=] { return print_number(*member); }});
}

void ConfigTable::duration(std::string key, Milliseconds* member, Milliseconds low, Milliseconds high,
                           std::string doc) {
  const auto print = [](Milliseconds value) { return print_with_unit(value.count(), kTimeUnits); };
  const auto parse = [](const std::string& text) -> std::optional<Milliseconds> {
    const auto count = parse_with_unit(text, kTimeUnits);
    if (!count) return std::nullopt;
    return Milliseconds(*count);
  };
  add(Row{std::move(key), std::move(doc), absl::StrCat(print(low), " to ", print(high)), false,
          bounded_parser(member, low, high, "a time with a unit of ms, s, m or h", parse, print),
          [=] { return print(*member); }});
}

void ConfigTable::bytes(std::string key, Bytes* member, Bytes low, Bytes high, std::string doc) {
  const auto print = [](Bytes value) { return print_with_unit(static_cast<int64_t>(value.count), kByteUnits); };
  const auto parse = [](const std::string& text) -> std::optional<Bytes> {
    const auto count = parse_with_unit(text, kByteUnits);
    if (!count) return std::nullopt;
    return Bytes{static_cast<uint64_t>(*count)};
  };
  add(Row{std::move(key), std::move(doc), absl::StrCat(print(low), " to ", print(high)), false,
          bounded_parser(member, low, high, "a size with a unit of B, KiB, MiB, GiB or TiB", parse, print),
          [=] { return print(*member); }});
}

void ConfigTable::list(std::string key, std::vector<std::string>* member, std::vector<std::string> allowed,
                       std::string doc) {
  auto parse = [=](const std::vector<std::string>& values) -> Result<Row::Store> {
    for (const std::string& value : values) {
      if (!allowed.empty() && std::find(allowed.begin(), allowed.end(), value) == allowed.end()) {
        return absl::InvalidArgumentError(absl::StrCat("'", value, "' is not one of ", absl::StrJoin(allowed, ", ")));
      }
    }
    return Row::Store([member, values] { *member = values; });
  };
  const auto print = [member] {
    std::vector<std::string> parts;
    for (const std::string& value : *member) parts.push_back(yaml_quoted(value));
    return absl::StrCat("[", absl::StrJoin(parts, ", "), "]");
  };
  const std::string names = allowed.empty() ? "texts" : absl::StrJoin(allowed, ", ");
  add(Row{std::move(key), std::move(doc), absl::StrCat("a list of ", names), true, parse, print});
}

void ConfigTable::take(const std::string& key, const std::vector<std::string>& values, bool is_list,
                       const std::string& place, Faults& faults) {
  Row* row = find(key);
  if (!row) return faults.add(place, key, "is not a known setting");
  if (row->is_list != is_list) {
    return faults.add(place, key, row->is_list ? "must be a list" : "must be a single value");
  }
  auto store = row->parse(values);
  if (!store.ok()) return faults.add(place, key, std::string(store.status().message()));
  row->pending = *std::move(store);
}

namespace {

struct Entry {
  std::string key;
  std::vector<std::string> values;
  bool is_list = false;
  int line = 0;
};

struct FlatFile {
  std::vector<Entry> entries;
  std::vector<std::pair<int, std::string>> faults;  // line, message
  std::set<std::string> seen;
};

void flatten(const YAML::Node& node, const std::string& prefix, FlatFile& out) {
  for (const auto& item : node) {
    const int line = item.first.Mark().line + 1;
    if (!item.first.IsScalar()) {
      out.faults.emplace_back(line, "a key must be a plain text");
      continue;
    }
    const std::string key = prefix + item.first.Scalar();
    if (!out.seen.insert(key).second) {
      out.faults.emplace_back(line, key + ": is given twice");
      continue;
    }
    const YAML::Node& value = item.second;
    if (value.IsMap()) {
      flatten(value, key + ".", out);
    } else if (value.IsSequence()) {
      Entry entry{key, {}, true, line};
      for (const auto& element : value) {
        if (element.IsScalar())
          entry.values.push_back(element.Scalar());
        else
          out.faults.emplace_back(line, key + ": holds something else than plain values");
      }
      out.entries.push_back(std::move(entry));
    } else if (value.IsScalar()) {
      out.entries.push_back({key, {value.Scalar()}, false, line});
    } else {
      out.faults.emplace_back(line, key + ": has no value");
    }
  }
}

}  // namespace

void ConfigTable::read_file(const std::filesystem::path& path, Faults& faults) {
  const std::string name = path.filename().string();
  const auto text = espalier::read_file(path, kMaxFileBytes);
  if (!text.ok()) return faults.add(path.string(), "", std::string(text.status().message()));
  FlatFile flat;
  try {
    const YAML::Node root = YAML::Load(*text);
    if (root.IsNull()) return;
    if (!root.IsMap()) return faults.add(name, "", "the file is not a map of settings");
    flatten(root, "", flat);
  } catch (const YAML::Exception& error) {
    return faults.add(absl::StrCat(name, ":", error.mark.line + 1), "", error.msg);
  }
  for (const auto& [line, what] : flat.faults) faults.add(absl::StrCat(name, ":", line), "", what);
  for (const Entry& entry : flat.entries) {
    take(entry.key, entry.values, entry.is_list, absl::StrCat(name, ":", entry.line), faults);
  }
}

namespace {
std::vector<std::string> split_values(const std::string& text, bool is_list) {
  if (!is_list) return {text};
  std::vector<std::string> values;
  for (const auto part : absl::StrSplit(text, ',', absl::SkipWhitespace())) {
    values.emplace_back(absl::StripAsciiWhitespace(part));
  }
  return values;
}
}  // namespace

void ConfigTable::read_environment(const std::string& prefix, Faults& faults) {
  for (const auto& row : rows_) {
    const std::string name =
        absl::StrCat(prefix, "_", absl::AsciiStrToUpper(absl::StrReplaceAll(row->key, {{".", "_"}})));
    if (const char* value = std::getenv(name.c_str())) {
      take(row->key, split_values(value, row->is_list), row->is_list, name, faults);
    }
  }
}

Status ConfigTable::load(const ConfigSources& sources) {
  Faults faults;
  if (!sources.file.empty()) {
    std::error_code ignored;
    if (!std::filesystem::exists(sources.file, ignored)) {
      return absl::NotFoundError(absl::StrCat("no such configuration file: ", sources.file.string()));
    }
    read_file(sources.file, faults);
  }
  if (!sources.environment_prefix.empty()) read_environment(sources.environment_prefix, faults);
  for (const auto& [key, value] : sources.overrides) {
    const Row* row = find(key);
    const bool is_list = row && row->is_list;
    take(key, split_values(value, is_list), is_list, "command line", faults);
  }
  for (const auto& row : rows_) {
    if (row->pending && faults.lines.empty()) row->pending();
    row->pending = nullptr;
  }
  if (faults.lines.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrJoin(faults.lines, "\n"));
}

std::string ConfigTable::print() const {
  std::string out;
  std::vector<std::string> open;  // path of the maps that the last row was in
  for (const auto& row : rows_) {
    std::vector<std::string> path = absl::StrSplit(row->key, '.');
    const std::string leaf = path.back();
    path.pop_back();
    size_t common = 0;
    while (common < std::min(path.size(), open.size()) && path[common] == open[common]) ++common;
    for (size_t i = common; i < path.size(); ++i) absl::StrAppend(&out, std::string(2 * i, ' '), path[i], ":\n");
    const std::string indent(2 * path.size(), ' ');
    absl::StrAppend(&out, indent, "# ", row->doc, " (", row->allowed, ")\n");
    absl::StrAppend(&out, indent, leaf, ": ", row->print(), "\n");
    open = path;
  }
  return out;
}

}  // namespace espalier

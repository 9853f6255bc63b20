#include "dataset/csv.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"

namespace espalier::dataset {
namespace {

// The reader of one table: a cursor over the text that counts lines.
class Parser {
 public:
  Parser(std::string_view text, const CsvLimits& limits) : text_(text), limits_(limits) {}

  Result<CsvTable> parse() {
    if (text_.starts_with("\xEF\xBB\xBF")) text_.remove_prefix(3);
    if (text_.find('\0') != std::string_view::npos) return fault("a NUL byte");
    CsvTable table;
    ESP_TRY(row(table.columns));
    if (table.columns.empty()) return fault("no header row");
    if (std::set<std::string>(table.columns.begin(), table.columns.end()).size() != table.columns.size())
      return fault("two columns of one name");
    while (!text_.empty()) {
      const size_t line = line_;
      std::vector<std::string> fields;
      ESP_TRY(row(fields));
      if (fields.size() == 1 && fields[0].empty()) continue;  // blank line
      if (fields.size() != table.columns.size())
        return absl::InvalidArgumentError(
            absl::StrCat("line ", line, ": ", fields.size(), " fields; the header has ", table.columns.size()));
      if (table.rows.size() == limits_.max_rows) return fault(absl::StrCat("more than ", limits_.max_rows, " rows"));
      table.rows.push_back(std::move(fields));
      table.lines.push_back(line);
    }
    return table;
  }

 private:
  Status fault(std::string_view what) const {
    return absl::InvalidArgumentError(absl::StrCat("line ", line_, ": ", std::string(what)));
  }

  Status row(std::vector<std::string>& fields) {
    if (text_.empty()) return absl::OkStatus();
    for (;;) {
      if (fields.size() == limits_.max_columns)
        return fault(absl::StrCat("more than ", limits_.max_columns, " columns"));
      fields.emplace_back();
      ESP_TRY(text_.starts_with('"') ? quoted_field(fields.back()) : plain_field(fields.back()));
      if (text_.starts_with(',')) {
        text_.remove_prefix(1);
        continue;
      }
      end_row();
      return absl::OkStatus();
    }
  }

  void end_row() {
    if (text_.starts_with('\r')) text_.remove_prefix(1);
    if (text_.starts_with('\n')) text_.remove_prefix(1);
    ++line_;
  }

  Status plain_field(std::string& out) {
    const size_t end = std::min(text_.find_first_of(",\r\n"), text_.size());
    out = std::string(text_.substr(0, end));
    text_.remove_prefix(end);
    return out.find('"') == std::string::npos ? absl::OkStatus() : fault("a quote inside an unquoted field");
  }

  Status quoted_field(std::string& out) {
    text_.remove_prefix(1);
    for (;;) {
      const size_t end = text_.find('"');
      if (end == std::string_view::npos) return fault("a quoted field that never ends");
      out += text_.substr(0, end);
      line_ += static_cast<size_t>(std::count(text_.begin(), text_.begin() + static_cast<ptrdiff_t>(end), '\n'));
      text_.remove_prefix(end + 1);
      if (!text_.starts_with('"')) break;
      out.push_back('"');
      text_.remove_prefix(1);
    }
    const bool ends = text_.empty() || text_.front() == ',' || text_.front() == '\r' || text_.front() == '\n';
    return ends ? absl::OkStatus() : fault("text after a closing quote");
  }

  std::string_view text_;
  const CsvLimits limits_;
  size_t line_ = 1;
};

void append_field(const std::string& field, std::string& out) {
  if (field.find_first_of(",\"\r\n") == std::string::npos) {
    out += field;
    return;
  }
  out.push_back('"');
  for (const char c : field) out.append(c == '"' ? 2 : 1, c);
  out.push_back('"');
}

void append_row(const std::vector<std::string>& fields, std::string& out) {
  for (size_t i = 0; i < fields.size(); ++i) {
    if (i > 0) out.push_back(',');
    append_field(fields[i], out);
  }
  out.push_back('\n');
}

}  // namespace

std::optional<size_t> CsvTable::column(std::string_view name) const {
  const auto found = std::find(columns.begin(), columns.end(), name);
  if (found == columns.end()) return std::nullopt;
  return static_cast<size_t>(found - columns.begin());
}

Result<CsvTable> parse_csv(std::string_view text, const CsvLimits& limits) { return Parser(text, limits).parse(); }

std::string write_csv(const CsvTable& table) {
  std::string out;
  append_row(table.columns, out);
  for (const auto& row : table.rows) append_row(row, out);
  return out;
}

}  // namespace espalier::dataset

#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"

// Comma-separated tables with a header row (RFC 4180): quoted fields may hold commas, quotes and line ends; \n and
// \r\n end a row; a UTF-8 byte-order mark is skipped.
namespace espalier::dataset {

struct CsvTable {
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;  // each as long as `columns`
  std::vector<size_t> lines;                   // 1-based line in the file where each row starts

  std::optional<size_t> column(std::string_view name) const;
};

struct CsvLimits {
  size_t max_rows = 1'000'000;
  size_t max_columns = 256;
};

// INVALID_ARGUMENT, naming the line: no header, two columns of one name, a row of another length, an open quote,
// text after a closing quote, a NUL byte, too many rows or columns.
Result<CsvTable> parse_csv(std::string_view text, const CsvLimits& limits = {});

// Rows end in \n; fields are quoted where they need it.
std::string write_csv(const CsvTable& table);

}  // namespace espalier::dataset

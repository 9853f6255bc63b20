#pragma once

#include <google/protobuf/repeated_field.h>

#include <algorithm>
#include <string>
#include <vector>

#include "common/status.h"
#include "coordinator/jobs/job_repository.h"
#include "espalier/v1/common.pb.h"

namespace espalier::coordinator {

// Tokens of listings. A token is bound to the other fields of its request (`scope`: any text of them), so that it
// cannot be used with another filter by mistake.

// INVALID_ARGUMENT: page size outside 0..1000, or a token that next_token did not make for this scope.
Result<PageQuery> parse_page(const v1::PageRequest& request, const std::string& scope);
// The token for what follows the row `number`.
std::string next_token(long long number, const std::string& scope);
// The end of a SELECT of that page: to follow a WHERE with at least one condition, over a column `number`.
std::string page_clause(const PageQuery& page);

// Moves one page of `rows`, of which one more than `wanted` were asked for, to `out` by `convert(row)`. Returns the
// token of the next page, empty at the end. Rows have a `number`.
template <class Row, class Message, class Convert>
std::string fill_page(const std::vector<Row>& rows, int wanted, const std::string& scope,
                      google::protobuf::RepeatedPtrField<Message>* out, Convert convert) {
  const size_t count = std::min(rows.size(), static_cast<size_t>(wanted));
  for (size_t i = 0; i < count; ++i) *out->Add() = convert(rows[i]);
  return rows.size() > count ? next_token(rows[count - 1].number, scope) : "";
}

}  // namespace espalier::coordinator

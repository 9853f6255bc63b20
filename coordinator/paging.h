#pragma once

#include <string>

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

}  // namespace espalier::coordinator

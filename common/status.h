#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// The error type at every seam between folders.
//
// Codes: INVALID_ARGUMENT user input, NOT_FOUND, RESOURCE_EXHAUSTED quota or memory, FAILED_PRECONDITION wrong state,
// UNAVAILABLE retry later, DATA_LOSS broken file, CANCELLED stopped on request, INTERNAL a bug. Messages say what is
// wrong, where (field or file), and what is allowed. Exceptions never cross a target.
namespace espalier {

using Status = absl::Status;
template <class T>
using Result = absl::StatusOr<T>;

// The same code and payloads with `context: ` in front of the message; OK stays OK.
Status annotate(const Status& status, std::string_view context);

}  // namespace espalier

#define ESP_CONCAT_INNER(a, b) a##b
#define ESP_CONCAT(a, b) ESP_CONCAT_INNER(a, b)

// Returns the status from the enclosing function when it is not OK.
#define ESP_TRY(expression)                          \
  do {                                               \
    absl::Status esp_try_status = (expression);      \
    if (!esp_try_status.ok()) return esp_try_status; \
  } while (false)

// ESP_ASSIGN(auto value, result_expression): binds the value, or returns the error.
#define ESP_ASSIGN(declaration, expression) \
  ESP_ASSIGN_IMPL(ESP_CONCAT(esp_result_, __COUNTER__), declaration, expression)
#define ESP_ASSIGN_IMPL(result, declaration, expression) \
  auto result = (expression);                            \
  if (!result.ok()) return std::move(result).status();   \
  declaration = *std::move(result)

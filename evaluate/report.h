#pragma once

#include <string>

#include "common/status.h"
#include "evaluate/evaluation.h"
#include "image/image.h"

namespace espalier::evaluate {

// As a table, or as one JSON object, each ending in a newline.
std::string to_table(const EvaluationReport& report);
std::string to_json(const EvaluationReport& report);

// One picture, RGB: a row for each object with the given picture, the object itself and what each candidate made of it;
// captions above and beside. INVALID_ARGUMENT: a report without pictures.
Result<image::Image> contact_sheet(const EvaluationReport& report);

}  // namespace espalier::evaluate

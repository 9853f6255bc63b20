#include "tests/golden/model_case.h"

namespace espalier::golden {

Status run_primitives(const ModelCase&, Report&) { return absl::UnimplementedError("not built yet"); }

}  // namespace espalier::golden

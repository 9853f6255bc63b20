#pragma once

#include <functional>
#include <string>

#include "common/status.h"
#include "coordinator/clock.h"
#include "coordinator/storage/artefact_library.h"
#include "coordinator/storage/database.h"
#include "coordinator/tenants/caller.h"

namespace espalier::coordinator {

class Removal;

// The Delete calls of the services, without gRPC: each is one transaction with its audit entry, then the bytes go.
// Errors as the proto files document. Thread-safe.
class RemovalDesk {
 public:
  // All must outlive the desk.
  RemovalDesk(Database& database, ArtefactLibrary& artefacts, const Clock& clock)
      : database_(database), artefacts_(artefacts), clock_(clock) {}

  Status delete_job(const Caller& caller, const std::string& id);
  Status delete_artefact(const Caller& caller, const std::string& id);
  Status delete_dataset(const Caller& caller, const std::string& id);
  Status delete_adapter(const Caller& caller, const std::string& id);

 private:
  Status remove(const Caller& caller, const char* action, const std::string& id,
                const std::function<Status(Removal&)>& body);

  Database& database_;
  ArtefactLibrary& artefacts_;
  const Clock& clock_;
};

}  // namespace espalier::coordinator

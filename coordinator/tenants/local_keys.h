#pragma once

#include <filesystem>

#include "common/status.h"
#include "coordinator/clock.h"
#include "coordinator/storage/database.h"
#include "coordinator/tenants/secrets.h"

// What an installation has without any set-up: the tenant "local" without limits, and two keys in files that only their
// owner can read. Whoever owns the data folder owns the installation.
namespace espalier::coordinator {

inline constexpr const char* kPepperFile = "pepper";
inline constexpr const char* kOperatorKeyFile = "operator.key";
inline constexpr const char* kWorkerKeyFile = "worker.key";

// Where all three are.
inline std::filesystem::path key_folder(const std::filesystem::path& data_dir) { return data_dir / "keys"; }

// The pepper in `folder` (made with mode 0700 when missing); a new one only when there are no keys yet.
// DATA_LOSS: there are keys but no pepper, so that none can be checked.
Result<Pepper> open_pepper(Database& database, const std::filesystem::path& folder);

// Makes the tenant and the key files that are missing, or whose key has been revoked or has expired.
Status ensure_local_keys(Database& database, const Pepper& pepper, const std::filesystem::path& folder,
                         const Clock& clock);

}  // namespace espalier::coordinator

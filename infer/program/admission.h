#pragma once

#include <string>

#include "infer/server/inference_service.h"
#include "rpc/tls.h"

namespace espalier::infer {

// The coordinator at HOST:PORT knows the keys and keeps the adapters: asks it for each call whether the caller's key
// may submit work, and fetches adapters with that key. A key goes unencrypted only to this machine, unless
// `allow_plaintext_remote`.
Admit admit_by(const std::string& coordinator, const ClientTls& tls, bool allow_plaintext_remote);

}  // namespace espalier::infer

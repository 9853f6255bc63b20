#pragma once

#include <filesystem>
#include <string>

#include "common/status.h"

namespace espalier {

// Metadata entries that a call names its caller with (proto/espalier/v1/tenants.proto).
inline constexpr const char* kAuthorizationEntry = "authorization";
inline constexpr const char* kTenantEntry = "espalier-tenant";

// A key and its secret. No message of these functions holds any part of the secret.
struct Credentials {
  std::string key_id;  // key_…
  std::string secret;
};

// "Key <id>:<secret>" or "Bearer <id>:<secret>", the scheme in any case. UNAUTHENTICATED, reason KEY_MALFORMED.
Result<Credentials> parse_authorization(const std::string& header);
std::string authorization_of(const Credentials& credentials);

// "<id>:<secret>", as environment variables and key files hold it. INVALID_ARGUMENT; `where` names the source.
Result<Credentials> parse_key(const std::string& text, const std::string& where);
std::string to_text(const Credentials& credentials);

// A file with one such line. NOT_FOUND: no such file. INVALID_ARGUMENT: something else is in it.
Result<Credentials> read_key_file(const std::filesystem::path& file);

}  // namespace espalier

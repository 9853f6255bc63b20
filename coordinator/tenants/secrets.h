#pragma once

#include <filesystem>
#include <string>

#include "common/status.h"
#include "rpc/credentials.h"

namespace espalier::coordinator {

// The installation's secret that the digests of all keys are made with. It lives in a file beside the database, so that
// a copy of the database alone cannot be used to test guesses. Immutable; thread-safe.
class Pepper {
 public:
  // Reads the file. NOT_FOUND; DATA_LOSS: it is not one of ours.
  static Result<Pepper> read(const std::filesystem::path& file);
  // Makes a new one (mode 0600).
  static Result<Pepper> create(const std::filesystem::path& file);

  // What the database keeps of a key: HMAC-SHA-256 under the pepper, salted with the key's id. 64 hexadecimal digits.
  std::string digest(const Credentials& credentials) const;

 private:
  explicit Pepper(std::string bytes) : bytes_(std::move(bytes)) {}
  std::string bytes_;
};

// A new key id and a secret of 32 random bytes: "esk_" and 64 hexadecimal digits.
Credentials new_credentials();

}  // namespace espalier::coordinator

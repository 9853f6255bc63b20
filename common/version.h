#pragma once

#include <string>

namespace espalier {

// What `PROGRAM --version` prints, a line each: version and commit, LibTorch and CUDA, and the base that comes with the
// installation, with the digest that tells bases of one name apart.
std::string version_text(const std::string& program);

// "0.1.0"
const char* version();

}  // namespace espalier

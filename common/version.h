#pragma once

#include <string>

namespace espalier {

// What `PROGRAM --version` prints, a line each: version and commit, LibTorch and CUDA, and the base that comes with the
// installation, with the digest that tells bases of one name apart.
std::string version_text(const std::string& program);

// "0.1.0"
const char* version();
// Of the LibTorch that the programs are linked against, "2.11.0"; "none" in a build without it.
const char* libtorch_version();
bool built_with_cuda();

}  // namespace espalier

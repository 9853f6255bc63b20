#pragma once

#include <string>
#include <vector>

namespace espalier {

// What `PROGRAM --version` prints, a line each: version and commit, LibTorch and CUDA, and the base that comes with the
// installation, with the digest that tells bases of one name apart.
std::string version_text(const std::string& program);

// "0.1.0"
const char* version();
// Of the LibTorch that the programs are linked against, "2.11.0", and of its CUDA, "13.0"; "none" in a build without.
const char* libtorch_version();
const char* cuda_version();
// Requirements of the wheels that this LibTorch loads even where it uses no GPU; the rest of what it names is needless.
std::vector<std::string> libtorch_companions();

}  // namespace espalier

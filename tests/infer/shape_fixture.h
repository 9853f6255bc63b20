#pragma once

#include <string>
#include <vector>

#include "infer/request.h"
#include "tests/infer_support/engine_fixture.h"

namespace espalier::infer {

// An engine on a random base with a shape, shared by the tests of a suite.
class ShapeFixture : public EngineFixture {
 protected:
  static void SetUpTestSuite() { open_base(write_tiny_shape_base); }

  // Of the surface as it was decoded, not made anew.
  static GenerateRequest request(const std::string& pipeline, std::vector<FileFormat> formats = {FileFormat::kNpz});

  // What is wrong with a request that must be refused.
  static std::vector<Fault> faults_of(const GenerateRequest& request);
};

}  // namespace espalier::infer

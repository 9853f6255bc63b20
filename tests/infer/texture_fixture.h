#pragma once

#include <map>
#include <string>

#include "dataset/npz.h"
#include "tests/infer/shape_fixture.h"

namespace espalier::infer {

// An engine on a random base with texture, shared by the tests of a suite.
class TextureFixture : public ShapeFixture {
 protected:
  static void SetUpTestSuite() { open_base(write_tiny_texture_base); }

  // A small textured .glb.
  static GenerateRequest glb_request();

  // The arrays of the first sample's decoded grid.
  static std::map<std::string, dataset::Array> grid(const GenerateRequest& request, Engine& engine = *engine_);
};

}  // namespace espalier::infer

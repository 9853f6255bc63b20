#include "tests/infer/shape_fixture.h"

namespace espalier::infer {

GenerateRequest ShapeFixture::request(const std::string& pipeline, std::vector<FileFormat> formats) {
  GenerateRequest request;
  request.image = picture();
  request.seed = 7;
  request.pipeline = pipeline;
  request.formats = std::move(formats);
  request.remesh = false;
  return request;
}

std::vector<Fault> ShapeFixture::faults_of(const GenerateRequest& request) {
  std::vector<Fault> faults;
  EXPECT_FALSE(engine_->generate(request, {}, &faults).ok());
  return faults;
}

}  // namespace espalier::infer

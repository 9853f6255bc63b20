#include "tests/infer_support/engine_fixture.h"

#include <utility>

namespace espalier::infer {

TempDir* EngineFixture::folder_ = nullptr;
Engine* EngineFixture::engine_ = nullptr;

void EngineFixture::open_base(bool (*write)(const std::filesystem::path& folder)) {
  folder_ = new TempDir(*TempDir::create());
  ASSERT_TRUE(write(base()));
  engine_ = open({}).release();
}

void EngineFixture::TearDownTestSuite() {
  delete std::exchange(engine_, nullptr);
  delete std::exchange(folder_, nullptr);
}

std::unique_ptr<Engine> EngineFixture::open(EngineOptions options) {
  if (options.base.empty()) options.base = base();
  auto engine = Engine::open(options);
  EXPECT_TRUE(engine.ok()) << engine.status();
  return *std::move(engine);
}

std::filesystem::path EngineFixture::base() { return file("base"); }

std::filesystem::path EngineFixture::file(const std::string& name) { return folder_->path() / name; }

}  // namespace espalier::infer

#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>

#include "common/files.h"
#include "infer/engine.h"
#include "tests/infer_support/tiny_base.h"

namespace espalier::infer {

// A folder with a tiny base in it and an engine on that base, shared by the tests of a suite. Suites run one after the
// other, so all of them share the two pointers.
class EngineFixture : public ::testing::Test {
 protected:
  // For SetUpTestSuite(). `write`: one of tiny_base.h.
  static void open_base(bool (*write)(const std::filesystem::path& folder));
  static void TearDownTestSuite();

  // Another engine, on the suite's base unless the options name one.
  static std::unique_ptr<Engine> open(EngineOptions options);

  static std::filesystem::path base();
  static std::filesystem::path file(const std::string& name);  // in the suite's folder

  static TempDir* folder_;
  static Engine* engine_;
};

}  // namespace espalier::infer

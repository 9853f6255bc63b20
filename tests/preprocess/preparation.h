#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "archive/zip_writer.h"
#include "common/files.h"
#include "preprocess/pipeline.h"
#include "tests/preprocess/tiny_base.h"

namespace espalier::preprocess::testing {

// Prepares zips of assets with a tiny base.
class PreparationTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(write_tiny_base(path("base")).ok());
    config_.input = path("assets.zip");
    config_.output = path("set.zip");
    config_.base = path("base");
    config_.views = 2;
    config_.render_resolution = 64;
    config_.render_samples = 1;
    config_.threads = 2;
  }

  std::filesystem::path path(const std::string& name) const { return folder_->path() / name; }

  void zip(const std::map<std::string, std::string>& files) {
    archive::ZipWriter writer;
    for (const auto& [name, bytes] : files) ASSERT_TRUE(writer.add_bytes(name, bytes).ok());
    ASSERT_TRUE(writer.finish(path("assets.zip")).ok());
  }

  Result<PreprocessResult> run(std::stop_token stop = {}) {
    events_.clear();
    warnings_.clear();
    PreprocessObserver observer;
    observer.object = [this](const ObjectEvent& event) { events_.push_back(event); };
    observer.warning = [this](const std::string& warning) { warnings_.push_back(warning); };
    return preprocess(config_, stop, observer);
  }

  const ObjectEvent& event_of(const std::string& name) {
    for (const ObjectEvent& event : events_) {
      if (event.path == name) return event;
    }
    static const ObjectEvent kNone;
    ADD_FAILURE() << "no event of " << name;
    return kNone;
  }

  Result<TempDir> folder_ = TempDir::create("pipeline_test");
  PreprocessConfig config_;
  std::vector<ObjectEvent> events_;
  std::vector<std::string> warnings_;
};

}  // namespace espalier::preprocess::testing

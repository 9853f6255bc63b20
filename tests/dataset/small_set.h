#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "common/files.h"
#include "dataset/csv.h"
#include "dataset/prepared_dataset.h"
#include "dataset/writer.h"

namespace espalier::dataset::testing {

inline constexpr int kGrid = 2, kViews = 3, kSize = 8;

// The header of an RGBA PNG of kSize; the reader looks no further.
std::string png(char tag);

// A table of a dataset's folder; an empty one, and a failure, when it cannot be read.
CsvTable table_of(const std::filesystem::path& file);

// Prepares datasets of objects with small, made-up files.
class SmallSet : public ::testing::Test {
 protected:
  SmallSet();

  std::filesystem::path path(const std::string& name) const { return folder_->path() / name; }

  void add_file(ObjectRecord& object, const std::string& name, const std::string& bytes);
  // Named by its content; every value of its latent is `value`.
  ObjectRecord& add_object(const std::string& content, float value = 0.5f);

  Status write(const std::string& name = "set.zip") { return write_dataset(manifest_, files_, path(name)); }
  // The dataset as a folder, to be damaged.
  std::filesystem::path unpacked();

  Result<TempDir> folder_ = TempDir::create("dataset_test");
  Manifest manifest_;
  FilesOnDisk files_;
};

}  // namespace espalier::dataset::testing

#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/status.h"
#include "dataset/prepared_dataset.h"
#include "preprocess/discovery.h"

namespace espalier::preprocess {

// Finished objects in the work folder, so that a run that was stopped goes on where it was. An object appears in one
// step (its folder is renamed into place) or not at all. Thread-safe for different objects.
//
//   <work>/<key>/<sha256>/record.json and the object's files under their paths in the dataset
class ObjectStore {
 public:
  // `key` names everything besides the asset that its files depend on. UNAVAILABLE when the folder cannot be made.
  static Result<ObjectStore> open(const std::filesystem::path& work, const std::string& key);

  // The record of an object finished earlier from the same bytes, companions and orientation, its files verified.
  std::optional<dataset::ObjectRecord> find(const Asset& asset) const;

  // A fresh folder to put the object's files into.
  Result<std::filesystem::path> begin(const Asset& asset) const;
  // Hashes the files named in `paths`, adds them to `record`, and makes the object appear.
  Status commit(const Asset& asset, const std::vector<std::string>& paths, dataset::ObjectRecord& record) const;

  std::filesystem::path folder(const Asset& asset) const { return root_ / asset.sha256; }

 private:
  explicit ObjectStore(std::filesystem::path root) : root_(std::move(root)) {}
  std::filesystem::path root_;
};

}  // namespace espalier::preprocess

#include "tests/e2e/jobs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "archive/zip_reader.h"

namespace espalier::e2e {
namespace {

const std::vector<std::string> kSettings = {"--rank", "16", "--steps", "100", "--lr", "2e-3", "--seed", "3"};

}  // namespace

using nlohmann::json;

std::vector<std::string> submit(const std::string& source, const std::vector<std::string>& more,
                                const std::string& denoisers) {
  std::vector<std::string> arguments = {"submit", source, "--denoisers", denoisers};
  arguments.insert(arguments.end(), kSettings.begin(), kSettings.end());
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

std::string submitted(const std::string& source, const std::vector<std::string>& more) {
  return json::parse(installation().espalier_json(submit(source, more)))["job_id"];
}

json finish(const std::string& job_id) {
  installation().espalier({"watch", job_id});
  return json::parse(installation().espalier_json({"job", job_id}));
}

std::string adapter_digest(const std::string& job_id, const std::string& folder_name) {
  const auto folder = installation().folder() / folder_name;
  const auto output = installation().espalier({"download", job_id, "-o", folder.string()});
  EXPECT_EQ(output.code, 0) << output.text();
  const auto file = read_file(folder / "sparse_structure.safetensors");
  EXPECT_TRUE(file.ok()) << file.status();
  if (!file.ok() || file->size() < 8) return "";
  uint64_t length = 0;
  std::memcpy(&length, file->data(), sizeof length);
  return json::parse(file->substr(8, length))["__metadata__"]["espalier.weights_sha256"];
}

const json& reference_job() {
  static const json job = finish(submitted(assets().string()));
  return job;
}

const std::filesystem::path& reference_picture() {
  static const std::filesystem::path path = [] {
    const auto folder = installation().folder() / "picture";
    const auto output =
        installation().espalier({"download", reference_job()["job_id"], "--dataset", "-o", folder.string()});
    EXPECT_EQ(output.code, 0) << output.text();
    auto dataset = archive::ZipReader::open(folder / "dataset.zip");
    EXPECT_TRUE(dataset.ok()) << dataset.status();
    if (!dataset.ok()) return folder;
    const auto& entries = (*dataset)->entries();
    const auto view =
        std::find_if(entries.begin(), entries.end(), [](const auto& e) { return e.name.ends_with("/008.png"); });
    if (view == entries.end()) {
      ADD_FAILURE() << "the dataset has no view 8";
      return folder;
    }
    const auto png = (*dataset)->read(*view, 1 << 24);
    EXPECT_TRUE(png.ok() && write_file_atomic(folder / "008.png", *png).ok());
    return folder / "008.png";
  }();
  return path;
}

}  // namespace espalier::e2e

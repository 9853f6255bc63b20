#include "train/checkpoint.h"

#include <fcntl.h>
#include <torch/types.h>

#include <algorithm>
#include <regex>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/sha256.h"
#include "nn/io/safetensors.h"

namespace espalier::train {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kVersion = "1";

std::string content_sha256(const nn::TensorMap& tensors, const std::string& state) {
  Sha256 digest;
  digest.update(state);
  for (const auto& [name, tensor] : tensors) {
    digest.update(name);
    const auto bytes = tensor.cpu().contiguous();
    digest.update(std::string_view(static_cast<const char*>(bytes.const_data_ptr()), bytes.nbytes()));
  }
  return digest.hex_digest();
}

// Checkpoints of the folder, newest first.
std::vector<fs::path> checkpoints_in(const fs::path& folder) {
  static const std::regex kName("step_[0-9]{7,}\\.ckpt");
  std::vector<fs::path> paths;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (std::regex_match(entry.path().filename().string(), kName)) paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end(), [](const fs::path& a, const fs::path& b) {
    const auto x = a.filename().string(), y = b.filename().string();
    return x.size() != y.size() ? x.size() > y.size() : x > y;
  });
  return paths;
}

Result<Checkpoint> load(const fs::path& path) {
  ESP_ASSIGN(const auto file, nn::SafetensorsFile::open(path));
  const auto& header = file.metadata();
  const auto text = [&](const char* key) {
    const auto found = header.find(key);
    return found == header.end() ? std::string() : found->second;
  };
  if (text("espalier.checkpoint") != kVersion) return absl::DataLossError("not a checkpoint of this version");
  Checkpoint checkpoint;
  checkpoint.fingerprint = text("fingerprint");
  checkpoint.state = json::parse(text("state"), nullptr, false);
  if (!checkpoint.state.is_object() || !checkpoint.state.contains("step")) {
    return absl::DataLossError("its state is not readable");
  }
  checkpoint.step = checkpoint.state["step"].get<int64_t>();
  ESP_ASSIGN(checkpoint.tensors, file.tensors());
  if (content_sha256(checkpoint.tensors, text("state")) != text("sha256")) {
    return absl::DataLossError("its content does not have the recorded hash");
  }
  return checkpoint;
}

}  // namespace

Result<fs::path> save_checkpoint(const fs::path& folder, const Checkpoint& checkpoint, int keep) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return absl::FailedPreconditionError(absl::StrCat(folder.string(), ": ", error.message()));
  json state = checkpoint.state;
  state["step"] = checkpoint.step;
  const auto text = state.dump();
  const auto path = folder / absl::StrFormat("step_%07d.ckpt", checkpoint.step);
  ESP_TRY(nn::write_safetensors(path, checkpoint.tensors,
                                {{"espalier.checkpoint", kVersion},
                                 {"fingerprint", checkpoint.fingerprint},
                                 {"state", text},
                                 {"sha256", content_sha256(checkpoint.tensors, text)}}));
  const auto all = checkpoints_in(folder);
  for (size_t i = static_cast<size_t>(std::max(keep, 1)); i < all.size(); ++i) fs::remove(all[i], error);
  return path;
}

Result<std::optional<Checkpoint>> load_newest_checkpoint(const fs::path& folder, const std::string& fingerprint,
                                                         const std::function<void(const std::string&)>& warn) {
  for (const auto& path : checkpoints_in(folder)) {
    auto checkpoint = load(path);
    if (!checkpoint.ok()) {
      warn(absl::StrCat("checkpoint ", path.filename().string(), " is not usable: ", checkpoint.status().message()));
      continue;
    }
    if (checkpoint->fingerprint != fingerprint) {
      return absl::FailedPreconditionError(
          absl::StrCat("checkpoint ", path.string(), " belongs to a run with other settings (", checkpoint->fingerprint,
                       "); this run has ", fingerprint, ". Choose another folder, or start anew with --resume none"));
    }
    return std::optional<Checkpoint>(*std::move(checkpoint));
  }
  return std::optional<Checkpoint>();
}

}  // namespace espalier::train

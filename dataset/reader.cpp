#include "dataset/reader.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/sha256.h"
#include "dataset/file_source.h"
#include "dataset/layout.h"
#include "dataset/npz.h"

namespace espalier::dataset {
namespace {

constexpr uint64_t kMaxManifestBytes = uint64_t{1} << 30;
constexpr uint64_t kMaxFileBytes = uint64_t{128} << 20;  // one view or one latent
constexpr int kMaxChannels = 64, kMaxGrid = 64;

struct LatentShape {
  int channels = 0, grid = 0;
  bool operator==(const LatentShape&) const = default;
};

struct Latent {
  LatentShape shape;
  std::vector<float> values;
};

Result<Latent> parse_latent(std::string_view bytes) {
  ESP_ASSIGN(const auto arrays, read_npz(bytes, {kMaxFileBytes}));
  const auto z = arrays.find("z");
  if (z == arrays.end()) return absl::InvalidArgumentError("has no array \"z\"");
  const auto& shape = z->second.shape;
  const bool cube = shape.size() == 4 && shape[1] == shape[2] && shape[2] == shape[3];
  if (!cube || z->second.dtype != "<f4" || shape[0] < 1 || shape[0] > kMaxChannels || shape[1] < 1 ||
      shape[1] > kMaxGrid)
    return absl::InvalidArgumentError("z is not float32 [C, r, r, r]");
  Latent latent{{static_cast<int>(shape[0]), static_cast<int>(shape[1])}, {}};
  ESP_ASSIGN(latent.values, z->second.floats());
  if (!std::all_of(latent.values.begin(), latent.values.end(), [](float v) { return std::isfinite(v); }))
    return absl::InvalidArgumentError("z has values that are not finite");
  return latent;
}

Result<std::vector<uint8_t>> parse_occupancy(std::string_view bytes, int resolution) {
  ESP_ASSIGN(const auto arrays, read_npz(bytes, {kMaxFileBytes}));
  const auto coords = arrays.find("coords");
  if (coords == arrays.end()) return absl::InvalidArgumentError("has no array \"coords\"");
  const auto& shape = coords->second.shape;
  if (shape.size() != 2 || shape[1] != 3) return absl::InvalidArgumentError("coords is not uint8 [M, 3]");
  ESP_ASSIGN(std::vector<uint8_t> values, coords->second.u8());
  if (std::any_of(values.begin(), values.end(), [&](uint8_t v) { return v >= resolution; }))
    return absl::InvalidArgumentError("coords has values outside the grid");
  return values;
}

// A PNG whose header says 8-bit RGBA, square, of the given size. The pixels are checked where they are decoded.
Status check_png(std::string_view bytes, int size) {
  constexpr std::string_view kSignature("\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 16);
  if (bytes.size() < 33 || !bytes.starts_with(kSignature)) return absl::InvalidArgumentError("is not a PNG file");
  const auto big_endian = [&](size_t at) {
    uint32_t value = 0;
    for (size_t i = 0; i < 4; ++i) value = (value << 8) | static_cast<unsigned char>(bytes[at + i]);
    return value;
  };
  const auto side = static_cast<uint32_t>(size);
  if (big_endian(16) != side || big_endian(20) != side || bytes[24] != 8 || bytes[25] != 6)
    return absl::InvalidArgumentError(absl::StrCat("is not an RGBA image of ", size, " x ", size, " pixels"));
  return absl::OkStatus();
}

// Checks one object of the manifest and makes the Object of it.
class Checker {
 public:
  Checker(const Manifest& manifest, std::shared_ptr<const FileSource> source, bool verify)
      : manifest_(manifest), source_(std::move(source)), verify_(verify) {}

  Result<Object> check(const ObjectRecord& record) const {
    Object object;
    object.sha256 = record.sha256;
    object.name = record.name;
    object.split = record.split;
    object.repeat = record.repeat;
    object.ss_resolution = manifest_.ss_resolution;
    object.source = source_;
    std::unordered_map<std::string_view, const FileRecord*> listed;
    for (const FileRecord& file : record.files) listed.emplace(file.path, &file);
    ESP_TRY(check_latent(listed, object));
    ESP_TRY(check_occupancy(listed, object));
    for (int i = 0; i < manifest_.render.views; ++i) {
      const std::string path = absl::StrCat(folder("render_cond"), "/", record.sha256, "/", view_name(i));
      ESP_ASSIGN(const FileRecord* file, find(listed, path));
      ESP_TRY(check_view(*file));
      object.view_paths.push_back(path);
    }
    return object;
  }

 private:
  using Listed = std::unordered_map<std::string_view, const FileRecord*>;

  std::string folder(const char* kind) const {
    const auto found = manifest_.folders.find(kind);
    return found == manifest_.folders.end() ? "" : found->second;
  }

  Result<const FileRecord*> find(const Listed& listed, const std::string& path) const {
    const auto found = listed.find(path);
    if (found == listed.end()) return absl::InvalidArgumentError(absl::StrCat(path, ": not listed in the manifest"));
    const auto size = source_->size(path);
    if (!size) return absl::NotFoundError(absl::StrCat(path, ": missing"));
    if (*size != found->second->bytes)
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": has ", *size, " bytes; ", found->second->bytes, " are listed"));
    return found->second;
  }

  Result<std::string> read(const FileRecord& file) const {
    ESP_ASSIGN(std::string bytes, source_->read(file.path, kMaxFileBytes));
    if (verify_ && sha256_hex(bytes) != file.sha256)
      return absl::InvalidArgumentError(absl::StrCat(file.path, ": its content does not match the listed SHA-256"));
    return bytes;
  }

  Status check_latent(const Listed& listed, Object& object) const {
    object.ss_latent_path = absl::StrCat(folder("ss_latent"), "/", object.sha256, ".npz");
    ESP_ASSIGN(const FileRecord* file, find(listed, object.ss_latent_path));
    ESP_ASSIGN(const std::string bytes, read(*file));
    const auto latent = parse_latent(bytes);
    if (!latent.ok()) return annotate(latent.status(), file->path);
    object.ss_channels = latent->shape.channels;
    object.ss_grid = latent->shape.grid;
    return absl::OkStatus();
  }

  Status check_occupancy(const Listed& listed, Object& object) const {
    const std::string path = absl::StrCat(folder("ss_occupancy"), "/", object.sha256, ".npz");
    if (!listed.contains(path)) return absl::OkStatus();
    ESP_ASSIGN(const FileRecord* file, find(listed, path));
    if (verify_) {
      ESP_ASSIGN(const std::string bytes, read(*file));
      ESP_TRY(annotate(parse_occupancy(bytes, manifest_.ss_resolution).status(), path));
    }
    object.occupancy_path = path;
    return absl::OkStatus();
  }

  Status check_view(const FileRecord& file) const {
    if (!verify_) return absl::OkStatus();
    ESP_ASSIGN(const std::string bytes, read(file));
    return annotate(check_png(bytes, manifest_.render.size), file.path);
  }

  const Manifest& manifest_;
  const std::shared_ptr<const FileSource> source_;
  const bool verify_;
};

// The objects with sparse-structure data, by sha256.
std::vector<const ObjectRecord*> usable(const Manifest& manifest) {
  std::vector<const ObjectRecord*> out;
  for (const ObjectRecord& object : manifest.objects) {
    const auto stage = object.stages.find("sparse_structure");
    const bool prepared = object.status == "ok" || object.status == "partial";
    if (prepared && stage != object.stages.end() && stage->second == "ok") out.push_back(&object);
  }
  std::sort(out.begin(), out.end(), [](const auto* a, const auto* b) { return a->sha256 < b->sha256; });
  return out;
}

std::vector<Result<Object>> check_all(const Checker& checker, const std::vector<const ObjectRecord*>& records,
                                      int threads) {
  std::vector<Result<Object>> results(records.size(), absl::UnknownError(""));
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    for (size_t i = next++; i < records.size(); i = next++) results[i] = checker.check(*records[i]);
  };
  const size_t wanted = threads > 0 ? static_cast<size_t>(threads) : std::max(1u, std::thread::hardware_concurrency());
  std::vector<std::jthread> pool;
  for (size_t i = 1; i < std::min(wanted, records.size()); ++i) pool.emplace_back(work);
  work();
  pool.clear();
  return results;
}

// Drops bad objects (and those whose latent has another shape than the first good one) with a warning each.
void collect(std::vector<Result<Object>> results, const std::vector<const ObjectRecord*>& records,
             std::vector<Object>& objects, std::vector<std::string>& warnings) {
  std::unordered_set<std::string> seen;
  for (size_t i = 0; i < results.size(); ++i) {
    const auto drop = [&](std::string_view why) {
      warnings.push_back(absl::StrCat("object ", records[i]->sha256.substr(0, 12), " dropped: ", std::string(why)));
    };
    if (!results[i].ok()) {
      drop(std::string(results[i].status().message()));
      continue;
    }
    Object& object = *results[i];
    if (!seen.insert(object.sha256).second) {
      drop("listed twice");
    } else if (!objects.empty() &&
               (object.ss_channels != objects[0].ss_channels || object.ss_grid != objects[0].ss_grid)) {
      drop("its latent has another shape than the others");
    } else {
      objects.push_back(std::move(object));
    }
  }
}

}  // namespace

Result<std::vector<float>> Object::ss_latent() const {
  ESP_ASSIGN(const std::string bytes, source->read(ss_latent_path, kMaxFileBytes));
  auto latent = parse_latent(bytes);
  if (!latent.ok()) return annotate(latent.status(), ss_latent_path);
  if (latent->shape != LatentShape{ss_channels, ss_grid})
    return absl::DataLossError(absl::StrCat(ss_latent_path, ": changed while the dataset was open"));
  return std::move(latent->values);
}

Result<std::string> Object::view_png(size_t i) const {
  if (i >= view_paths.size())
    return absl::InvalidArgumentError(absl::StrCat("view ", i, ": the object has ", view_paths.size()));
  return source->read(view_paths[i], kMaxFileBytes);
}

Result<std::optional<std::vector<uint8_t>>> Object::occupancy() const {
  if (occupancy_path.empty()) return std::nullopt;
  ESP_ASSIGN(const std::string bytes, source->read(occupancy_path, kMaxFileBytes));
  auto coords = parse_occupancy(bytes, ss_resolution);
  if (!coords.ok()) return annotate(coords.status(), occupancy_path);
  return std::optional(*std::move(coords));
}

Result<PreparedDataset> PreparedDataset::open(const std::filesystem::path& path, const OpenOptions& options) {
  ESP_ASSIGN(auto whole, open_source(path));
  const std::vector<std::string> names = whole->names();
  ESP_ASSIGN(const Detection detection, detect(names));
  if (detection.kind != Kind::kPrepared)
    return absl::InvalidArgumentError(
        absl::StrCat(path.filename().string(), ": not a prepared dataset (no prepared_dataset.json and metadata.csv)"));
  for (const std::string& name : names) {
    if (name.ends_with(".pickle") || name.ends_with(".pkl"))
      return absl::InvalidArgumentError(absl::StrCat(name, ": pickle files are not accepted in a prepared dataset"));
  }
  const auto source = below(std::move(whole), detection.root);
  ESP_ASSIGN(const std::string json, source->read(std::string(kManifestName), kMaxManifestBytes));
  PreparedDataset dataset;
  ESP_ASSIGN(dataset.manifest_, parse_manifest(json));
  dataset.id_ = dataset_id(dataset.manifest_);
  const auto records = usable(dataset.manifest_);
  if (records.empty()) return dataset;
  const Checker checker(dataset.manifest_, source, options.verify_hashes);
  collect(check_all(checker, records, options.threads), records, dataset.objects_, dataset.warnings_);
  if (dataset.objects_.empty())
    return absl::InvalidArgumentError(absl::StrCat("no usable object in the prepared dataset; ", dataset.warnings_[0]));
  return dataset;
}

}  // namespace espalier::dataset

#include "dataset/reader.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <optional>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/parallel.h"
#include "common/sha256.h"
#include "dataset/file_source.h"
#include "dataset/latent_files.h"
#include "dataset/layout.h"

namespace espalier::dataset {
namespace {

constexpr uint64_t kMaxManifestBytes = uint64_t{1} << 30;

constexpr const char* kSparseStructure = "sparse_structure";
constexpr const char* kGeometry = "geometry";
constexpr const char* kTexture = "texture";

// What an object knows of a structured latent, and what the manifest calls it.
struct LatentKind {
  const char* stage;
  const char* folder;
  int Object::*tokens;
  int Object::*channels;
  int Object::*grid;
  std::string Object::*path;
};

constexpr LatentKind kShapeLatent = {kGeometry,
                                     "shape_latent",
                                     &Object::shape_tokens,
                                     &Object::shape_channels,
                                     &Object::shape_grid,
                                     &Object::shape_latent_path};
constexpr LatentKind kTextureLatent = {kTexture,
                                       "pbr_latent",
                                       &Object::texture_tokens,
                                       &Object::texture_channels,
                                       &Object::texture_grid,
                                       &Object::texture_latent_path};

void make_unusable(const LatentKind& kind, Object& object) {
  object.*kind.tokens = object.*kind.channels = object.*kind.grid = 0;
}

// An object that is usable for at least one stage, and why it is not for others that the manifest promises.
struct Checked {
  Object object;
  std::vector<std::string> warnings;
};

// Checks one object of the manifest and makes the Object of it.
class Checker {
 public:
  Checker(const Manifest& manifest, std::shared_ptr<const FileSource> source, bool verify)
      : manifest_(manifest), source_(std::move(source)), verify_(verify) {}

  Result<Checked> check(const ObjectRecord& record) const {
    Checked checked;
    Object& object = checked.object;
    object.sha256 = record.sha256;
    object.name = record.name;
    object.split = record.split;
    object.repeat = record.repeat;
    object.ss_resolution = manifest_.ss_resolution;
    object.source = source_;
    Listed listed;
    for (const FileRecord& file : record.files) listed.emplace(file.path, &file);
    ESP_TRY(check_views(listed, object));
    int usable = 0;
    const auto stage = [&](const char* name, const Status& status) {
      if (status.ok())
        ++usable;
      else
        checked.warnings.push_back(absl::StrCat("not usable for ", name, ": ", std::string(status.message())));
    };
    if (is_usable(record, kSparseStructure)) stage(kSparseStructure, check_structure(listed, object));
    std::vector<uint8_t> cells;
    if (is_usable(record, kGeometry)) stage(kGeometry, check_shape(listed, object, cells));
    if (is_usable(record, kTexture)) stage(kTexture, check_texture(listed, object, cells));
    if (usable == 0) return absl::InvalidArgumentError(absl::StrJoin(checked.warnings, "; "));
    return checked;
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

  // The object's file of a kind, verified.
  Result<std::string> read_npz_of(const char* kind, const Listed& listed, const Object& object) const {
    ESP_ASSIGN(const FileRecord* file, find(listed, npz_path(kind, object)));
    return read(*file);
  }

  std::string npz_path(const char* kind, const Object& object) const {
    return absl::StrCat(folder(kind), "/", object.sha256, ".npz");
  }

  // On an error the object stays without sparse-structure data.
  Status check_structure(const Listed& listed, Object& object) const {
    const std::string path = npz_path("ss_latent", object);
    ESP_ASSIGN(const std::string bytes, read_npz_of("ss_latent", listed, object));
    const auto latent = parse_ss_latent(bytes);
    if (!latent.ok()) return annotate(latent.status(), path);
    ESP_TRY(check_occupancy(listed, object));
    object.ss_latent_path = path;
    object.ss_channels = latent->channels;
    object.ss_grid = latent->grid;
    return absl::OkStatus();
  }

  Status check_occupancy(const Listed& listed, Object& object) const {
    const std::string path = npz_path("ss_occupancy", object);
    if (!listed.contains(path)) return absl::OkStatus();
    ESP_ASSIGN(const FileRecord* file, find(listed, path));
    if (verify_) {
      ESP_ASSIGN(const std::string bytes, read(*file));
      ESP_TRY(annotate(parse_occupancy(bytes, manifest_.ss_resolution).status(), path));
    }
    object.occupancy_path = path;
    return absl::OkStatus();
  }

  Result<StructuredLatent> read_latent(const LatentKind& kind, const Listed& listed, const Object& object) const {
    const int grid = latent_grid(manifest_);
    if (grid == 0)
      return absl::InvalidArgumentError(absl::StrCat("resolution ", manifest_.resolution, " and grid_scale ",
                                                     manifest_.grid_scale, " give no grid of structured latents"));
    ESP_ASSIGN(const std::string bytes, read_npz_of(kind.folder, listed, object));
    auto latent = parse_structured_latent(bytes, grid, max_latent_tokens(manifest_.resolution));
    if (!latent.ok()) return annotate(latent.status(), npz_path(kind.folder, object));
    return latent;
  }

  void make_usable(const LatentKind& kind, const StructuredLatent& latent, Object& object) const {
    object.*kind.path = npz_path(kind.folder, object);
    object.*kind.tokens = static_cast<int>(latent.coords.size() / 3);
    object.*kind.channels = latent.channels;
    object.*kind.grid = latent_grid(manifest_);
  }

  // On an error the object stays without geometry data. `cells` gets the latent's coordinates.
  Status check_shape(const Listed& listed, Object& object, std::vector<uint8_t>& cells) const {
    ESP_ASSIGN(StructuredLatent latent, read_latent(kShapeLatent, listed, object));
    make_usable(kShapeLatent, latent, object);
    cells = std::move(latent.coords);
    return absl::OkStatus();
  }

  // On an error the object stays without texture data. Texture is trained beside the shape, on its `cells`.
  Status check_texture(const Listed& listed, Object& object, const std::vector<uint8_t>& cells) const {
    if (object.shape_tokens == 0) return absl::InvalidArgumentError("it has no usable shape latent");
    ESP_ASSIGN(const StructuredLatent latent, read_latent(kTextureLatent, listed, object));
    if (latent.coords != cells)
      return absl::InvalidArgumentError(absl::StrCat("COORD_MISMATCH: ", npz_path(kTextureLatent.folder, object),
                                                     " has not the cells of the shape latent in their order"));
    make_usable(kTextureLatent, latent, object);
    return absl::OkStatus();
  }

  Status check_views(const Listed& listed, Object& object) const {
    for (int i = 0; i < manifest_.render.views; ++i) {
      const std::string path = absl::StrCat(folder("render_cond"), "/", object.sha256, "/", view_name(i));
      ESP_ASSIGN(const FileRecord* file, find(listed, path));
      ESP_TRY(check_view(*file));
      object.view_paths.push_back(path);
    }
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

// The objects with data for a stage, by sha256.
std::vector<const ObjectRecord*> usable(const Manifest& manifest) {
  std::vector<const ObjectRecord*> out;
  for (const ObjectRecord& object : manifest.objects) {
    const auto has = [&](const char* stage) { return is_usable(object, stage); };
    if (has(kSparseStructure) || has(kGeometry) || has(kTexture)) out.push_back(&object);
  }
  std::sort(out.begin(), out.end(), [](const auto* a, const auto* b) { return a->sha256 < b->sha256; });
  return out;
}

std::vector<Result<Checked>> check_all(const Checker& checker, const std::vector<const ObjectRecord*>& records,
                                       int threads) {
  std::vector<Result<Checked>> results(records.size(), absl::UnknownError(""));
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    for (size_t i = next++; i < records.size(); i = next++) results[i] = checker.check(*records[i]);
  };
  std::vector<std::jthread> pool;
  for (int i = 1; i < worker_count(threads, records.size()); ++i) pool.emplace_back(work);
  work();
  pool.clear();
  return results;
}

// Drops bad objects with a warning each, and takes away stages whose latents have another shape than the first's.
class Collector {
 public:
  Collector(std::vector<Object>& objects, std::vector<std::string>& warnings)
      : objects_(objects), warnings_(warnings) {}

  void add(const std::string& sha256, Result<Checked> checked) {
    const auto warn = [&](const std::string& what) {
      warnings_.push_back(absl::StrCat("object ", sha256.substr(0, 12), " ", what));
    };
    if (!checked.ok()) return warn(absl::StrCat("dropped: ", std::string(checked.status().message())));
    Object& object = checked->object;
    if (!seen_.insert(sha256).second) return warn("dropped: listed twice");
    for (const std::string& warning : checked->warnings) warn(warning);
    if (!agrees(object.ss_channels, object.ss_grid, structure_)) {
      warn("not usable for sparse_structure: its latent has another shape than the others");
      object.ss_channels = object.ss_grid = 0;
    }
    for (const LatentKind& kind : {kShapeLatent, kTextureLatent}) {
      if (agrees(object.*kind.channels, object.*kind.grid, structured_[kind.stage])) continue;
      warn(absl::StrCat("not usable for ", kind.stage, ": its latent has another shape than the others"));
      make_unusable(kind, object);
    }
    if (object.texture_tokens > 0 && object.shape_tokens == 0) {
      warn("not usable for texture: it has no usable shape latent");
      make_unusable(kTextureLatent, object);
    }
    if (object.ss_channels > 0 || object.shape_tokens > 0) objects_.push_back(std::move(object));
  }

 private:
  using Shape = std::pair<int, int>;  // channels, grid

  // The first object with data of a kind decides for all.
  static bool agrees(int channels, int grid, std::optional<Shape>& all) {
    if (channels == 0) return true;
    if (!all) all = {channels, grid};
    return *all == Shape(channels, grid);
  }

  std::vector<Object>& objects_;
  std::vector<std::string>& warnings_;
  std::unordered_set<std::string> seen_;
  std::optional<Shape> structure_;
  std::map<std::string_view, std::optional<Shape>> structured_;  // by stage
};

Status changed(const std::string& path) {
  return absl::DataLossError(absl::StrCat(path, ": changed while the dataset was open"));
}

Result<StructuredLatent> read_again(const Object& object, const LatentKind& kind) {
  if (object.*kind.tokens == 0)
    return absl::FailedPreconditionError(absl::StrCat("the object has no ", kind.stage, " data"));
  const std::string& path = object.*kind.path;
  ESP_ASSIGN(const std::string bytes, object.source->read(path, kMaxFileBytes));
  auto latent = parse_structured_latent(bytes, object.*kind.grid, object.*kind.tokens);
  if (!latent.ok()) return annotate(latent.status(), path);
  const bool same = latent->coords.size() == 3 * static_cast<size_t>(object.*kind.tokens);
  if (!same || latent->channels != object.*kind.channels) return changed(path);
  return latent;
}

}  // namespace

Result<std::vector<float>> Object::ss_latent() const {
  if (ss_channels == 0) return absl::FailedPreconditionError("the object has no sparse-structure data");
  ESP_ASSIGN(const std::string bytes, source->read(ss_latent_path, kMaxFileBytes));
  auto latent = parse_ss_latent(bytes);
  if (!latent.ok()) return annotate(latent.status(), ss_latent_path);
  if (latent->channels != ss_channels || latent->grid != ss_grid) return changed(ss_latent_path);
  return std::move(latent->values);
}

Result<StructuredLatent> Object::shape_latent() const { return read_again(*this, kShapeLatent); }

Result<StructuredLatent> Object::texture_latent() const { return read_again(*this, kTextureLatent); }

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
  auto checked = check_all(checker, records, options.threads);
  Collector collector(dataset.objects_, dataset.warnings_);
  for (size_t i = 0; i < records.size(); ++i) collector.add(records[i]->sha256, std::move(checked[i]));
  if (dataset.objects_.empty())
    return absl::InvalidArgumentError(absl::StrCat("no usable object in the prepared dataset; ", dataset.warnings_[0]));
  return dataset;
}

}  // namespace espalier::dataset

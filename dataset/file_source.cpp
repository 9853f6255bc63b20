#include "dataset/file_source.h"

#include <map>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "archive/zip_reader.h"
#include "common/files.h"

namespace espalier::dataset {
namespace {

namespace fs = std::filesystem;

// A prepared dataset may be larger than an upload: 16 images for each of many thousand objects.
archive::Limits zip_limits() {
  archive::Limits limits;
  limits.max_archive_bytes = limits.max_total_bytes = uint64_t{4} << 40;
  limits.max_entries = 4'000'000;
  limits.max_entry_bytes = uint64_t{1} << 30;
  return limits;
}

class ZipSource final : public FileSource {
 public:
  explicit ZipSource(std::shared_ptr<const archive::ZipReader> zip) : zip_(std::move(zip)) {}

  std::vector<std::string> names() const override {
    std::vector<std::string> out;
    for (const auto& entry : zip_->entries()) {
      if (!entry.is_folder) out.push_back(entry.name);
    }
    return out;
  }
  std::optional<uint64_t> size(const std::string& name) const override {
    const auto* entry = zip_->find(name);
    return entry == nullptr ? std::nullopt : std::optional(entry->bytes);
  }
  Result<std::string> read(const std::string& name, uint64_t max_bytes) const override {
    const auto* entry = zip_->find(name);
    if (entry == nullptr) return absl::NotFoundError(absl::StrCat(name, ": not in the dataset"));
    return zip_->read(*entry, max_bytes);
  }

 private:
  const std::shared_ptr<const archive::ZipReader> zip_;
};

class FolderSource final : public FileSource {
 public:
  static Result<std::shared_ptr<const FileSource>> open(const fs::path& folder) {
    auto source = std::make_shared<FolderSource>();
    source->folder_ = folder;
    std::error_code error;
    for (fs::recursive_directory_iterator walk(folder, error), end; !error && walk != end; walk.increment(error)) {
      const std::string name = walk->path().lexically_relative(folder).generic_string();
      if (walk->is_symlink(error)) return absl::InvalidArgumentError(absl::StrCat(name, ": is a symbolic link"));
      if (walk->is_regular_file(error)) source->sizes_[name] = walk->file_size(error);
    }
    if (error) return absl::NotFoundError(absl::StrCat(folder.string(), ": ", error.message()));
    return source;
  }

  std::vector<std::string> names() const override {
    std::vector<std::string> out;
    for (const auto& [name, bytes] : sizes_) out.push_back(name);
    return out;
  }
  std::optional<uint64_t> size(const std::string& name) const override {
    const auto found = sizes_.find(name);
    return found == sizes_.end() ? std::nullopt : std::optional(found->second);
  }
  Result<std::string> read(const std::string& name, uint64_t max_bytes) const override {
    if (!sizes_.contains(name)) return absl::NotFoundError(absl::StrCat(name, ": not in the dataset"));
    return read_file(folder_ / name, max_bytes);
  }

 private:
  fs::path folder_;
  std::map<std::string, uint64_t> sizes_;
};

class Below final : public FileSource {
 public:
  Below(std::shared_ptr<const FileSource> source, std::string root)
      : source_(std::move(source)), root_(std::move(root)) {}

  std::vector<std::string> names() const override {
    std::vector<std::string> out;
    for (const std::string& name : source_->names()) {
      if (name.starts_with(root_)) out.push_back(name.substr(root_.size()));
    }
    return out;
  }
  std::optional<uint64_t> size(const std::string& name) const override { return source_->size(root_ + name); }
  Result<std::string> read(const std::string& name, uint64_t max_bytes) const override {
    return source_->read(root_ + name, max_bytes);
  }

 private:
  const std::shared_ptr<const FileSource> source_;
  const std::string root_;
};

}  // namespace

Result<std::shared_ptr<const FileSource>> open_source(const fs::path& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) return FolderSource::open(path);
  ESP_ASSIGN(auto zip, archive::ZipReader::open(path, zip_limits()));
  return std::shared_ptr<const FileSource>(std::make_shared<ZipSource>(std::move(zip)));
}

std::shared_ptr<const FileSource> below(std::shared_ptr<const FileSource> source, std::string root) {
  return std::make_shared<Below>(std::move(source), std::move(root));
}

}  // namespace espalier::dataset

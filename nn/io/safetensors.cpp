#include "nn/io/safetensors.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <torch/types.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/files.h"
#include "nn/io/safetensors_header.h"

namespace espalier::nn {
namespace {

constexpr uint64_t kLengthBytes = 8;

struct TypeName {
  at::ScalarType type;
  const char* name;
};
constexpr TypeName kTypes[] = {{at::kDouble, "F64"}, {at::kFloat, "F32"}, {at::kHalf, "F16"},  {at::kBFloat16, "BF16"},
                               {at::kLong, "I64"},   {at::kInt, "I32"},   {at::kShort, "I16"}, {at::kChar, "I8"},
                               {at::kByte, "U8"},    {at::kBool, "BOOL"}};

std::optional<at::ScalarType> type_of(const std::string& name) {
  for (const auto& entry : kTypes) {
    if (name == entry.name) return entry.type;
  }
  return std::nullopt;
}

const char* name_of(at::ScalarType type) {
  for (const auto& entry : kTypes) {
    if (type == entry.type) return entry.name;
  }
  return nullptr;
}

class Mapping {
 public:
  static Result<std::shared_ptr<const Mapping>> open(const std::filesystem::path& path, uint64_t max_bytes) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
      const std::string why = absl::StrCat(path.string(), ": ", std::strerror(errno));
      return errno == ENOENT ? absl::NotFoundError(why) : absl::DataLossError(why);
    }
    auto mapping = map(fd, path.string(), max_bytes);
    ::close(fd);
    return mapping;
  }
  ~Mapping() { ::munmap(const_cast<char*>(data_), size_); }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  const char* data() const { return data_; }
  uint64_t size() const { return size_; }

 private:
  Mapping(const char* data, uint64_t size) : data_(data), size_(size) {}

  static Result<std::shared_ptr<const Mapping>> map(int fd, const std::string& name, uint64_t max_bytes) {
    struct stat info {};
    if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) return absl::DataLossError(name + ": not a regular file");
    const auto size = static_cast<uint64_t>(info.st_size);
    if (size < kLengthBytes + 2) return absl::DataLossError(name + ": too short for a safetensors file");
    if (size > max_bytes)
      return absl::ResourceExhaustedError(absl::StrCat(name, ": larger than ", max_bytes, " bytes"));
    void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED) return absl::DataLossError(absl::StrCat(name, ": ", std::strerror(errno)));
    return std::shared_ptr<const Mapping>(new Mapping(static_cast<const char*>(data), size));
  }

  const char* data_;
  uint64_t size_;
};

uint64_t read_length(const char* bytes) {
  uint64_t value = 0;
  for (int i = 7; i >= 0; --i) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

}  // namespace

struct SafetensorsFile::Content {
  std::string path;
  std::shared_ptr<const Mapping> mapping;
  SafetensorsHeader header;
  const char* data = nullptr;
};

Result<SafetensorsFile> SafetensorsFile::open(const std::filesystem::path& path, const SafetensorsLimits& limits) {
  auto content = std::make_shared<Content>();
  content->path = path.string();
  ESP_ASSIGN(content->mapping, Mapping::open(path, limits.file_bytes));
  const uint64_t rest = content->mapping->size() - kLengthBytes;
  const uint64_t length = read_length(content->mapping->data());
  if (length > rest) return absl::DataLossError(content->path + ": the header is longer than the file");
  if (length > limits.header_bytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat(content->path, ": a header of ", length, " bytes; at most ", limits.header_bytes));
  }
  const std::string_view json(content->mapping->data() + kLengthBytes, length);
  auto header = parse_safetensors_header(json, rest - length, limits);
  if (!header.ok()) return annotate(header.status(), content->path);
  content->header = *std::move(header);
  content->data = content->mapping->data() + kLengthBytes + length;
  return SafetensorsFile(std::move(content));
}

std::vector<std::string> SafetensorsFile::names() const {
  std::vector<std::string> names;
  for (const auto& [name, entry] : content_->header.entries) names.push_back(name);
  return names;
}

bool SafetensorsFile::contains(const std::string& name) const { return entry(name) != nullptr; }

const std::map<std::string, std::string>& SafetensorsFile::metadata() const { return content_->header.metadata; }

const SafetensorsFile::Entry* SafetensorsFile::entry(const std::string& name) const {
  const auto found = content_->header.entries.find(name);
  return found == content_->header.entries.end() ? nullptr : &found->second;
}

Result<at::Tensor> SafetensorsFile::tensor(const std::string& name) const {
  const Entry* found = entry(name);
  if (!found) return absl::NotFoundError(absl::StrCat(content_->path, ": no tensor ", name));
  const auto type = type_of(found->dtype);
  if (!type) return absl::UnimplementedError(absl::StrCat(content_->path, ": ", name, " is ", found->dtype));
  if (found->begin == found->end) return torch::empty(found->shape, *type);
  const char* data = content_->data + found->begin;
  if (*type == at::kBool && std::any_of(data, content_->data + found->end, [](char c) { return c != 0 && c != 1; })) {
    return absl::DataLossError(absl::StrCat(content_->path, ": ", name, ": a boolean is neither 0 nor 1"));
  }
  if (reinterpret_cast<uintptr_t>(data) % c10::elementSize(*type) != 0) {  // the format does not align tensors
    at::Tensor copy = torch::empty(found->shape, *type);
    std::memcpy(copy.data_ptr(), data, found->end - found->begin);
    return copy;
  }
  auto keep = content_->mapping;
  return at::from_blob(
      const_cast<char*>(data), found->shape, [keep](void*) {}, torch::dtype(*type));
}

Result<TensorMap> SafetensorsFile::tensors() const {
  TensorMap result;
  for (const auto& [name, item] : content_->header.entries) {
    if (!type_of(item.dtype)) continue;
    ESP_ASSIGN(result[name], tensor(name));
  }
  return result;
}

Status write_safetensors(const std::filesystem::path& path, const TensorMap& tensors,
                         const std::map<std::string, std::string>& metadata) {
  nlohmann::json header = nlohmann::json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  uint64_t position = 0;
  for (const auto& [name, tensor] : tensors) {
    const char* type = name_of(tensor.scalar_type());
    if (!type) return absl::InvalidArgumentError(absl::StrCat(name, ": type ", c10::toString(tensor.scalar_type())));
    if (name.empty() || name == "__metadata__") return absl::InvalidArgumentError("a tensor needs a name of its own");
    const uint64_t end = position + tensor.nbytes();
    header[name] = {{"dtype", type}, {"shape", tensor.sizes().vec()}, {"data_offsets", {position, end}}};
    position = end;
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const nlohmann::json::exception&) {
    return absl::InvalidArgumentError("safetensors metadata and names must be UTF-8");
  }
  text.resize((text.size() + 7) / 8 * 8, ' ');
  std::string bytes;
  bytes.reserve(kLengthBytes + text.size() + position);
  for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<char>(uint64_t{text.size()} >> (8 * i) & 0xff));
  bytes += text;
  for (const auto& [name, tensor] : tensors) {
    const at::Tensor flat = tensor.detach().to(at::kCPU).contiguous();
    bytes.append(static_cast<const char*>(flat.const_data_ptr()), flat.nbytes());
  }
  return write_file_atomic(path, bytes);
}

}  // namespace espalier::nn

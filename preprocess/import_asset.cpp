#include "preprocess/import_asset.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <new>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "common/installation.h"
#include "mesh/import.h"
#include "preprocess/blender.h"
#include "preprocess/sandbox.h"
#include "preprocess/scene_file.h"

namespace espalier::preprocess {
namespace {

// An unnamed file for the child to write to, mapped once the child has ended.
class ResultFile {
 public:
  explicit ResultFile(const std::filesystem::path& folder)
      : fd_(::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)) {
    if (fd_ >= 0) return;
    std::string name = folder / "import-XXXXXX";  // a file system without unnamed files
    fd_ = ::mkostemp(name.data(), O_CLOEXEC);
    if (fd_ >= 0) ::unlink(name.c_str());
  }
  ~ResultFile() {
    if (map_ != nullptr) ::munmap(map_, bytes_);
    if (fd_ >= 0) ::close(fd_);
  }
  ResultFile(const ResultFile&) = delete;
  ResultFile& operator=(const ResultFile&) = delete;

  int fd() const { return fd_; }
  std::string_view map() {
    struct stat info {};
    if (::fstat(fd_, &info) != 0 || info.st_size <= 0) return {};
    bytes_ = static_cast<size_t>(info.st_size);
    void* map = ::mmap(nullptr, bytes_, PROT_READ, MAP_PRIVATE, fd_, 0);
    if (map == MAP_FAILED) return {};
    map_ = map;
    return {static_cast<const char*>(map_), bytes_};
  }

 private:
  int fd_;
  void* map_ = nullptr;
  size_t bytes_ = 0;
};

// `espalier-preprocess` beside the running program.
std::filesystem::path default_program() {
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/exe", error).parent_path() / "espalier-preprocess";
}

// Why a child that gave no result ended by itself; OK when it ended well. No program to be is the run's fault.
Status explain_code(int code, const std::filesystem::path& program) {
  if (code == 0) return absl::OkStatus();
  if (code == kExecFailed) return absl::UnavailableError(absl::StrCat("cannot run the importer ", program.string()));
  if (code == kNoConfinement) return absl::UnavailableError("the importer cannot confine itself on this system");
  return absl::InvalidArgumentError(absl::StrCat("UNREADABLE: the importer failed with code ", code));
}

// The same of Blender, which is optional: without it only the asset is lost.
Status explain_blender_code(int code, const std::filesystem::path& blender) {
  if (code == 0) return absl::OkStatus();
  const auto unsupported = [](const auto&... why) {
    return absl::InvalidArgumentError(absl::StrCat("UNSUPPORTED_FEATURE: ", why...));
  };
  if (code == kNoBlender || code == kExecFailed) return unsupported("Blender cannot be run: ", blender.string());
  if (code == kNoConfinement)
    return unsupported(".blend files are read only where the kernel can confine Blender (Landlock and seccomp)");
  return absl::InvalidArgumentError(absl::StrCat("UNREADABLE: Blender failed with code ", code));
}

// The same of any child that did not end by itself.
Status explain(const ChildExit& exit, const SandboxLimits& limits) {
  if (exit.kind == ChildExit::Kind::kTimedOut)
    return absl::DeadlineExceededError(
        absl::StrCat("TIMEOUT: reading the asset takes longer than ", limits.wall_seconds, " seconds"));
  switch (exit.value) {
    case SIGXCPU:
      return absl::DeadlineExceededError(
          absl::StrCat("TIMEOUT: reading the asset takes more than ", limits.cpu_seconds, " seconds of computing"));
    case SIGSYS:
      return absl::InvalidArgumentError("UNREADABLE: the importer was stopped at a forbidden system call");
    case SIGXFSZ:
      return absl::ResourceExhaustedError("TOO_MANY_FACES: the imported scene is too large");
    default:
      return absl::InvalidArgumentError(
          absl::StrCat("UNREADABLE: the importer crashed (", ::strsignal(exit.value), ")"));
  }
}

Status unsupported(const std::string& file, const Status& why) {
  return absl::InvalidArgumentError(absl::StrCat(
      "UNSUPPORTED_FEATURE: ", std::filesystem::path(file).filename().string(), ": ", std::string(why.message())));
}

bool write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

}  // namespace

Result<mesh::Scene> import_asset(const std::filesystem::path& root, const std::string& file, const Importer& importer,
                                 const std::filesystem::path& scratch, std::stop_token stop) {
  const bool blend = is_blend_name(file);
  std::vector<std::string> arguments = {blend ? kImportBlendVerb : kImportVerb, root.string(), file};
  if (blend) {
    const auto blender = find_blender(importer.blender);
    if (!blender.ok()) return unsupported(file, blender.status());
    arguments.push_back(blender->string());
  }
  ResultFile result(scratch);
  if (result.fd() < 0)
    return absl::UnavailableError(absl::StrCat(scratch.string(), ": cannot hold a file: ", std::strerror(errno)));
  const auto program = importer.program.empty() ? default_program() : importer.program;
  const SandboxLimits& limits = blend ? importer.blender_limits : importer.limits;
  ESP_ASSIGN(const ChildExit exit, run_confined(program, arguments, result.fd(), limits, std::move(stop)));
  if (exit.kind != ChildExit::Kind::kExited) return explain(exit, limits);
  ESP_TRY(blend ? explain_blender_code(exit.value, arguments.back()) : explain_code(exit.value, program));
  return read_import_result(result.map());
}

int import_asset_child(const std::filesystem::path& root, const std::string& file) {
  const std::filesystem::path path = root / file;
  if (!confine_this_process(root).ok()) return kNoConfinement;
  std::string result;
  try {
    mesh::ImportOptions options;
    options.root = root;
    const auto scene = mesh::import_scene(path, options);
    result = scene.ok() ? write_scene(*scene) : write_import_error(scene.status());
  } catch (const std::bad_alloc&) {
    result = write_import_error(absl::ResourceExhaustedError("OUT_OF_MEMORY: reading the asset needs too much memory"));
  }
  return write_all(kResultFd, result) ? 0 : 1;
}

}  // namespace espalier::preprocess

#include "preprocess/blender.h"

#include <sched.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "preprocess/dump_scene_script.h"
#include "preprocess/sandbox.h"
#include "preprocess/scene_file.h"

namespace espalier::preprocess {
namespace {

namespace fs = std::filesystem;

constexpr rlim_t kThreadStack = rlim_t{8} << 20;

// What a .blend begins with: its own magic, or that of gzip (before Blender 3.0) or zstd around it.
bool begins_like_blend(const fs::path& file) {
  std::array<char, 7> head{};
  std::ifstream(file, std::ios::binary).read(head.data(), head.size());
  const std::string_view bytes(head.data(), head.size());
  return bytes == "BLENDER" || bytes.starts_with("\x1f\x8b") || bytes.starts_with("\x28\xb5\x2f\xfd");
}

std::vector<std::string> blender_command(const fs::path& blender, const fs::path& file) {
  if (blender.filename().string().starts_with("python"))
    return {blender.string(), "-I", "-c", kDumpSceneScript, file.string()};
  return {blender.string(), "--background", "--factory-startup", "--disable-autoexec", "-noaudio", "--python-expr",
          kDumpSceneScript, "--",           file.string()};
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

// The soft limit is what each of Blender's threads reserves.
void limit_thread_stacks() {
  rlimit stack{};
  if (::getrlimit(RLIMIT_STACK, &stack) != 0) return;
  stack.rlim_cur = std::min(stack.rlim_max, kThreadStack);
  ::setrlimit(RLIMIT_STACK, &stack);
}

// Some modifiers of Blender sum in the order of addresses or of threads, so that the last bits would differ from run to
// run: addresses are not random, and there is one processor. Where the system refuses either, bits may differ.
void make_repeatable() {
  ::personality(ADDR_NO_RANDOMIZE);
  const int processor = ::sched_getcpu();
  if (processor < 0 || processor >= CPU_SETSIZE) return;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(processor, &one);
  ::sched_setaffinity(0, sizeof one, &one);
}

void write_error(const std::string& message) {
  const std::string bytes = write_import_error(absl::InvalidArgumentError(message));
  if (::write(kResultFd, bytes.data(), bytes.size()) < 0) ::_exit(1);
}

}  // namespace

bool is_blend_name(std::string_view file) { return absl::AsciiStrToLower(std::string(file)).ends_with(".blend"); }

int import_blend_child(const fs::path& root, const std::string& file, const fs::path& blender) {
  if (!begins_like_blend(root / file)) {
    write_error(absl::StrCat("UNREADABLE: ", fs::path(file).filename().string(), ": the content is no .blend file"));
    return 0;
  }
  std::vector<std::string> command = blender_command(blender, root / file);
  std::vector<std::string> environment = {"HOME=/nonexistent", "LANG=C.UTF-8", "MALLOC_ARENA_MAX=2",
                                          "OPENBLAS_NUM_THREADS=1"};
  limit_thread_stacks();
  make_repeatable();
  if (!confine_converter(root, blender).ok()) return kNoConfinement;
  ::execve(blender.c_str(), pointers(command).data(), pointers(environment).data());
  return kNoBlender;
}

}  // namespace espalier::preprocess

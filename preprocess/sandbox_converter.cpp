#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>

#include "preprocess/sandbox.h"
#include "preprocess/sandbox_filter.h"

namespace espalier::preprocess {
namespace {

namespace fs = std::filesystem;
using internal::Filter;
using internal::Readable;
using internal::unavailable;

// Refused with EPERM: other processes, the network, shared memory of the user, what changes files without opening
// them, and what only an administrator needs. Blender copes without them.
constexpr int kRefused[] = {
    // processes
    SCMP_SYS(fork), SCMP_SYS(vfork), SCMP_SYS(setsid), SCMP_SYS(setpgid), SCMP_SYS(tkill), SCMP_SYS(rt_sigqueueinfo),
    SCMP_SYS(rt_tgsigqueueinfo), SCMP_SYS(pidfd_open), SCMP_SYS(pidfd_send_signal), SCMP_SYS(pidfd_getfd),
    SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev), SCMP_SYS(process_madvise),
    SCMP_SYS(kcmp), SCMP_SYS(setpriority), SCMP_SYS(sched_setscheduler), SCMP_SYS(sched_setparam),
    SCMP_SYS(sched_setattr), SCMP_SYS(ioprio_set), SCMP_SYS(migrate_pages), SCMP_SYS(move_pages),
    // network and what passes between processes
    SCMP_SYS(socket), SCMP_SYS(socketpair), SCMP_SYS(connect), SCMP_SYS(bind), SCMP_SYS(listen), SCMP_SYS(accept),
    SCMP_SYS(accept4), SCMP_SYS(io_uring_setup), SCMP_SYS(io_uring_enter), SCMP_SYS(io_uring_register),
    SCMP_SYS(shmget), SCMP_SYS(shmat), SCMP_SYS(shmctl), SCMP_SYS(semget), SCMP_SYS(semop), SCMP_SYS(semctl),
    SCMP_SYS(msgget), SCMP_SYS(msgsnd), SCMP_SYS(msgrcv), SCMP_SYS(msgctl), SCMP_SYS(mq_open), SCMP_SYS(mq_unlink),
    // files by path
    SCMP_SYS(creat), SCMP_SYS(truncate), SCMP_SYS(chmod), SCMP_SYS(fchmodat), SCMP_SYS(chown), SCMP_SYS(lchown),
    SCMP_SYS(fchownat), SCMP_SYS(utime), SCMP_SYS(utimes), SCMP_SYS(futimesat), SCMP_SYS(utimensat), SCMP_SYS(setxattr),
    SCMP_SYS(lsetxattr), SCMP_SYS(fsetxattr), SCMP_SYS(removexattr), SCMP_SYS(lremovexattr), SCMP_SYS(fremovexattr),
    SCMP_SYS(fchmod), SCMP_SYS(fchown), SCMP_SYS(open_by_handle_at), SCMP_SYS(mknod), SCMP_SYS(mknodat),
    // administration
    SCMP_SYS(mount), SCMP_SYS(umount2), SCMP_SYS(pivot_root), SCMP_SYS(chroot), SCMP_SYS(open_tree),
    SCMP_SYS(move_mount), SCMP_SYS(fsopen), SCMP_SYS(fsmount), SCMP_SYS(unshare), SCMP_SYS(setns), SCMP_SYS(bpf),
    SCMP_SYS(perf_event_open), SCMP_SYS(userfaultfd), SCMP_SYS(keyctl), SCMP_SYS(add_key), SCMP_SYS(request_key),
    SCMP_SYS(kexec_load), SCMP_SYS(kexec_file_load), SCMP_SYS(init_module), SCMP_SYS(finit_module),
    SCMP_SYS(delete_module), SCMP_SYS(fanotify_init), SCMP_SYS(quotactl), SCMP_SYS(acct), SCMP_SYS(swapon),
    SCMP_SYS(swapoff), SCMP_SYS(reboot), SCMP_SYS(sethostname), SCMP_SYS(setdomainname), SCMP_SYS(settimeofday),
    SCMP_SYS(clock_settime), SCMP_SYS(clock_adjtime), SCMP_SYS(adjtimex), SCMP_SYS(syslog), SCMP_SYS(personality)};

// The folders of a program: its own, or, of one in a `bin`, those beside it that an installation reads.
void add_installation(const fs::path& program, std::vector<Readable>& readable) {
  const fs::path folder = program.parent_path();
  if (folder.filename() != "bin") {
    readable.push_back({folder, true});
    return;
  }
  for (const char* name : {"bin", "lib", "lib64", "share", "pyvenv.cfg"})
    readable.push_back({folder.parent_path() / name, true});
}

std::vector<Readable> readable_by(const fs::path& root, const fs::path& program) {
  std::vector<Readable> readable = {{root}};
  for (const char* path : {"/usr", "/bin", "/lib", "/lib64"}) readable.push_back({path, true});
  for (const char* path : {"/etc/ld.so.cache", "/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system",
                           "/dev/null", "/dev/zero", "/dev/urandom", "/dev/random"})
    readable.push_back({path});
  add_installation(program, readable);
  std::error_code error;
  if (const fs::path real = fs::canonical(program, error); !error) add_installation(real, readable);
  return readable;
}

// Threads, but no processes; signals to itself only; no file but for reading.
int add_conditions(void* filter) {
  const auto self = static_cast<scmp_datum_t>(::getpid());  // stays the same when the process becomes Blender
  int error = ::seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);  // the C library then clones
  error |= ::seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
                              SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
  for (const int call : {SCMP_SYS(kill), SCMP_SYS(tgkill)})
    error |= ::seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), call, 1, SCMP_A0(SCMP_CMP_NE, self));
  for (const int call : {SCMP_SYS(prlimit64), SCMP_SYS(sched_setaffinity)})
    error |= ::seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), call, 1, SCMP_A0(SCMP_CMP_NE, 0));
  error |=
      ::seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(prctl), 1, SCMP_A0(SCMP_CMP_EQ, PR_SET_PDEATHSIG));
  error |= ::seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(openat2), 0);
  for (const scmp_datum_t flag : {O_WRONLY, O_RDWR, O_CREAT, O_TRUNC}) {
    error |= ::seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(openat), 1,
                                SCMP_A2(SCMP_CMP_MASKED_EQ, flag, flag));
    error |=
        ::seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(open), 1, SCMP_A1(SCMP_CMP_MASKED_EQ, flag, flag));
  }
  return error;
}

Status restrict_converter_calls() {
  const Filter filter(::seccomp_init(SCMP_ACT_ALLOW));
  if (filter == nullptr) return unavailable("seccomp", ENOMEM);
  int error = add_conditions(filter.get());
  for (const int call : kRefused) error |= ::seccomp_rule_add(filter.get(), SCMP_ACT_ERRNO(EPERM), call, 0);
  if (error != 0) return unavailable("seccomp rules", EINVAL);
  const int loaded = ::seccomp_load(filter.get());
  return loaded == 0 ? absl::OkStatus() : unavailable("seccomp", -loaded);
}

}  // namespace

Status confine_converter(const fs::path& root, const fs::path& program) {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return unavailable("no_new_privs", errno);
  ESP_ASSIGN(const bool restricted, internal::restrict_files(readable_by(root, program)));
  if (!restricted) return unavailable("landlock", ENOSYS);
  return restrict_converter_calls();
}

}  // namespace espalier::preprocess

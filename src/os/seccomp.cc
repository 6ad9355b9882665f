#include "os/seccomp.h"

#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string>
#include <string_view>

#include "os/fd.h"

namespace mayfly::os {

namespace {

using Context = std::unique_ptr<void, void (*)(void*)>;

// What ordinary programs and language runtimes use. A name that this libseccomp does not know is
// skipped: it stays refused.
constexpr const char* kAllowed[] = {
    // files
    "access",
    "chdir",
    "chmod",
    "chown",
    "close",
    "close_range",
    "copy_file_range",
    "creat",
    "dup",
    "dup2",
    "dup3",
    "faccessat",
    "faccessat2",
    "fadvise64",
    "fallocate",
    "fchdir",
    "fchmod",
    "fchmodat",
    "fchown",
    "fchownat",
    "fcntl",
    "fdatasync",
    "fgetxattr",
    "flistxattr",
    "flock",
    "fremovexattr",
    "fsetxattr",
    "fstat",
    "fstatfs",
    "fsync",
    "ftruncate",
    "getcwd",
    "getdents",
    "getdents64",
    "getxattr",
    "inotify_add_watch",
    "inotify_init",
    "inotify_init1",
    "inotify_rm_watch",
    "lchown",
    "lgetxattr",
    "link",
    "linkat",
    "listxattr",
    "llistxattr",
    "lremovexattr",
    "lseek",
    "lsetxattr",
    "lstat",
    "mkdir",
    "mkdirat",
    "mknod",
    "mknodat",
    "newfstatat",
    "open",
    "openat",
    "openat2",
    "pipe",
    "pipe2",
    "pread64",
    "preadv",
    "preadv2",
    "pwrite64",
    "pwritev",
    "pwritev2",
    "read",
    "readahead",
    "readlink",
    "readlinkat",
    "readv",
    "removexattr",
    "rename",
    "renameat",
    "renameat2",
    "rmdir",
    "sendfile",
    "setxattr",
    "splice",
    "stat",
    "statfs",
    "statx",
    "symlink",
    "symlinkat",
    "sync",
    "sync_file_range",
    "syncfs",
    "truncate",
    "umask",
    "unlink",
    "unlinkat",
    "utime",
    "utimensat",
    "utimes",
    "futimesat",
    "write",
    "writev",
    "ioctl",
    // memory
    "brk",
    "madvise",
    "memfd_create",
    "mincore",
    "mlock",
    "mlock2",
    "mlockall",
    "mmap",
    "mprotect",
    "mremap",
    "msync",
    "munlock",
    "munlockall",
    "munmap",
    "membarrier",
    "get_mempolicy",
    "mbind",
    "set_mempolicy",
    "pkey_alloc",
    "pkey_free",
    "pkey_mprotect",
    // processes, threads, signals
    "arch_prctl",
    "capget",
    "capset",
    "execve",
    "execveat",
    "exit",
    "exit_group",
    "fork",
    "futex",
    "futex_waitv",
    "get_robust_list",
    "get_thread_area",
    "getegid",
    "geteuid",
    "getgid",
    "getgroups",
    "getpgid",
    "getpgrp",
    "getpid",
    "getppid",
    "getpriority",
    "getresgid",
    "getresuid",
    "getrlimit",
    "getrusage",
    "getsid",
    "gettid",
    "getuid",
    "getcpu",
    "ioprio_get",
    "ioprio_set",
    "kill",
    "pause",
    "pidfd_open",
    "pidfd_send_signal",
    "prctl",
    "prlimit64",
    "restart_syscall",
    "rseq",
    "rt_sigaction",
    "rt_sigpending",
    "rt_sigprocmask",
    "rt_sigqueueinfo",
    "rt_sigreturn",
    "rt_sigsuspend",
    "rt_sigtimedwait",
    "rt_tgsigqueueinfo",
    "sched_get_priority_max",
    "sched_get_priority_min",
    "sched_getaffinity",
    "sched_getattr",
    "sched_getparam",
    "sched_getscheduler",
    "sched_rr_get_interval",
    "sched_setaffinity",
    "sched_setattr",
    "sched_setparam",
    "sched_setscheduler",
    "sched_yield",
    "set_robust_list",
    "set_thread_area",
    "set_tid_address",
    "setfsgid",
    "setfsuid",
    "setgid",
    "setgroups",
    "setpgid",
    "setpriority",
    "setregid",
    "setresgid",
    "setresuid",
    "setreuid",
    "setrlimit",
    "setsid",
    "setuid",
    "sigaltstack",
    "signalfd",
    "signalfd4",
    "tgkill",
    "tkill",
    "vfork",
    "wait4",
    "waitid",
    "getrandom",
    "sysinfo",
    "uname",
    "times",
    "alarm",
    // events and time
    "clock_getres",
    "clock_gettime",
    "clock_nanosleep",
    "epoll_create",
    "epoll_create1",
    "epoll_ctl",
    "epoll_pwait",
    "epoll_pwait2",
    "epoll_wait",
    "eventfd",
    "eventfd2",
    "getitimer",
    "gettimeofday",
    "nanosleep",
    "poll",
    "ppoll",
    "pselect6",
    "select",
    "setitimer",
    "time",
    "timer_create",
    "timer_delete",
    "timer_getoverrun",
    "timer_gettime",
    "timer_settime",
    "timerfd_create",
    "timerfd_gettime",
    "timerfd_settime",
    // asynchronous I/O of POSIX (old, not io_uring)
    "io_cancel",
    "io_destroy",
    "io_getevents",
    "io_pgetevents",
    "io_setup",
    "io_submit",
    // sockets; kinds and options are narrowed by the second filter
    "accept",
    "accept4",
    "bind",
    "connect",
    "getpeername",
    "getsockname",
    "getsockopt",
    "listen",
    "recvfrom",
    "recvmmsg",
    "recvmsg",
    "sendmmsg",
    "sendmsg",
    "sendto",
    "setsockopt",
    "shutdown",
    "socket",
    "socketpair",
    // System V and POSIX queues, in an ipc namespace of their own
    "mq_getsetattr",
    "mq_notify",
    "mq_open",
    "mq_timedreceive",
    "mq_timedsend",
    "mq_unlink",
    "msgctl",
    "msgget",
    "msgrcv",
    "msgsnd",
    "semctl",
    "semget",
    "semop",
    "semtimedop",
    "shmat",
    "shmctl",
    "shmdt",
    "shmget",
};

// Refused with EPERM, which programs report as "not allowed"; what is in neither list gets ENOSYS.
constexpr const char* kDenied[] = {
    "mount",
    "umount2",
    "pivot_root",
    "chroot",
    "fsopen",
    "fsconfig",
    "fsmount",
    "fspick",
    "move_mount",
    "open_tree",
    "mount_setattr",
    "unshare",
    "setns",
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "kcmp",
    "pidfd_getfd",
    "name_to_handle_at",
    "open_by_handle_at",
    "keyctl",
    "add_key",
    "request_key",
    "bpf",
    "perf_event_open",
    "userfaultfd",
    "seccomp",
    "swapon",
    "swapoff",
    "reboot",
    "kexec_load",
    "kexec_file_load",
    "init_module",
    "finit_module",
    "delete_module",
    "acct",
    "settimeofday",
    "clock_settime",
    "clock_adjtime",
    "adjtimex",
    "quotactl",
    "quotactl_fd",
    "syslog",
    "iopl",
    "ioperm",
    "modify_ldt",
    "vhangup",
    "sethostname",
    "setdomainname",
    "lookup_dcookie",
    "fanotify_init",
    "fanotify_mark",
    "migrate_pages",
    "move_pages",
    "vmsplice",
    "tee",
    "nfsservctl",
};

constexpr std::uint64_t kNamespaceFlags = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC |
                                          CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET |
                                          CLONE_NEWCGROUP;
constexpr std::uint64_t kLow32 = 0xffffffff;
constexpr int kIoctlTiocsti = 0x5412, kIoctlTioclinux = 0x541c, kIoctlTiocsetd = 0x5423,
              kIoctlTioccons = 0x541d;
constexpr int kTcpUlp = 31;
constexpr int kProtocolMptcp = 262, kProtocolSctp = 132, kProtocolUdplite = 136,
              kProtocolL2tp = 115, kProtocolDccp = 33;

class Builder {
 public:
  explicit Builder(std::uint32_t default_action)
      : context_(::seccomp_init(default_action), [](void* c) { ::seccomp_release(c); }) {
    fail(context_
             ? -::seccomp_attr_set(context_.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS)
             : ENOMEM);
  }

  template <class... Conditions>
  void rule(std::uint32_t action, const char* name, Conditions... conditions) {
    if (error_ != 0) return;
    int number = ::seccomp_syscall_resolve_name(name);
    if (number == __NR_SCMP_ERROR || number < 0) return;
    int status;
    if constexpr (sizeof...(conditions) == 0) {
      status = ::seccomp_rule_add(context_.get(), action, number, 0);
    } else {
      scmp_arg_cmp list[] = {conditions...};
      status =
          ::seccomp_rule_add_array(context_.get(), action, number, sizeof...(conditions), list);
    }
    if (status != 0) {
      step_ = name;
      fail(-status);
    }
  }

  void optimise() { fail(-::seccomp_attr_set(context_.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2)); }

  Result<std::vector<sock_filter>> compile() {
    if (error_ != 0) return errno_error("build seccomp filter: " + step_, error_);
    Fd file(::memfd_create("seccomp", MFD_CLOEXEC));
    if (!file) return errno_error("export seccomp filter", errno);
    if (int status = ::seccomp_export_bpf(context_.get(), file.get()); status != 0) {
      return errno_error("export seccomp filter", -status);
    }
    off_t size = ::lseek(file.get(), 0, SEEK_END);
    std::vector<sock_filter> program(static_cast<std::size_t>(size) / sizeof(sock_filter));
    if (::pread(file.get(), program.data(), static_cast<std::size_t>(size), 0) != size) {
      return errno_error("read seccomp filter", EIO);
    }
    return program;
  }

 private:
  void fail(int error) {
    if (error > 0 && error_ == 0) error_ = error;
  }

  Context context_;
  int error_ = 0;
  std::string step_;
};

scmp_arg_cmp equals(unsigned argument, std::uint64_t value, std::uint64_t mask = kLow32) {
  return scmp_arg_cmp{argument, SCMP_CMP_MASKED_EQ, mask, value};
}

// Refuses `call` for every value of a 32-bit argument that has a bit outside low_bits.
template <class... More>
void refuse_high_bits(Builder& b, std::uint32_t action, const char* call, unsigned argument,
                      unsigned low_bits, More... more) {
  for (unsigned bit = low_bits; bit < 32; ++bit) {
    b.rule(action, call, equals(argument, 1ull << bit, 1ull << bit), more...);
  }
}

void refuse_socket_kinds(Builder& b) {
  auto no_family = SCMP_ACT_ERRNO(EAFNOSUPPORT);
  auto no_protocol = SCMP_ACT_ERRNO(EPROTONOSUPPORT);
  for (const char* call : {"socket", "socketpair"}) {
    for (unsigned family = 0; family < 64; ++family) {
      if (family == AF_UNIX || family == AF_INET || family == AF_INET6 || family == AF_NETLINK) {
        continue;
      }
      b.rule(no_family, call, equals(0, family));
    }
    refuse_high_bits(b, no_family, call, 0, 6);
    // Of the socket types (low four bits) only stream, dgram and, for unix, seqpacket.
    for (unsigned type = 0; type < 16; ++type) {
      if (type == SOCK_STREAM || type == SOCK_DGRAM) continue;
      for (unsigned family : {AF_INET, AF_INET6}) {
        b.rule(SCMP_ACT_ERRNO(EPERM), call, equals(0, family), equals(1, type, 0xf));
      }
      if (type != SOCK_SEQPACKET) {
        b.rule(SCMP_ACT_ERRNO(ESOCKTNOSUPPORT), call, equals(0, AF_UNIX), equals(1, type, 0xf));
      }
    }
    for (unsigned family : {AF_INET, AF_INET6}) {
      for (unsigned protocol :
           {kProtocolMptcp, kProtocolSctp, kProtocolUdplite, kProtocolL2tp, kProtocolDccp}) {
        b.rule(no_protocol, call, equals(0, family), equals(2, protocol));
      }
    }
    // NETLINK_ROUTE (0) alone: getaddrinfo and Node list interfaces by it.
    refuse_high_bits(b, no_protocol, call, 2, 0, equals(0, AF_NETLINK));
  }
}

void refuse_socket_options(Builder& b) {
  auto no = SCMP_ACT_ERRNO(EPERM);
  b.rule(no, "setsockopt", equals(1, IPPROTO_TCP), equals(2, kTcpUlp));
  for (unsigned option = IP_ADD_MEMBERSHIP; option <= MCAST_MSFILTER; ++option) {
    if (option == IP_DROP_MEMBERSHIP) continue;
    b.rule(no, "setsockopt", equals(1, IPPROTO_IP), equals(2, option));
  }
  for (unsigned option : {IPV6_ADD_MEMBERSHIP, IPV6_JOIN_ANYCAST, MCAST_JOIN_GROUP,
                          MCAST_BLOCK_SOURCE, MCAST_UNBLOCK_SOURCE, MCAST_LEAVE_GROUP,
                          MCAST_JOIN_SOURCE_GROUP, MCAST_LEAVE_SOURCE_GROUP, MCAST_MSFILTER}) {
    b.rule(no, "setsockopt", equals(1, IPPROTO_IPV6), equals(2, option));
  }
  // Out-of-band data on unix sockets has been a source of kernel faults and has no use here.
  auto no_oob = SCMP_ACT_ERRNO(EOPNOTSUPP);
  for (const char* call : {"sendto", "sendmmsg", "recvfrom", "recvmmsg"}) {
    b.rule(no_oob, call, equals(3, MSG_OOB, MSG_OOB));
  }
  for (const char* call : {"sendmsg", "recvmsg"}) {
    b.rule(no_oob, call, equals(2, MSG_OOB, MSG_OOB));
  }
}

enum class Profile { program, cloneable };

void allow_cloning(Builder& allow) {
  allow.rule(SCMP_ACT_ALLOW, "setns");
  allow.rule(SCMP_ACT_ALLOW, "seccomp", equals(0, SECCOMP_SET_MODE_FILTER), equals(1, 0));
}

Result<std::vector<sock_filter>> compile_allow_list(Profile profile) {
  Builder allow(SCMP_ACT_ERRNO(ENOSYS));
  for (const char* name : kAllowed) allow.rule(SCMP_ACT_ALLOW, name);
  for (std::string_view name : kDenied) {
    if (profile == Profile::cloneable && (name == "setns" || name == "seccomp")) continue;
    allow.rule(SCMP_ACT_ERRNO(EPERM), name.data());
  }
  if (profile == Profile::cloneable) allow_cloning(allow);
  // Asking for the personality and setting the plain one; anything else is ENOSYS.
  allow.rule(SCMP_ACT_ALLOW, "personality", scmp_arg_cmp{0, SCMP_CMP_EQ, 0, 0});
  allow.rule(SCMP_ACT_ALLOW, "personality", scmp_arg_cmp{0, SCMP_CMP_EQ, kLow32, 0});
  // clone3 hides its flags behind a pointer; ENOSYS makes libc use clone, whose flags show.
  allow.rule(SCMP_ACT_ALLOW, "clone", equals(0, 0, kNamespaceFlags));
  for (std::uint64_t flag : {CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID,
                             CLONE_NEWNET, CLONE_NEWCGROUP}) {
    allow.rule(SCMP_ACT_ERRNO(EPERM), "clone", equals(0, flag, flag));
  }
  allow.optimise();
  return allow.compile();
}

// Waiting, messages, reading /proc, reaping and signalling; memory and locks for the C library.
constexpr const char* kWaiting[] = {
    "poll",          "ppoll",          "read",         "recvmsg",    "recvfrom",
    "sendmsg",       "sendto",         "close",        "open",       "openat",
    "fstat",         "newfstatat",     "lseek",        "pread64",    "pidfd_open",
    "wait4",         "kill",           "exit",         "exit_group", "restart_syscall",
    "rt_sigreturn",  "rt_sigprocmask", "rt_sigaction", "getpid",     "gettid",
    "tgkill",        "write",          "mmap",         "munmap",     "mremap",
    "mprotect",      "madvise",        "brk",          "futex",      "sched_yield",
    "clock_gettime",
    "sigaltstack",  // which a sanitizer asks for as the process ends
};

Result<std::vector<sock_filter>> compile_waiting() {
  Builder waiting(SCMP_ACT_ERRNO(EPERM));
  for (const char* name : kWaiting) waiting.rule(SCMP_ACT_ALLOW, name);
  waiting.optimise();
  return waiting.compile();
}

}  // namespace

Result<SeccompFilter> compile_seccomp_filter() {
  Builder arguments(SCMP_ACT_ALLOW);
  refuse_socket_kinds(arguments);
  refuse_socket_options(arguments);
  for (unsigned request : {kIoctlTiocsti, kIoctlTioclinux, kIoctlTiocsetd, kIoctlTioccons}) {
    arguments.rule(SCMP_ACT_ERRNO(EPERM), "ioctl", equals(1, request));
  }
  arguments.rule(SCMP_ACT_ERRNO(EPERM), "prctl", equals(0, PR_SET_SECCOMP));
  SeccompFilter filter;
  auto first = compile_allow_list(Profile::program);
  if (first.has_error()) return std::move(first).error();
  auto second = arguments.compile();
  if (second.has_error()) return std::move(second).error();
  auto third = compile_allow_list(Profile::cloneable);
  if (third.has_error()) return std::move(third).error();
  auto fourth = compile_waiting();
  if (fourth.has_error()) return std::move(fourth).error();
  filter.wait = std::move(fourth).value();
  filter.allow = std::move(first).value();
  filter.arguments = std::move(second).value();
  filter.allow_template = std::move(third).value();
  return filter;
}

int install_seccomp_filter(const std::vector<sock_filter>& program) {
  sock_fprog prog{static_cast<unsigned short>(program.size()),
                  const_cast<sock_filter*>(program.data())};
  return ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) == 0 ? 0 : errno;
}

}  // namespace mayfly::os

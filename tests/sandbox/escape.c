// System calls, namespaces, mounts, processes, files.
#define _GNU_SOURCE
#include "escape.h"
#include "template_loop.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

void say(const char* word) {
  printf("%s\n", word);
  fflush(stdout);
}

void told(long status) {
  say(status < 0 ? strerrorname_np(errno) : "ESCAPED");
}

static void open_write(const char* path) {
  told(open(path, O_WRONLY));
}
static void open_read(const char* path) {
  told(open(path, O_RDONLY));
}

#define CALL(name, ...)         \
  static void name(char** a) {  \
    (void)a;                    \
    told(syscall(__VA_ARGS__)); \
  }
#define WRITE(name, path)      \
  static void name(char** a) { \
    (void)a;                   \
    open_write(path);          \
  }

CALL(unshare_user, SYS_unshare, CLONE_NEWUSER)
CALL(unshare_mount, SYS_unshare, CLONE_NEWNS)
CALL(unshare_net, SYS_unshare, CLONE_NEWNET)
CALL(unshare_pid, SYS_unshare, CLONE_NEWPID)
CALL(clone_user, SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0)
CALL(clone_user_high_bits, SYS_clone, CLONE_NEWUSER | SIGCHLD | (1ull << 40), 0, 0, 0, 0)
CALL(mount_tmpfs, SYS_mount, "x", "/tmp", "tmpfs", 0, "")
CALL(mount_bind, SYS_mount, "/", "/tmp", "", MS_BIND, "")
CALL(remount_root, SYS_mount, "", "/", "", MS_REMOUNT | MS_BIND, "")
CALL(umount_proc, SYS_umount2, "/proc", MNT_DETACH)
CALL(new_mount_api, SYS_fsopen, "tmpfs", 0)
CALL(open_tree_root, SYS_open_tree, AT_FDCWD, "/", OPEN_TREE_CLONE)
CALL(move_mount_root, SYS_move_mount, AT_FDCWD, "/tmp", AT_FDCWD, "/usr", 0)
CALL(mount_setattr_root, SYS_mount_setattr, AT_FDCWD, "/", 0, 0, 0)
CALL(pivot, SYS_pivot_root, "/tmp", "/tmp")
CALL(cgroup_mount, SYS_mount, "cgroup", "/tmp", "cgroup", 0, "memory")
CALL(cgroup2_mount, SYS_mount, "cgroup2", "/tmp", "cgroup2", 0, "")
CALL(bpf, SYS_bpf, 0, 0, 0)
CALL(io_uring, SYS_io_uring_setup, 8, 0)
CALL(perf_event, SYS_perf_event_open, 0, 0, -1, -1, 0)
CALL(keyctl_join, SYS_keyctl, 1, "x")
CALL(add_key, SYS_add_key, "user", "x", "y", 1, -3)
CALL(request_key, SYS_request_key, "user", "x", "y", -3)
CALL(userfaultfd, SYS_userfaultfd, 0)
CALL(kexec, SYS_kexec_load, 0, 0, 0, 0)
CALL(kexec_file, SYS_kexec_file_load, -1, -1, 0, "", 0)
CALL(load_module, SYS_finit_module, 0, "", 0)
CALL(init_module, SYS_init_module, "", 0, "")
CALL(delete_module, SYS_delete_module, "x", 0)
CALL(reboot_host, SYS_reboot, 0xfee1dead, 672274793, 0, 0)
CALL(swap_on, SYS_swapon, "/tmp/x", 0)
CALL(set_clock, SYS_clock_settime, CLOCK_REALTIME, &(struct timespec){1, 0})
CALL(adjust_clock, SYS_adjtimex, 0)
CALL(set_hostname, SYS_sethostname, "evil", 4)
CALL(set_domain, SYS_setdomainname, "evil", 4)
CALL(quota, SYS_quotactl, 0, "", 0, 0)
CALL(accounting, SYS_acct, "/tmp/x")
CALL(kernel_log, SYS_syslog, 3, "", 0)
CALL(port_io, SYS_iopl, 3)
CALL(kcmp_init, SYS_kcmp, getpid(), 1, 0, 0, 0)
CALL(steal_fd, SYS_pidfd_getfd, 0, 0, 0)
CALL(seccomp_loosen, SYS_seccomp, 1, 0, 0)
CALL(seccomp_listener, SYS_seccomp, 1, 8, 0)
CALL(personality_aslr, SYS_personality, ADDR_NO_RANDOMIZE)
CALL(fanotify, SYS_fanotify_init, 0, 0)
CALL(handle_open, SYS_open_by_handle_at, AT_FDCWD, 0, 0)
CALL(handle_name, SYS_name_to_handle_at, AT_FDCWD, "/", 0, 0, 0)
CALL(modify_ldt, SYS_modify_ldt, 0, 0, 0)
CALL(lookup_newest, 600)
CALL(x32_call, 0x40000000 | SYS_getpid)

WRITE(sysrq, "/proc/sysrq-trigger")
WRITE(core_pattern, "/proc/sys/kernel/core_pattern")
WRITE(modprobe_path, "/proc/sys/kernel/modprobe")
WRITE(hostname_file, "/proc/sys/kernel/hostname")
WRITE(user_namespaces_max, "/proc/sys/user/max_user_namespaces")
WRITE(forwarding, "/proc/sys/net/ipv4/ip_forward")
WRITE(init_memory, "/proc/1/mem")
WRITE(init_oom, "/proc/1/oom_score_adj")
WRITE(kernel_memory, "/proc/kcore")

static void uid_map(char** a) {
  (void)a;
  int fd = open("/proc/self/uid_map", O_WRONLY);
  told(fd < 0 ? -1 : write(fd, "0 0 1", 5));
}
static void clone3_user(char** a) {
  (void)a;
  struct clone_args args = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
  told(syscall(SYS_clone3, &args, sizeof args));
}
static void setns_init(char** a) {
  (void)a;
  int fd = open("/proc/1/ns/mnt", O_RDONLY);
  told(fd < 0 ? -1 : syscall(SYS_setns, fd, 0));
}
static void setns_self(char** a) {
  (void)a;
  int fd = open("/proc/self/ns/net", O_RDONLY);
  told(fd < 0 ? -1 : syscall(SYS_setns, fd, 0));
}
static void chroot_trick(char** a) {
  (void)a;
  mkdir("/tmp/jail", 0755);
  told(chroot("/tmp/jail"));
}
static void ptrace_init(char** a) {
  (void)a;
  told(ptrace(PTRACE_ATTACH, 1, 0, 0));
}
static void ptrace_child(char** a) {
  (void)a;
  pid_t child = fork();
  if (child == 0) {
    pause();
    _exit(0);
  }
  told(ptrace(PTRACE_SEIZE, child, 0, 0));
  kill(child, SIGKILL);
}
static void read_init_memory(char** a) {
  (void)a;
  char byte;
  struct iovec here = {&byte, 1}, there = {(void*)0x400000, 1};
  told(process_vm_readv(1, &here, 1, &there, 1, 0));
}
static void init_environment(char** a) {
  (void)a;
  open_read("/proc/1/environ");
}
static void init_root(char** a) {
  (void)a;
  open_read("/proc/1/root/etc/shadow");
}
static void init_cwd(char** a) {
  (void)a;
  open_read("/proc/1/cwd/..");
}
static void init_fds(char** a) {
  (void)a;
  open_read("/proc/1/fd");
}
static void kill_init(char** a) {
  (void)a;
  // The kernel drops it: process 1 cannot be killed from inside. It is seen to live by what it
  // does afterwards: an orphan is gone once it has been collected.
  kill(1, SIGKILL);
  int ends[2];
  pid_t orphan = 0;
  if (pipe(ends) != 0) return say("no pipe");
  pid_t parent = fork();
  if (parent == 0) {
    orphan = fork();
    if (orphan != 0 && write(ends[1], &orphan, sizeof orphan) != sizeof orphan) _exit(1);
    _exit(0);
  }
  waitpid(parent, NULL, 0);
  if (read(ends[0], &orphan, sizeof orphan) != sizeof orphan) return say("no orphan");
  while (kill(orphan, 0) == 0) sched_yield();
  say("ignored");
}
// a[0]: a pid of the host that is not in here.
static void kill_outside(char** a) {
  told(kill(atoi(a[0]), SIGKILL));
}
static void see_outside(char** a) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%s/status", a[0]);
  open_read(path);
}
static void read_path(char** a) {
  open_read(a[0]);
}
static void write_path(char** a) {
  told(open(a[0], O_WRONLY | O_CREAT, 0644));
}
static void unlink_path(char** a) {
  told(unlink(a[0]));
}
static void dot_dot(char** a) {
  (void)a;
  for (int i = 0; i < 64; ++i) {
    if (chdir("..") != 0) return told(-1);
  }
  // Still the sandbox's own root: it has /var/task and no /root/.ssh, /boot or /sys.
  if (access("/boot", F_OK) == 0 || access("boot", F_OK) == 0 || access("sys", F_OK) == 0) {
    return say("ESCAPED");
  }
  say("own-root");
}
static void make_device(char** a) {
  (void)a;
  told(mknod("/tmp/disk", S_IFBLK | 0600, makedev(254, 0)));
}
static void make_memory_device(char** a) {
  (void)a;
  told(mknod("/tmp/mem", S_IFCHR | 0600, makedev(1, 1)));
}
static void host_devices(char** a) {
  (void)a;
  const char* names[] = {"/dev/vda",  "/dev/sda",     "/dev/mem", "/dev/kmsg", "/dev/kvm",
                         "/dev/fuse", "/dev/net/tun", "/dev/tty", "/dev/ptmx", "/dev/console"};
  for (unsigned i = 0; i < sizeof names / sizeof *names; ++i) {
    if (open(names[i], O_RDWR) >= 0 || errno != ENOENT) return say("ESCAPED");
  }
  say("ENOENT");
}
static void terminal_inject(char** a) {
  (void)a;
  char byte = 'x';
  told(ioctl(0, TIOCSTI, &byte));
}
static void terminal_inject_high_bits(char** a) {
  (void)a;
  char byte = 'x';
  told(syscall(SYS_ioctl, 0, (1ull << 32) | TIOCSTI, &byte));
}
static void gain_capability(char** a) {
  (void)a;
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2] = {{1u << 21, 1u << 21, 1u << 21}, {0, 0, 0}};
  told(syscall(SYS_capset, &header, data));
}
static void gain_net_admin(char** a) {
  (void)a;
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[2] = {{1u << 12, 1u << 12, 1u << 12}, {0, 0, 0}};
  told(syscall(SYS_capset, &header, data));
}
static void setns_init_by_pidfd(char** a) {
  (void)a;
  int fd = (int)syscall(SYS_pidfd_open, 1, 0);
  told(fd < 0 ? -1 : syscall(SYS_setns, fd, CLONE_NEWNS | CLONE_NEWNET));
}
static void trusted_attribute(char** a) {
  (void)a;
  close(open("/tmp/x", O_CREAT | O_WRONLY, 0600));
  told(setxattr("/tmp/x", "trusted.x", "y", 1, 0));
}
static void become_root(char** a) {
  (void)a;
  told(setuid(0));
}
static void become_other(char** a) {
  (void)a;
  told(setresuid(1001, 1001, 1001));
}
static void change_groups(char** a) {
  (void)a;
  gid_t group = 0;
  told(syscall(SYS_setgroups, 1, &group));
}
static void setuid_binary(char** a) {
  (void)a;
  // With no_new_privs and nosuid a set-user-id program keeps our user: su then refuses.
  if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1) return say("ESCAPED");
  pid_t child = fork();
  if (child == 0) {
    char* argv[] = {"su", "-c", "id -u", NULL};
    close(2);
    close(1);
    execv("/usr/bin/su", argv);
    _exit(99);
  }
  int status = 0;
  waitpid(child, &status, 0);
  say(WIFEXITED(status) && WEXITSTATUS(status) == 0 ? "ESCAPED" : "refused");
}
static void own_setuid_file(char** a) {
  (void)a;
  int fd = open("/tmp/suid", O_CREAT | O_WRONLY, 0755);
  fchmod(fd, 04755);
  told(fchown(fd, 0, 0));
}
static void no_new_privs_off(char** a) {
  (void)a;
  told(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
}
static void prctl_seccomp(char** a) {
  (void)a;
  told(prctl(PR_SET_SECCOMP, 2, 0));
}
static void lower_oom_score(char** a) {
  (void)a;
  int fd = open("/proc/self/oom_score_adj", O_WRONLY);
  told(fd < 0 ? -1 : write(fd, "-1000", 5));
}
static void raise_limit(char** a) {
  (void)a;
  struct {
    uint64_t soft, hard;
  } limit = {1u << 20, 1u << 20};
  told(syscall(SYS_prlimit64, 0, 7, &limit, 0));
}
static void raise_priority(char** a) {
  (void)a;
  told(syscall(SYS_setpriority, 0, 0, -10));
}
static void real_time(char** a) {
  (void)a;
  struct sched_param parameter = {1};
  told(sched_setscheduler(0, SCHED_FIFO, &parameter));
}
static void count_fds(char** a) {
  (void)a;
  int count = 0;
  for (int fd = 0; fd < 4096; ++fd) count += fcntl(fd, F_GETFD) >= 0;
  printf("%d\n", count);
}
extern char** environ;
static void environment(char** a) {
  (void)a;
  int count = 0;
  for (char** entry = environ; *entry != NULL; ++entry) {
    ++count;
    if (strncmp(*entry, "MAYFLY_TEST_SECRET", 18) == 0) return say("ESCAPED");
  }
  printf("%d\n", count);
}
static void mounts_shown(char** a) {
  (void)a;
  // Nothing of the host's mounts but the parts of the skeleton may be listed.
  FILE* file = fopen("/proc/self/mountinfo", "r");
  char line[1024];
  while (file != NULL && fgets(line, sizeof line, file) != NULL) {
    if (strstr(line, "cgroup") != NULL || strstr(line, "sysfs") != NULL ||
        strstr(line, "devpts") != NULL) {
      return say("ESCAPED");
    }
  }
  say(file != NULL ? "own-mounts" : "unreadable");
}
static void cgroup_shown(char** a) {
  (void)a;
  FILE* file = fopen("/proc/self/cgroup", "r");
  char line[1024];
  while (file != NULL && fgets(line, sizeof line, file) != NULL) {
    if (strstr(line, "mayfly") != NULL) return say("ESCAPED");
  }
  say(file != NULL ? "hidden" : "unreadable");
}
static void exec_from_tmp_other_arch(char** a) {
  (void)a;
  pid_t child = fork();
  if (child == 0) {
    long result;
    // getpid by the 32-bit entry: the filter knows one architecture only.
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(20L) : "memory", "r8", "r9", "r10", "r11");
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  say(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS ? "SIGSYS" : "ESCAPED");
}

#define A(name) \
  { #name, name }
const struct attempt kernel_attempts[] = {A(unshare_user),
                                          A(unshare_mount),
                                          A(unshare_net),
                                          A(unshare_pid),
                                          A(clone_user),
                                          A(clone_user_high_bits),
                                          A(clone3_user),
                                          A(setns_init),
                                          A(setns_self),
                                          A(setns_init_by_pidfd),
                                          A(trusted_attribute),
                                          A(gain_net_admin),
                                          A(seccomp_listener),
                                          A(mount_tmpfs),
                                          A(mount_bind),
                                          A(remount_root),
                                          A(umount_proc),
                                          A(new_mount_api),
                                          A(open_tree_root),
                                          A(move_mount_root),
                                          A(mount_setattr_root),
                                          A(pivot),
                                          A(cgroup_mount),
                                          A(cgroup2_mount),
                                          A(bpf),
                                          A(io_uring),
                                          A(perf_event),
                                          A(keyctl_join),
                                          A(add_key),
                                          A(request_key),
                                          A(userfaultfd),
                                          A(kexec),
                                          A(kexec_file),
                                          A(load_module),
                                          A(init_module),
                                          A(delete_module),
                                          A(reboot_host),
                                          A(swap_on),
                                          A(set_clock),
                                          A(adjust_clock),
                                          A(set_hostname),
                                          A(set_domain),
                                          A(quota),
                                          A(accounting),
                                          A(kernel_log),
                                          A(port_io),
                                          A(kcmp_init),
                                          A(steal_fd),
                                          A(seccomp_loosen),
                                          A(personality_aslr),
                                          A(fanotify),
                                          A(handle_open),
                                          A(handle_name),
                                          A(modify_ldt),
                                          A(lookup_newest),
                                          A(x32_call),
                                          A(sysrq),
                                          A(core_pattern),
                                          A(modprobe_path),
                                          A(hostname_file),
                                          A(user_namespaces_max),
                                          A(forwarding),
                                          A(init_memory),
                                          A(init_oom),
                                          A(kernel_memory),
                                          A(uid_map),
                                          A(chroot_trick),
                                          A(ptrace_init),
                                          A(ptrace_child),
                                          A(read_init_memory),
                                          A(init_environment),
                                          A(init_root),
                                          A(init_cwd),
                                          A(init_fds),
                                          A(kill_init),
                                          A(kill_outside),
                                          A(see_outside),
                                          A(read_path),
                                          A(write_path),
                                          A(unlink_path),
                                          A(dot_dot),
                                          A(make_device),
                                          A(make_memory_device),
                                          A(host_devices),
                                          A(terminal_inject),
                                          A(terminal_inject_high_bits),
                                          A(gain_capability),
                                          A(become_root),
                                          A(become_other),
                                          A(change_groups),
                                          A(setuid_binary),
                                          A(own_setuid_file),
                                          A(no_new_privs_off),
                                          A(prctl_seccomp),
                                          A(lower_oom_score),
                                          A(raise_limit),
                                          A(raise_priority),
                                          A(real_time),
                                          A(count_fds),
                                          A(environment),
                                          A(mounts_shown),
                                          A(cgroup_shown),
                                          A(exec_from_tmp_other_arch),
                                          {NULL, NULL}};

static int run_attempt(int argc, char** argv) {
  const struct attempt* tables[] = {kernel_attempts, network_attempts, resource_attempts};
  for (int t = 0; argc > 0 && t < 3; ++t) {
    for (const struct attempt* attempt = tables[t]; attempt->name != NULL; ++attempt) {
      if (strcmp(attempt->name, argv[0]) != 0) continue;
      attempt->run(argv + 1);
      return 0;
    }
  }
  say("unknown attempt");
  return 2;
}

int main(int argc, char** argv) {
  // With "clones" it is a template, whose clones make the attempts.
  if (argc > 1 && strcmp(argv[1], "clones") == 0) return serve_orders(run_attempt);
  // With "zygote" it comes from one, or could have.
  if (argc > 1 && strcmp(argv[1], "zygote") == 0) {
    come_from_zygote();
    int count;
    char** words = take_words(&count);
    return run_attempt(count, words);
  }
  return run_attempt(argc - 1, argv + 1);
}

// Tries to get out of a sandbox: every attempt of escape*.c is one case, with the layer that must
// stop it and how that looks from inside. Each is made by a program as it is launched, by a clone,
// and by a template, which has two capabilities more.

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "census.h"
#include "fixture.h"

namespace mayfly::sandbox_tests {
namespace {

using std::chrono::milliseconds;

struct Attempt {
  const char* name;
  const char* layer;
  const char* expected;  // errno name or word; several with '|'
  std::vector<std::string> arguments = {};
};

void PrintTo(const Attempt& attempt, std::ostream* out) {
  *out << attempt.name;
}

bool matches(const std::string& expected, const std::string& word) {
  return ("|" + expected + "|").find("|" + word + "|") != std::string::npos;
}

// One spawner for all cases.
class Escape : public ::testing::TestWithParam<Attempt> {
 protected:
  static void SetUpTestSuite() {
    if (::geteuid() != 0) return;
    ::setenv("MAYFLY_TEST_SECRET", "x", 1);
    world = std::make_unique<World>();
  }
  static void TearDownTestSuite() {
    source.reset();
    world.reset();
  }
  void SetUp() override {
    MAYFLY_NEEDS_ROOT();
    ASSERT_EQ(world->error, "");
  }

  static LaunchSpec spec(const Attempt& attempt) {
    std::vector<std::string> argv = {"/opt/attempts", attempt.name};
    argv.insert(argv.end(), attempt.arguments.begin(), attempt.arguments.end());
    LaunchSpec spec = world->spec(std::move(argv));
    mount_attempts(spec);
    return spec;
  }
  static std::string first_word(const Output& output) {
    return output.out.substr(0, output.out.find('\n'));
  }
  static void expect_stopped(const Attempt& attempt, std::function<void(LaunchSpec&)> change = {}) {
    LaunchSpec launch = spec(attempt);
    if (change) change(launch);
    auto output = world->run(std::move(launch), milliseconds(20'000));
    ASSERT_TRUE(output.has_value()) << output.error().describe();
    std::string word = first_word(output.value());
    EXPECT_TRUE(matches(attempt.expected, word))
        << attempt.name << ": " << attempt.layer << " should have stopped it with "
        << attempt.expected << ", but: " << output.value().out << output.value().err
        << output.value().exit.reason;
  }

  static void mount_attempts(LaunchSpec& spec) {
    spec.mounts.push_back({MAYFLY_BUILD_DIR "/sandbox_escape_attempts", "/opt/attempts"});
  }
  // One template for all attempts of clones.
  static Sandbox* template_of_attempts() {
    if (source) return source.get();
    auto launched = world->launch_template({"clones"}, [](LaunchSpec& spec) {
      spec.argv[0] = "/opt/attempts";
      mount_attempts(spec);
    });
    EXPECT_TRUE(launched.has_value()) << launched.error().describe();
    if (launched.has_value()) source = std::move(launched).value();
    return source.get();
  }

  // A tree with them alone.
  static std::string image_of_attempts() {
    const std::string root = world->folder.path() + "/image";
    if (fs::exists(root)) return root;
    for (const char* name : {"/opt", "/proc", "/dev", "/tmp", "/etc", "/usr", "/bin", "/var/task"})
      fs::create_directories(root + name);
    for (const char* name : {"/etc/resolv.conf", "/etc/hosts", "/etc/passwd", "/bin/sh"})
      write_text(root + name, "", fs::perms(0666));
    fs::create_directories(root + "/usr/bin");
    write_text(root + "/usr/bin/env", "", fs::perms(0755));
    fs::copy_file(MAYFLY_BUILD_DIR "/sandbox_escape_attempts", root + "/opt/attempts");
    return root;
  }

  static inline std::unique_ptr<World> world;
  static inline std::unique_ptr<Sandbox> source;
};

TEST_P(Escape, Stopped) {
  expect_stopped(GetParam());
}

// What looks different from a clone: it has a channel, and the template's environment.
const std::map<std::string, std::string> kInAClone = {{"count_fds", "4"}, {"environment", "4"}};

TEST_P(Escape, StoppedInAClone) {
  const Attempt& attempt = GetParam();
  Sandbox* from = template_of_attempts();
  ASSERT_NE(from, nullptr);
  std::vector<std::string> words = {attempt.name};
  words.insert(words.end(), attempt.arguments.begin(), attempt.arguments.end());
  auto made = world->clone(*from, words);
  ASSERT_TRUE(made.has_value()) << made.error().describe();
  auto output = world->finish(*made.value(), milliseconds(20'000));
  ASSERT_TRUE(output.has_value());
  auto other = kInAClone.find(attempt.name);
  std::string expected = other != kInAClone.end() ? other->second : attempt.expected;
  EXPECT_TRUE(matches(expected, first_word(output.value())))
      << attempt.name << ": " << attempt.layer << " should have stopped it with " << expected
      << ", but: " << output.value().out << output.value().err << output.value().exit.reason;
}

// From a zygote, all is as from an exec; the launch has words more in its environment.
TEST_P(Escape, StoppedFromAZygote) {
  const Attempt& attempt = GetParam();
  LaunchSpec launch = world->spec({"/opt/attempts", "zygote"});
  mount_attempts(launch);
  launch.env.push_back(std::string("WORD=") + attempt.name);
  for (const auto& word : attempt.arguments) launch.env.push_back("WORD=" + word);
  auto launched = world->launch_from_zygote(std::move(launch));
  ASSERT_TRUE(launched.has_value()) << launched.error().describe();
  auto output = world->finish(*launched.value(), milliseconds(20'000));
  ASSERT_TRUE(output.has_value());
  EXPECT_TRUE(matches(attempt.expected, first_word(output.value())))
      << attempt.name << ": " << attempt.layer << " should have stopped it with "
      << attempt.expected << ", but: " << output.value().out << output.value().err
      << output.value().exit.reason;
}

// And from a template: it has CAP_SYS_ADMIN, for which gain_capability asks, and may add filters,
// of which none is given here.
const std::map<std::string, std::string> kInATemplate = {{"count_fds", "5"},
                                                         {"environment", "4"},
                                                         {"gain_capability", "ESCAPED"},
                                                         {"seccomp_loosen", "EFAULT"},
                                                         {"seccomp_listener", "ENOSYS"}};

TEST_P(Escape, StoppedInATemplate) {
  Attempt attempt = GetParam();
  auto other = kInATemplate.find(attempt.name);
  if (other != kInATemplate.end()) attempt.expected = other->second.c_str();
  expect_stopped(attempt, [](LaunchSpec& spec) { spec.cloneable = spec.channel = true; });
}

// And from an image, which has nothing of the host.
TEST_P(Escape, StoppedInAnImage) {
  expect_stopped(GetParam(), [](LaunchSpec& spec) {
    spec.mounts.clear();
    spec.rootfs = image_of_attempts();
  });
}

constexpr const char *kSeccomp = "seccomp", *kCaps = "capabilities", *kMountNs = "mount namespace",
                     *kPidNs = "pid namespace", *kUserNs = "user namespace",
                     *kReadOnly = "read-only root", *kDumpable = "non-dumpable init",
                     *kNnp = "no_new_privs", *kRlimit = "rlimits";

const Attempt kKernel[] = {
    {"unshare_user", kSeccomp, "EPERM"},
    {"unshare_mount", kSeccomp, "EPERM"},
    {"unshare_net", kSeccomp, "EPERM"},
    {"unshare_pid", kSeccomp, "EPERM"},
    {"clone_user", kSeccomp, "EPERM"},
    {"clone_user_high_bits", kSeccomp, "EPERM"},
    {"clone3_user", kSeccomp, "ENOSYS"},
    {"setns_init", kDumpable, "EACCES"},
    {"setns_self", kSeccomp, "EPERM"},
    {"setns_init_by_pidfd", kSeccomp, "EPERM"},
    {"trusted_attribute", kCaps, "EPERM"},
    {"gain_net_admin", kCaps, "EPERM"},
    {"seccomp_listener", kSeccomp, "EPERM"},
    {"mount_tmpfs", kSeccomp, "EPERM"},
    {"mount_bind", kSeccomp, "EPERM"},
    {"remount_root", kSeccomp, "EPERM"},
    {"umount_proc", kSeccomp, "EPERM"},
    {"new_mount_api", kSeccomp, "EPERM"},
    {"open_tree_root", kSeccomp, "EPERM"},
    {"move_mount_root", kSeccomp, "EPERM"},
    {"mount_setattr_root", kSeccomp, "EPERM"},
    {"pivot", kSeccomp, "EPERM"},
    {"chroot_trick", kSeccomp, "EPERM"},
    {"cgroup_mount", kSeccomp, "EPERM"},
    {"cgroup2_mount", kSeccomp, "EPERM"},
    {"bpf", kSeccomp, "EPERM"},
    {"io_uring", kSeccomp, "ENOSYS"},
    {"perf_event", kSeccomp, "EPERM"},
    {"keyctl_join", kSeccomp, "EPERM"},
    {"add_key", kSeccomp, "EPERM"},
    {"request_key", kSeccomp, "EPERM"},
    {"userfaultfd", kSeccomp, "EPERM"},
    {"kexec", kSeccomp, "EPERM"},
    {"kexec_file", kSeccomp, "EPERM"},
    {"load_module", kSeccomp, "EPERM"},
    {"init_module", kSeccomp, "EPERM"},
    {"delete_module", kSeccomp, "EPERM"},
    {"reboot_host", kSeccomp, "EPERM"},
    {"swap_on", kSeccomp, "EPERM"},
    {"set_clock", kSeccomp, "EPERM"},
    {"adjust_clock", kSeccomp, "EPERM"},
    {"set_hostname", kSeccomp, "EPERM"},
    {"set_domain", kSeccomp, "EPERM"},
    {"quota", kSeccomp, "EPERM"},
    {"accounting", kSeccomp, "EPERM"},
    {"kernel_log", kSeccomp, "EPERM"},
    {"port_io", kSeccomp, "EPERM"},
    {"kcmp_init", kSeccomp, "EPERM"},
    {"steal_fd", kSeccomp, "EPERM"},
    {"seccomp_loosen", kSeccomp, "EPERM"},
    {"prctl_seccomp", kSeccomp, "EPERM"},
    {"personality_aslr", kSeccomp, "ENOSYS"},
    {"fanotify", kSeccomp, "EPERM"},
    {"handle_open", kSeccomp, "EPERM"},
    {"handle_name", kSeccomp, "EPERM"},
    {"modify_ldt", kSeccomp, "EPERM"},
    {"ptrace_init", kSeccomp, "EPERM"},
    {"ptrace_child", kSeccomp, "EPERM"},
    {"read_init_memory", kSeccomp, "EPERM"},
    {"lookup_newest", kSeccomp, "ENOSYS"},
    {"terminal_inject", kSeccomp, "EPERM"},
    {"terminal_inject_high_bits", kSeccomp, "EPERM"},
    {"exec_from_tmp_other_arch", kSeccomp, "SIGSYS"},
    {"sysrq", kUserNs, "EACCES|ENOENT"},
    {"core_pattern", kUserNs, "EACCES"},
    {"modprobe_path", kUserNs, "EACCES|ENOENT"},
    {"hostname_file", kUserNs, "EACCES"},
    {"user_namespaces_max", kUserNs, "EACCES"},
    {"forwarding", kUserNs, "EACCES"},
    {"kernel_memory", kUserNs, "EACCES|ENOENT"},
    {"uid_map", kUserNs, "EPERM"},
    {"init_memory", kDumpable, "EACCES"},
    {"init_oom", kDumpable, "EACCES"},
    {"init_environment", kDumpable, "EACCES"},
    {"init_root", kDumpable, "EACCES"},
    {"init_cwd", kDumpable, "EACCES"},
    {"init_fds", kDumpable, "EACCES"},
    {"kill_init", kPidNs, "ignored"},
    {"dot_dot", kMountNs, "own-root"},
    {"host_devices", kMountNs, "ENOENT"},
    {"mounts_shown", kMountNs, "own-mounts"},
    {"cgroup_shown", "cgroup namespace", "hidden"},
    {"make_device", kCaps, "EPERM"},
    {"make_memory_device", kCaps, "EPERM"},
    {"gain_capability", kCaps, "EPERM"},
    {"become_root", kUserNs, "EINVAL"},
    {"become_other", kUserNs, "EINVAL"},
    {"change_groups", kCaps, "EPERM"},
    {"setuid_binary", kNnp, "refused"},
    {"own_setuid_file", kUserNs, "EINVAL|EPERM"},
    {"no_new_privs_off", kNnp, "EINVAL"},
    {"lower_oom_score", kCaps, "EACCES"},
    {"raise_limit", kRlimit, "EPERM"},
    {"raise_priority", kCaps, "EACCES"},
    {"real_time", kCaps, "EPERM"},
    {"count_fds", "descriptors closed at launch", "3"},
    {"environment", "environment given whole", "3"},
    {"raw_socket", kSeccomp, "EPERM"},
    {"raw_socket6", kSeccomp, "EPERM"},
    {"raw_high_bits", kSeccomp, "EPERM"},
    {"packet_socket", kSeccomp, "EAFNOSUPPORT"},
    {"packet_high_bits", kSeccomp, "EAFNOSUPPORT"},
    {"vsock_socket", kSeccomp, "EAFNOSUPPORT"},
    {"alg_socket", kSeccomp, "EAFNOSUPPORT"},
    {"bluetooth_socket", kSeccomp, "EAFNOSUPPORT"},
    {"can_socket", kSeccomp, "EAFNOSUPPORT"},
    {"xdp_socket", kSeccomp, "EAFNOSUPPORT"},
    {"tipc_socket", kSeccomp, "EAFNOSUPPORT"},
    {"key_socket", kSeccomp, "EAFNOSUPPORT"},
    {"netlink_netfilter", kSeccomp, "EPROTONOSUPPORT"},
    {"netlink_audit", kSeccomp, "EPROTONOSUPPORT"},
    {"netlink_uevent", kSeccomp, "EPROTONOSUPPORT"},
    {"sctp_socket", kSeccomp, "EPROTONOSUPPORT"},
    {"mptcp_socket", kSeccomp, "EPROTONOSUPPORT"},
    {"netlink_change", kCaps, "EPERM"},
    {"tcp_ulp", kSeccomp, "EPERM"},
    {"tcp_ulp_high_bits", kSeccomp, "EPERM"},
    {"multicast_join", kSeccomp, "EPERM"},
    {"unix_oob", kSeccomp, "EOPNOTSUPP"},
    {"low_port", kCaps, "EACCES"},
    {"fill_tmp", "size of /tmp", "ENOSPC"},
    {"fill_shm", "size of /tmp", "ENOSPC"},
    {"fill_inodes", "inodes of /tmp", "ENOSPC"},
    {"many_files", kRlimit, "EMFILE"},
    {"fork_bomb", "pids limit", "EAGAIN"},
    {"read_path", kMountNs, "ENOENT", {"/etc/shadow"}},
    {"read_path", kMountNs, "ENOENT", {"/sys/kernel"}},
    {"read_path", kMountNs, "ENOENT", {"/root/.bashrc"}},
    {"write_path", kReadOnly, "EROFS|EACCES", {"/x"}},
    {"write_path", kReadOnly, "EROFS|EACCES", {"/usr/x"}},
    {"write_path", kReadOnly, "EROFS|EACCES", {"/var/task/x"}},
    {"write_path", kReadOnly, "EROFS|EACCES", {"/etc/passwd"}},
    {"write_path", kReadOnly, "EROFS|EACCES", {"/bin/sh"}},
    {"write_path", kReadOnly, "EROFS|EACCES", {"/opt/attempts"}},
    {"unlink_path", kReadOnly, "EROFS", {"/usr/bin/env"}},
};

INSTANTIATE_TEST_SUITE_P(Kernel, Escape, ::testing::ValuesIn(kKernel), [](const auto& info) {
  std::string name = info.param.name;
  for (const auto& argument : info.param.arguments) name += "_" + argument;
  for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return name;
});

using EscapeHost = Escape;

TEST_F(EscapeHost, FilesOfTheHost) {
  std::string data = world->folder.path();
  std::string package = data + "/package-of-another";
  fs::create_directories(package);
  write_text(package + "/code", "x", fs::perms(0644));
  for (const std::string& path : {data, data + "/state/lock", package + "/code",
                                  std::string("/root"), std::string("/home")}) {
    LaunchSpec launch = spec({"read_path", kMountNs, "", {path + (path.size() > 5 ? "" : "/x")}});
    auto output = world->run(std::move(launch), milliseconds(10'000));
    EXPECT_EQ(first_word(output.value()), "ENOENT") << path;
  }
}

TEST_F(EscapeHost, ProcessesOfTheHost) {
  // A pid that exists out here and, with few processes inside, not in there.
  std::string pid = std::to_string(::getpid() > 50 ? ::getpid() : world->spawner->pid());
  expect_stopped({"kill_outside", kPidNs, "ESRCH", {pid}});
  expect_stopped({"see_outside", kPidNs, "ENOENT", {pid}});
}

TEST_F(EscapeHost, PackageIsReadOnly) {
  std::string package = world->folder.path() + "/package";
  fs::create_directories(package);
  write_text(package + "/code", "x", fs::perms(0666));
  fs::permissions(package, fs::perms(0777));
  auto mount = [&](LaunchSpec& spec) { spec.mounts.push_back({package, "/var/task"}); };
  expect_stopped({"write_path", kReadOnly, "EROFS", {"/var/task/new"}}, mount);
  expect_stopped({"write_path", kReadOnly, "EROFS", {"/var/task/code"}}, mount);
  expect_stopped({"unlink_path", kReadOnly, "EROFS", {"/var/task/code"}}, mount);
}

// A listener on the host, on every address.
class Listener {
 public:
  Listener() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    ::bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address);
    ::listen(fd_.get(), 8);
    socklen_t size = sizeof address;
    ::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &size);
    port = std::to_string(ntohs(address.sin_port));
  }
  std::string port;

 private:
  os::Fd fd_;
};

std::vector<std::string> own_addresses() {
  std::vector<std::string> list;
  ifaddrs* first = nullptr;
  if (::getifaddrs(&first) != 0) return list;
  for (auto* entry = first; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr || entry->ifa_addr->sa_family != AF_INET) continue;
    char text[INET_ADDRSTRLEN];
    auto* address = reinterpret_cast<sockaddr_in*>(entry->ifa_addr);
    list.emplace_back(::inet_ntop(AF_INET, &address->sin_addr, text, sizeof text));
  }
  ::freeifaddrs(first);
  return list;
}

TEST_F(EscapeHost, AddressesOfTheHost) {
  Listener listener;
  auto addresses = own_addresses();
  ASSERT_FALSE(addresses.empty());
  auto nat = [](LaunchSpec& spec) { spec.network = Network::nat; };
  for (const auto& address : addresses) {
    bool loopback = address.starts_with("127.");
    // Its own loopback answers for 127.0.0.1, with nobody there.
    expect_stopped(
        {"tcp_connect", "network namespace", "ECONNREFUSED|ENETUNREACH", {address, listener.port}});
    expect_stopped({"tcp_connect",
                    loopback ? "network namespace" : "packet filter",
                    loopback ? "ECONNREFUSED" : "EHOSTUNREACH",
                    {address, listener.port}},
                   nat);
  }
}

TEST_F(EscapeHost, NeighboursOfTheEgress) {
  if (!world->sandboxes->abilities().network_nat) GTEST_SKIP() << "no egress on this machine";
  Listener listener;
  auto nat = [](LaunchSpec& spec) { spec.network = Network::nat; };
  for (const char* address : {"198.19.0.1", "198.18.0.100", "198.18.0.2", "169.254.169.254",
                              "0.0.0.1", "224.0.0.1", "255.255.255.255", "198.18.0.1"}) {
    expect_stopped({"tcp_connect",
                    "packet filter",
                    "EHOSTUNREACH|ENETUNREACH|EACCES",
                    {address, listener.port}},
                   nat);
  }
}

TEST_F(EscapeHost, AnotherSandbox) {
  if (!world->sandboxes->abilities().network_nat) GTEST_SKIP() << "no egress on this machine";
  LaunchSpec server =
      world->spec({"/usr/bin/python3", "-c",
                   "import socket,fcntl,struct,time\n"
                   "s=socket.create_server(('0.0.0.0',7777))\n"
                   "a=socket.inet_ntoa(fcntl.ioctl(s,0x8915,struct.pack('256s',b'eth0'))[20:24])\n"
                   "print(a,flush=True)\ntime.sleep(60)"});
  server.network = Network::nat;
  auto launched = world->launch(server);
  ASSERT_TRUE(launched.has_value());
  std::string address = World::read_line(*launched.value());
  ASSERT_THAT(address, ::testing::StartsWith("198.19."));
  expect_stopped({"tcp_connect", "packet filter", "EHOSTUNREACH", {address, "7777"}},
                 [](LaunchSpec& spec) { spec.network = Network::nat; });
}

TEST_F(EscapeHost, AbstractSocketOfTheHost) {
  os::Fd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  std::string name = "mayfly-test-" + std::to_string(::getpid());
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path + 1, name.data(), name.size());
  auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  ASSERT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(listener.get(), 8), 0);
  expect_stopped({"abstract_connect", "network namespace", "ECONNREFUSED", {name}});
}

bool process_with_argument(const std::string& argument) {
  for (const auto& entry : fs::directory_iterator("/proc")) {
    std::ifstream file(entry.path() / "cmdline");
    std::string line;
    std::getline(file, line);
    if (line.starts_with("sleep") && line.find(argument) != std::string::npos) return true;
  }
  return false;
}

TEST_F(EscapeHost, DaemonsGoWithTheProgram) {
  std::string mark = "31" + std::to_string(::getpid());
  expect_stopped({"daemon_stays", kPidNs, "left", {mark}});
  EXPECT_FALSE(process_with_argument(mark));
}

TEST_F(EscapeHost, IgnoredAndStoppedIsKilledAllTheSame) {
  auto deaf = world->launch(spec({"ignores_term", kPidNs, ""}));
  auto stopped = world->launch(spec({"stops_itself", kPidNs, ""}));
  ASSERT_TRUE(deaf.has_value() && stopped.has_value());
  ASSERT_EQ(World::read_line(*deaf.value()), "ignoring");
  ASSERT_TRUE(world->eventually([] {
    auto members = family(world->spawner->pid());
    return std::any_of(members.begin(), members.end(),
                       [](const auto& member) { return member.second == 'T'; });
  }));
  for (Sandbox* sandbox : {deaf.value().get(), stopped.value().get()}) {
    sandbox->terminate();
    sandbox->kill();
    EXPECT_EQ(world->finish(*sandbox).value().exit.reason, "killed by SIGKILL");
  }
}

TEST_F(EscapeHost, MemoryBomb) {
  LaunchSpec launch = spec({"memory_bomb", "memory limit", ""});
  auto output = world->run(std::move(launch), milliseconds(20'000));
  ASSERT_TRUE(output.has_value());
  EXPECT_EQ(output.value().out.find("ESCAPED"), std::string::npos);
  EXPECT_EQ(output.value().exit.reason, "out of memory (limit 128 MB)");
}

}  // namespace
}  // namespace mayfly::sandbox_tests

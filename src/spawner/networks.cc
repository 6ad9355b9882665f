#include "spawner/networks.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <set>

#include "os/files.h"
#include "os/ipc.h"
#include "spawner/etc.h"
#include "wire/spawner_messages.h"

namespace mayfly::spawner {

namespace {

// 198.18.0.0/15 is set aside for tests of network devices (RFC 2544): no host of the world or of a
// private network that a function may want to reach is hidden by it.
constexpr os::Ipv4 kGateway = (198u << 24) | (19u << 16) | 1;
constexpr os::Ipv4 kFirstAddress = kGateway + 1;
constexpr std::uint32_t kAddresses = 65'000;
constexpr const char* kSlirpNetwork = "198.18.0.0/24";
constexpr const char* kTapName = "tap0";
constexpr int kLoopbackIndex = 1, kSandboxLinkIndex = 100, kFirstEgressIndex = 1000;
constexpr int kSlirpReadyMs = 10'000;
// Half as many connections may be in TIME_WAIT; 32 KB for each sandbox.
constexpr const char* kTcpBuckets = "4096";

Result<os::Fd> open_current_netns() {
  return os::open_file("/proc/self/ns/net", O_RDONLY);
}

// Puts the process back into its namespace whatever happens in between.
class Visit {
 public:
  explicit Visit(int home) : home_(home) {}
  ~Visit() {
    if (::setns(home_, CLONE_NEWNET) != 0) ::abort();  // never work on in a foreign namespace
  }
  Visit(const Visit&) = delete;

 private:
  int home_;
};

// Every address of this machine itself, as seen in the current network namespace.
std::vector<std::string> host_addresses() {
  std::set<std::string> found;
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return {};
  for (ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
    if (entry->ifa_addr == nullptr || entry->ifa_addr->sa_family != AF_INET) continue;
    auto address = reinterpret_cast<sockaddr_in*>(entry->ifa_addr)->sin_addr.s_addr;
    std::string text = ipv4_text(ntohl(address));
    if (!text.starts_with("127.") && !text.starts_with("169.254.")) found.insert(text);
  }
  ::freeifaddrs(list);
  return {found.begin(), found.end()};
}

Status listen_at(int fd, os::Ipv4 host, std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(host);
  if (::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(fd, SOMAXCONN) != 0) {
    return errno_error("listen in the sandbox on port " + std::to_string(port), errno);
  }
  return ok();
}

Error missing_program(const std::string& name) {
  return Error{Code::unsupported,
               "the program '" + name + "' is not installed (apt-get install " +
                   (name == "nft" ? "nftables" : name) + ")",
               "find " + name, ENOENT};
}

}  // namespace

std::string ipv4_text(os::Ipv4 address) {
  in_addr in{htonl(address)};
  char text[INET_ADDRSTRLEN];
  return ::inet_ntop(AF_INET, &in, text, sizeof text) != nullptr ? text : "";
}

std::string filter_rules(const std::vector<std::string>& host_addresses) {
  std::string own;
  for (const auto& address : host_addresses) own += (own.empty() ? "" : ", ") + address;
  // "add, delete, add" replaces the table in one transaction whether or not it was there.
  return "add table ip mayfly\ndelete table ip mayfly\n"
         "table ip mayfly {\n"
         "  set refused { type ipv4_addr; flags interval; elements = { 0.0.0.0/8, 127.0.0.0/8, "
         "169.254.0.0/16, 198.18.0.0/15, 224.0.0.0/3 } }\n"
         "  set host { type ipv4_addr; " +
         (own.empty() ? "" : "elements = { " + own + " } ") +
         "}\n"
         "  chain input {\n"
         "    type filter hook input priority 0; policy drop;\n"
         "    iifname != \"tap0\" reject with icmp type admin-prohibited\n"
         "  }\n"
         "  chain forward {\n"
         "    type filter hook forward priority 0; policy drop;\n"
         "    iifname \"tap0\" oifname != \"tap0\" ct state established,related accept\n"
         "    ip daddr @host reject with icmp type admin-prohibited\n"
         "    ip daddr " +
         std::string(kResolverAddress) +
         " udp dport 53 accept\n"
         "    ip daddr " +
         std::string(kResolverAddress) +
         " tcp dport 53 accept\n"
         "    ip daddr @refused reject with icmp type admin-prohibited\n"
         "    iifname != \"tap0\" oifname \"tap0\" accept\n"
         "  }\n"
         "  chain postrouting {\n"
         "    type nat hook postrouting priority 100; policy accept;\n"
         "    oifname \"tap0\" masquerade\n"
         "  }\n"
         "}\n";
}

std::unique_ptr<Networks> Networks::start(bool want_nat, std::vector<std::string>& missing) {
  std::unique_ptr<Networks> networks(new Networks());
  auto home = open_current_netns();
  if (home.has_error()) {
    missing.push_back("Cannot open /proc/self/ns/net: " + home.error().message + ".");
    return networks;
  }
  networks->home_ = std::move(home).value();
  networks->make_birthplace();
  if (!want_nat) return networks;
  auto started = networks->start_egress();
  if (started.has_error()) {
    missing.push_back("No network beyond the sandbox's own: " + started.error().describe() +
                      ". Functions with network 'nat' run as with 'none'.");
    networks->stop_egress();
  }
  return networks;
}

Networks::~Networks() {
  stop_egress();
}

void Networks::make_birthplace() {
  Visit visit(home_.get());
  if (::unshare(CLONE_NEWNET) != 0) return;
  auto made = open_current_netns();
  auto set = os::write_file("/proc/sys/net/ipv4/tcp_child_ehash_entries", kTcpBuckets);
  if (made.has_value() && set.has_value()) birthplace_ = std::move(made).value();
}

// Leaves the current namespace for a new one.
Status Networks::unshare_here() const {
  if (birthplace_ && ::setns(birthplace_.get(), CLONE_NEWNET) != 0) {
    return errno_error("enter birthplace of network namespaces", errno);
  }
  if (::unshare(CLONE_NEWNET) != 0) return errno_error("make network namespace", errno);
  return ok();
}

void Networks::stop_egress() {
  stop_slirp();
  watch_.reset();
  egress_netlink_.reset();
  egress_.reset();
}

void Networks::stop_slirp() {
  if (slirp_.pid > 0) {
    ::kill(slirp_.pid, SIGKILL);
    while (::waitpid(slirp_.pid, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  slirp_ = Child();
  slirp_exit_.reset();
}

Status Networks::start_egress() {
  for (const char* name : {"slirp4netns", "nft"}) {
    if (find_program(name).empty()) return missing_program(name);
  }
  if (::access("/dev/net/tun", R_OK | W_OK) != 0) {
    return errno_error("open /dev/net/tun (modprobe tun)", errno);
  }
  // Before any visit elsewhere: the watch must see the host's own interfaces.
  watch_ = os::Fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = RTMGRP_IPV4_IFADDR;
  if (!watch_ || ::bind(watch_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    return errno_error("watch the host's addresses", errno);
  }
  auto own = host_addresses();
  {
    Visit visit(home_.get());
    if (::unshare(CLONE_NEWNET) != 0) return errno_error("make egress namespace", errno);
    MAYFLY_TRY(configure_egress(own));
  }
  return start_slirp();
}

Status Networks::configure_egress(const std::vector<std::string>& own) {
  auto egress = open_current_netns();
  if (egress.has_error()) return std::move(egress).error();
  egress_ = std::move(egress).value();
  auto netlink = os::Netlink::open();
  if (netlink.has_error()) return std::move(netlink).error();
  egress_netlink_.emplace(std::move(netlink).value());
  MAYFLY_TRY(os::write_file("/proc/sys/net/ipv4/ip_forward", "1"));
  for (const char* name : {"all", "default"}) {
    std::string sysctl = std::string("/proc/sys/net/ipv6/conf/") + name + "/disable_ipv6";
    if (::access(sysctl.c_str(), F_OK) == 0) MAYFLY_TRY(os::write_file(sysctl, "1"));
    // A sandbox cannot send as another one even if it could forge a source.
    MAYFLY_TRY(os::write_file(std::string("/proc/sys/net/ipv4/conf/") + name + "/rp_filter", "1"));
  }
  MAYFLY_TRY(egress_netlink_->set_up(kLoopbackIndex));
  MAYFLY_TRY(egress_netlink_->add_address(kLoopbackIndex, kGateway, 32));
  return run_child({find_program("nft"), "-f", "-"}, filter_rules(own));
}

Status Networks::start_slirp() {
  auto ready = os::make_pipe();
  if (ready.has_error()) return std::move(ready).error();
  auto life = os::make_pipe();
  if (life.has_error()) return std::move(life).error();
  ChildOptions options;
  options.argv = {find_program("slirp4netns"),
                  "--configure",
                  "--mtu=65520",
                  "--disable-host-loopback",
                  "--enable-sandbox",
                  "--enable-seccomp",
                  "--cidr=" + std::string(kSlirpNetwork),
                  "--ready-fd=4",
                  "--exit-fd=5",
                  "--netns-type=path",
                  "/proc/self/fd/6",
                  kTapName};
  options.fds = {
      {ready.value().write_end.get(), 4}, {life.value().read_end.get(), 5}, {egress_.get(), 6}};
  // Its own chatter is not wanted in the server's log.
  os::Fd null(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  options.fds.emplace_back(null.get(), 2);
  auto child = start_child(options);
  if (child.has_error()) return std::move(child).error();
  slirp_ = std::move(child).value();
  slirp_exit_ = std::move(life.value().write_end);
  ready.value().write_end.reset();
  pollfd poll{ready.value().read_end.get(), POLLIN, 0};
  char byte;
  if (::poll(&poll, 1, kSlirpReadyMs) <= 0 || ::read(ready.value().read_end.get(), &byte, 1) != 1) {
    stop_slirp();
    return Error{Code::unsupported,
                 "slirp4netns ended before its interface was up; run it by hand to see why",
                 "start slirp4netns", 0};
  }
  return ok();
}

bool Networks::restart_slirp() {
  stop_slirp();
  if (start_slirp().has_value()) return true;
  stop_egress();
  return false;
}

void Networks::host_addresses_changed() {
  char buffer[8192];
  while (::recv(watch_.get(), buffer, sizeof buffer, 0) > 0) {
  }
  auto own = host_addresses();
  Visit visit(home_.get());
  if (::setns(egress_.get(), CLONE_NEWNET) != 0 ||
      run_child({find_program("nft"), "-f", "-"}, filter_rules(own)).has_error()) {
    // Without a filter that knows the host, nobody may go out.
    stop_egress();
  }
}

Result<NetworkSpace> Networks::make(bool nat) {
  nat = nat && nat_available();
  NetworkSpace space;
  space.nat = nat;
  Visit visit(home_.get());
  MAYFLY_TRY(unshare_here());
  auto netns = open_current_netns();
  if (netns.has_error()) return std::move(netns).error();
  space.netns = std::move(netns).value();
  MAYFLY_TRY(set_up(space));
  return space;
}

Result<NetworkSpace> Networks::adopt(os::Fd netns, bool nat) {
  NetworkSpace space;
  space.nat = nat && nat_available();
  space.netns = std::move(netns);
  Visit visit(home_.get());
  if (::setns(space.netns.get(), CLONE_NEWNET) != 0) {
    return errno_error("enter network namespace", errno);
  }
  MAYFLY_TRY(set_up(space));
  return space;
}

// In the namespace.
Status Networks::set_up(NetworkSpace& space) {
  auto netlink = os::Netlink::open();
  if (netlink.has_error()) return std::move(netlink).error();
  MAYFLY_TRY(netlink.value().set_up(kLoopbackIndex));
  if (space.nat) MAYFLY_TRY(connect_out(space, netlink.value()));
  return ok();
}

Status Networks::connect_out(const NetworkSpace& space, os::Netlink& inside) {
  if (::access("/proc/sys/net/ipv6", F_OK) == 0) {
    MAYFLY_TRY(os::write_file("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1"));
  }
  // Addresses and link numbers go round: the kernel takes down old pairs in the background.
  os::Ipv4 address = kFirstAddress + next_ % kAddresses;
  int index = kFirstEgressIndex + static_cast<int>(next_ % 1'000'000);
  ++next_;
  MAYFLY_TRY(egress_netlink_->add_veth("v" + std::to_string(index), index, "eth0",
                                       kSandboxLinkIndex, space.netns.get()));
  MAYFLY_TRY(egress_netlink_->add_host_route(address, index));
  MAYFLY_TRY(inside.add_address(kSandboxLinkIndex, address, 32));
  MAYFLY_TRY(inside.set_up(kSandboxLinkIndex));
  MAYFLY_TRY(inside.add_host_route(kGateway, kSandboxLinkIndex));
  return inside.add_default_route(kGateway);
}

Result<std::vector<os::Fd>> Networks::make_sockets(const NetworkSpace& space, int count) {
  Visit visit(home_.get());
  if (::setns(space.netns.get(), CLONE_NEWNET) != 0) {
    return errno_error("enter network namespace", errno);
  }
  std::vector<os::Fd> sockets;
  for (int i = 0; i < count; ++i) {
    sockets.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!sockets.back()) return errno_error("make socket in the sandbox", errno);
  }
  return sockets;
}

Result<std::vector<os::Fd>> Networks::make_listeners(const NetworkSpace& space,
                                                     const std::vector<std::uint16_t>& ports) {
  if (ports.empty()) return std::vector<os::Fd>();
  auto sockets = make_sockets(space, static_cast<int>(ports.size()));
  if (sockets.has_error()) return sockets;
  for (std::size_t i = 0; i < ports.size(); ++i) {
    MAYFLY_TRY(listen_at(sockets.value()[i].get(), INADDR_LOOPBACK, ports[i]));
  }
  return sockets;
}

// In the namespace: its port is one that takes power over it.
Result<os::Fd> Networks::make_services_listener(const NetworkSpace& space) {
  Visit visit(home_.get());
  if (::setns(space.netns.get(), CLONE_NEWNET) != 0) {
    return errno_error("enter network namespace", errno);
  }
  os::Fd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener) return errno_error("make socket in the sandbox", errno);
  in_addr address{};
  ::inet_pton(AF_INET, wire::kServicesAddress, &address);
  MAYFLY_TRY(listen_at(listener.get(), ntohl(address.s_addr), wire::kServicesPort));
  return listener;
}

}  // namespace mayfly::spawner

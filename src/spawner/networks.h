#pragma once
// Network namespaces for sandboxes, and the one way out that those with
// Network::nat share: a namespace "egress" that routes between a cable to each of them and one
// slirp4netns, which carries what the packet filter lets through into the host's network as an
// ordinary user program would. The filter forwards to slirp4netns alone, never from one sandbox to
// another. (A bridge with isolated ports would do too, but ends at 1,023 ports.) Nothing in the
// host's own network namespace is changed.
//
//   sandbox eth0 198.19.x.y ── v1000.. (gateway 198.19.0.1) ── filter, masquerade ── tap0
//   198.18.0.100 ── slirp4netns (names 198.18.0.3) ── host

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "os/fd.h"
#include "os/netlink.h"
#include "spawner/child_process.h"

namespace mayfly::spawner {

struct NetworkSpace {
  os::Fd netns;
  bool nat = false;
};

class Networks {
 public:
  // Never fails: without egress, nat_available() is false and `missing` says why. Must run in the
  // host's network namespace.
  static std::unique_ptr<Networks> start(bool want_nat, std::vector<std::string>& missing);
  ~Networks();
  Networks(const Networks&) = delete;
  Networks& operator=(const Networks&) = delete;

  bool nat_available() const { return egress_.valid(); }

  // A new namespace with its loopback up. Without egress, nat behaves as none.
  Result<NetworkSpace> make(bool nat);
  // The same for a namespace that someone below has made and over which this program has power.
  Result<NetworkSpace> adopt(os::Fd netns, bool nat);

  // `count` TCP sockets, non-blocking, made in the namespace.
  Result<std::vector<os::Fd>> make_sockets(const NetworkSpace& space, int count);
  // One listening TCP socket on 127.0.0.1 of the namespace for each port, non-blocking.
  Result<std::vector<os::Fd>> make_listeners(const NetworkSpace& space,
                                             const std::vector<std::uint16_t>& ports);
  // That at wire::kServicesAddress.
  Result<os::Fd> make_services_listener(const NetworkSpace& space);

  int home() const { return home_.get(); }
  // Where network namespaces of sandboxes are to be made, by whoever does: an empty namespace,
  // whose children have a small table of TCP connections each. The host's table has a bucket for
  // each 100 KB of memory, and the kernel goes through all of them at the end of each namespace
  // that shares it. -1: this kernel has no such thing.
  int birthplace() const { return birthplace_.get(); }

  // Readable when the host's addresses have changed; the filter is then brought up to date.
  int watch_fd() const { return watch_.get(); }
  void host_addresses_changed();
  // pidfd of slirp4netns; readable when it has died. -1: none.
  int slirp_pidfd() const { return slirp_.pidfd.get(); }
  // Starts it again; false when that fails too, and then nat is as none from here on.
  bool restart_slirp();

 private:
  Networks() = default;
  void make_birthplace();
  Status unshare_here() const;
  Status start_egress();
  Status configure_egress(const std::vector<std::string>& own_addresses);
  Status start_slirp();
  void stop_slirp();
  void stop_egress();
  Status set_up(NetworkSpace& space);
  Status connect_out(const NetworkSpace& space, os::Netlink& inside);

  os::Fd home_;  // the host's network namespace
  os::Fd birthplace_;
  os::Fd egress_;  // invalid: no way out
  std::optional<os::Netlink> egress_netlink_;
  std::uint32_t next_ = 0;
  os::Fd watch_;
  Child slirp_;
  os::Fd slirp_exit_;  // slirp4netns ends when this closes
};

// "198.19.0.7"
std::string ipv4_text(os::Ipv4 address);

// The packet filter of the egress namespace, as nft reads it.
std::string filter_rules(const std::vector<std::string>& host_addresses);

}  // namespace mayfly::spawner

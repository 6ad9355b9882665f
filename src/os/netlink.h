#pragma once
// The few routing-netlink requests that sandbox networks need. A socket works in the network
// namespace it was opened in, whichever one the process is in later. Not thread-safe; blocking.

#include <array>
#include <cstdint>
#include <string>

#include "base/result.h"
#include "os/fd.h"

namespace mayfly::os {

// An IPv4 address in host byte order.
using Ipv4 = std::uint32_t;

class Netlink {
 public:
  // In the calling process's current network namespace.
  static Result<Netlink> open();

  Result<int> link_index(const std::string& name);
  Status set_up(int index);
  // A pair of links, each with the number given: `name` here, already up, and peer_name in
  // peer_netns. Both go when either end does.
  Status add_veth(const std::string& name, int index, const std::string& peer_name, int peer_index,
                  int peer_netns);
  Status add_address(int index, Ipv4 address, unsigned prefix);
  // The address is reached directly over the link.
  Status add_host_route(Ipv4 address, int index);
  Status add_default_route(Ipv4 gateway);

 private:
  class Request;
  Status send(Request& request, const std::string& step);

  Fd socket_;
  std::uint32_t sequence_ = 0;
};

}  // namespace mayfly::os

#include "os/netlink.h"

#include <arpa/inet.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <vector>

namespace mayfly::os {

// Builds one message in a buffer that is large enough for all requests below.
class Netlink::Request {
 public:
  template <class Header>
  Request(std::uint16_t type, std::uint16_t flags, const Header& header) {
    auto* message = reinterpret_cast<nlmsghdr*>(buffer_);
    message->nlmsg_type = type;
    message->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags);
    size_ = NLMSG_HDRLEN;
    append(&header, sizeof header);
  }

  void append(const void* bytes, std::size_t size) {
    std::memcpy(buffer_ + size_, bytes, size);
    size_ += NLMSG_ALIGN(size);
  }
  void attribute(std::uint16_t type, const void* bytes, std::size_t size) {
    rtattr header{static_cast<std::uint16_t>(RTA_LENGTH(size)), type};
    append(&header, sizeof header);
    if (size != 0) append(bytes, size);
  }
  void number(std::uint16_t type, std::uint32_t value) { attribute(type, &value, sizeof value); }
  void text(std::uint16_t type, const std::string& value) {
    attribute(type, value.c_str(), value.size() + 1);
  }
  // A nested attribute: everything added until end() is inside.
  std::size_t begin(std::uint16_t type) {
    std::size_t start = size_;
    attribute(type, nullptr, 0);
    return start;
  }
  void end(std::size_t start) {
    reinterpret_cast<rtattr*>(buffer_ + start)->rta_len = static_cast<std::uint16_t>(size_ - start);
  }
  nlmsghdr* finish(std::uint32_t sequence) {
    auto* message = reinterpret_cast<nlmsghdr*>(buffer_);
    message->nlmsg_len = static_cast<std::uint32_t>(size_);
    message->nlmsg_seq = sequence;
    return message;
  }

 private:
  alignas(nlmsghdr) char buffer_[1024] = {};
  std::size_t size_ = 0;
};

Result<Netlink> Netlink::open() {
  Netlink netlink;
  netlink.socket_ = Fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!netlink.socket_) return errno_error("open netlink socket", errno);
  return netlink;
}

Status Netlink::send(Request& request, const std::string& step) {
  nlmsghdr* message = request.finish(++sequence_);
  if (::send(socket_.get(), message, message->nlmsg_len, 0) < 0) return errno_error(step, errno);
  alignas(nlmsghdr) char reply[4096];
  for (;;) {
    ssize_t size = ::recv(socket_.get(), reply, sizeof reply, 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < static_cast<ssize_t>(NLMSG_HDRLEN)) return errno_error(step, size < 0 ? errno : EIO);
    auto* header = reinterpret_cast<nlmsghdr*>(reply);
    if (header->nlmsg_seq != sequence_ || header->nlmsg_type != NLMSG_ERROR) continue;
    int error = -reinterpret_cast<nlmsgerr*>(NLMSG_DATA(header))->error;
    if (error != 0) return errno_error(step, error);
    return ok();
  }
}

Result<int> Netlink::link_index(const std::string& name) {
  ifinfomsg header{};
  Request request(RTM_GETLINK, 0, header);
  request.text(IFLA_IFNAME, name);
  nlmsghdr* message = request.finish(++sequence_);
  message->nlmsg_flags = NLM_F_REQUEST;
  if (::send(socket_.get(), message, message->nlmsg_len, 0) < 0) {
    return errno_error("find link " + name, errno);
  }
  std::vector<char> reply(32 * 1024);
  for (;;) {
    ssize_t size = ::recv(socket_.get(), reply.data(), reply.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < static_cast<ssize_t>(NLMSG_HDRLEN)) return errno_error("find link " + name, EIO);
    auto* header_in = reinterpret_cast<nlmsghdr*>(reply.data());
    if (header_in->nlmsg_seq != sequence_) continue;
    if (header_in->nlmsg_type == NLMSG_ERROR) {
      int error = -reinterpret_cast<nlmsgerr*>(NLMSG_DATA(header_in))->error;
      return errno_error("find link " + name, error);
    }
    return reinterpret_cast<ifinfomsg*>(NLMSG_DATA(header_in))->ifi_index;
  }
}

Status Netlink::set_up(int index) {
  ifinfomsg header{};
  header.ifi_index = index;
  header.ifi_flags = IFF_UP;
  header.ifi_change = IFF_UP;
  Request request(RTM_NEWLINK, 0, header);
  return send(request, "set link up");
}

Status Netlink::add_veth(const std::string& name, int index, const std::string& peer_name,
                         int peer_index, int peer_netns) {
  ifinfomsg header{};
  header.ifi_index = index;
  header.ifi_flags = IFF_UP;
  header.ifi_change = IFF_UP;
  Request request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, header);
  request.text(IFLA_IFNAME, name);
  auto info = request.begin(IFLA_LINKINFO);
  request.text(IFLA_INFO_KIND, "veth");
  auto data = request.begin(IFLA_INFO_DATA);
  auto peer = request.begin(VETH_INFO_PEER);
  ifinfomsg peer_header{};
  peer_header.ifi_index = peer_index;
  request.append(&peer_header, sizeof peer_header);
  request.text(IFLA_IFNAME, peer_name);
  request.number(IFLA_NET_NS_FD, static_cast<std::uint32_t>(peer_netns));
  request.end(peer);
  request.end(data);
  request.end(info);
  return send(request, "add veth " + name);
}

Status Netlink::add_address(int index, Ipv4 address, unsigned prefix) {
  ifaddrmsg header{};
  header.ifa_family = AF_INET;
  header.ifa_prefixlen = static_cast<std::uint8_t>(prefix);
  header.ifa_index = static_cast<unsigned>(index);
  Request request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, header);
  request.number(IFA_LOCAL, htonl(address));
  request.number(IFA_ADDRESS, htonl(address));
  return send(request, "add address");
}

namespace {

rtmsg route_header(unsigned char scope, unsigned char prefix) {
  rtmsg header{};
  header.rtm_family = AF_INET;
  header.rtm_dst_len = prefix;
  header.rtm_table = RT_TABLE_MAIN;
  header.rtm_protocol = RTPROT_BOOT;
  header.rtm_scope = scope;
  header.rtm_type = RTN_UNICAST;
  return header;
}

}  // namespace

Status Netlink::add_host_route(Ipv4 address, int index) {
  Request request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, route_header(RT_SCOPE_LINK, 32));
  request.number(RTA_DST, htonl(address));
  request.number(RTA_OIF, static_cast<std::uint32_t>(index));
  return send(request, "add route");
}

Status Netlink::add_default_route(Ipv4 gateway) {
  Request request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, route_header(RT_SCOPE_UNIVERSE, 0));
  request.number(RTA_GATEWAY, htonl(gateway));
  return send(request, "add default route");
}

}  // namespace mayfly::os

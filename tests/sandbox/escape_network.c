// Sockets: kinds that are refused, and addresses that must not be reached.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "escape.h"

#define SOCKET(name, family, type, protocol)           \
  static void name(char** a) {                         \
    (void)a;                                           \
    told(syscall(SYS_socket, family, type, protocol)); \
  }

SOCKET(raw_socket, AF_INET, SOCK_RAW, IPPROTO_ICMP)
SOCKET(raw_socket6, AF_INET6, SOCK_RAW, IPPROTO_ICMPV6)
SOCKET(raw_high_bits, (1ull << 32) | AF_INET, SOCK_RAW, IPPROTO_RAW)
SOCKET(packet_socket, AF_PACKET, SOCK_RAW, 0)
SOCKET(packet_high_bits, (1ull << 32) | AF_PACKET, SOCK_RAW, 0)
SOCKET(vsock_socket, AF_VSOCK, SOCK_STREAM, 0)
SOCKET(alg_socket, AF_ALG, SOCK_SEQPACKET, 0)
SOCKET(bluetooth_socket, AF_BLUETOOTH, SOCK_RAW, 0)
SOCKET(can_socket, AF_CAN, SOCK_RAW, 1)
SOCKET(xdp_socket, AF_XDP, SOCK_RAW, 0)
SOCKET(tipc_socket, AF_TIPC, SOCK_SEQPACKET, 0)
SOCKET(key_socket, AF_KEY, SOCK_RAW, 2)
SOCKET(netlink_netfilter, AF_NETLINK, SOCK_RAW, 12)
SOCKET(netlink_audit, AF_NETLINK, SOCK_RAW, 9)
SOCKET(netlink_uevent, AF_NETLINK, SOCK_RAW, 15)
SOCKET(sctp_socket, AF_INET, SOCK_STREAM, 132)
SOCKET(mptcp_socket, AF_INET, SOCK_STREAM, 262)

static void netlink_change(char** a) {
  (void)a;
  // NETLINK_ROUTE is open for looking; changing asks for a capability over the namespace.
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0);
  struct {
    unsigned size;
    unsigned short type, flags;
    unsigned sequence, pid;
    unsigned char family, pad;
    unsigned short link_type;
    int index;
    unsigned set, change;
  } request = {sizeof request, 16, 5, 1, 0, 0, 0, 0, 1, 0, 1};
  if (fd < 0 || send(fd, &request, sizeof request, 0) < 0) return told(-1);
  char reply[1024];
  if (recv(fd, reply, sizeof reply, 0) < 20) return told(-1);
  errno = -*(int*)(reply + 16);
  told(errno != 0 ? -1 : 0);
}
static void tcp_ulp(char** a) {
  (void)a;
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  told(setsockopt(fd, IPPROTO_TCP, 31, "tls", 3));
}
static void tcp_ulp_high_bits(char** a) {
  (void)a;
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  told(syscall(SYS_setsockopt, fd, (1ull << 32) | IPPROTO_TCP, (1ull << 32) | 31, "tls", 3));
}
static void multicast_join(char** a) {
  (void)a;
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  struct ip_mreq request = {{inet_addr("224.0.0.251")}, {0}};
  told(setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof request));
}
static void unix_oob(char** a) {
  (void)a;
  int pair[2];
  socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
  told(send(pair[0], "x", 1, MSG_OOB));
}
static void low_port(char** a) {
  (void)a;
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(80)};
  told(bind(fd, (struct sockaddr*)&address, sizeof address));
}
// a[0] address, a[1] port. A packet filter that drops in silence shows as ETIMEDOUT.
static void tcp_connect(char** a) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(a[1]))};
  inet_pton(AF_INET, a[0], &address.sin_addr);
  if (connect(fd, (struct sockaddr*)&address, sizeof address) != 0 && errno != EINPROGRESS) {
    return told(-1);
  }
  struct pollfd poll_for = {fd, POLLOUT, 0};
  if (poll(&poll_for, 1, 3000) == 0) return say("ETIMEDOUT");
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  errno = error;
  told(error != 0 ? -1 : 0);
}
// a[0]: the name of an abstract socket that listens on the host.
static void abstract_connect(char** a) {
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strncpy(address.sun_path + 1, a[0], sizeof address.sun_path - 2);
  told(connect(fd, (struct sockaddr*)&address,
               (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(a[0]))));
}

#define A(name) \
  { #name, name }
const struct attempt network_attempts[] = {
    A(raw_socket),        A(raw_socket6),    A(raw_high_bits),  A(packet_socket),
    A(packet_high_bits),  A(vsock_socket),   A(alg_socket),     A(bluetooth_socket),
    A(can_socket),        A(xdp_socket),     A(tipc_socket),    A(key_socket),
    A(netlink_netfilter), A(netlink_audit),  A(netlink_uevent), A(sctp_socket),
    A(mptcp_socket),      A(netlink_change), A(tcp_ulp),        A(tcp_ulp_high_bits),
    A(multicast_join),    A(unix_oob),       A(low_port),       A(tcp_connect),
    A(abstract_connect),  {NULL, NULL}};

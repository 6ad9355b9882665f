/* The hello function as an HTTP server of its own on $PORT: one thread, epoll, keep-alive. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER = 16384, CONNECTIONS = 4096 };
static struct { char data[BUFFER]; size_t used; } connections[CONNECTIONS];

/* Value of a header in a NUL-terminated head, or NULL. */
static const char* header(const char* head, const char* name) {
  const char* found = strcasestr(head, name);
  return found ? found + strlen(name) : NULL;
}

/* Answers one complete request at the start of the buffer; returns its length, 0 when it is not
 * complete yet, -1 when it is too long or the peer is gone. */
static long serve(int fd, char* data, size_t used) {
  char* end = memmem(data, used, "\r\n\r\n", 4);
  if (!end) return used < BUFFER - 1 ? 0 : -1;
  *end = 0;
  const char* length = header(data, "\r\ncontent-length:");
  size_t head = (size_t)(end - data) + 4, body = length ? strtoul(length, NULL, 10) : 0;
  if (head + body >= BUFFER) return -1;
  if (used < head + body) {
    *end = '\r';
    return 0;
  }
  char name[64] = "World", json[128], reply[256];
  char* field = body ? memmem(data + head, body, "\"name\":\"", 8) : NULL;
  if (field) {
    size_t n = 0;
    for (char* c = field + 8; c < data + head + body && *c != '"' && n < sizeof name - 1; ++c) {
      name[n++] = *c;
    }
    name[n] = 0;
  }
  int size = snprintf(json, sizeof json, "{\"message\":\"Hello %s\"}", name);
  int total = snprintf(reply, sizeof reply,
                       "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
                       size, json);
  if (send(fd, reply, (size_t)total, MSG_NOSIGNAL) != total) return -1;
  return (long)(head + body);
}

static int readable(int fd) {
  char* data = connections[fd].data;
  size_t* used = &connections[fd].used;
  ssize_t got = recv(fd, data + *used, BUFFER - 1 - *used, 0);
  if (got <= 0) return got < 0 && errno == EAGAIN;
  *used += (size_t)got;
  for (long taken; (taken = serve(fd, data, *used)) != 0;) {
    if (taken < 0) return 0;
    *used -= (size_t)taken;
    memmove(data, data + taken, *used);
  }
  return 1;
}

int main(void) {
  const char* port = getenv("PORT");
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(port ? port : "8080"))};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(listener, (struct sockaddr*)&address, sizeof address) || listen(listener, 1024)) {
    perror("listen");
    return 1;
  }
  int poll = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event event = {.events = EPOLLIN, .data.fd = listener}, events[64];
  epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
  for (;;) {
    int count = epoll_wait(poll, events, 64, -1);
    for (int i = 0; i < count; ++i) {
      int fd = events[i].data.fd;
      if (fd != listener) {
        if (!readable(fd)) close(fd);
        continue;
      }
      int client = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (client < 0) continue;
      if (client >= CONNECTIONS) {
        close(client);
        continue;
      }
      setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
      connections[client].used = 0;
      event.data.fd = client;
      epoll_ctl(poll, EPOLL_CTL_ADD, client, &event);
    }
  }
}

// A small HTTP/1.1 server on 127.0.0.1:$PORT: one poll loop, keep-alive, no threads. It answers
// every request with its method, target and the length of its body.
#define _GNU_SOURCE  // accept4, strcasestr
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { kConnections = 256, kBuffer = 64 * 1024 };

struct Connection {
  size_t used;
  size_t body_left;  // bytes of the request body that are still to be skipped
  char data[kBuffer];
};

static struct pollfd polls[kConnections + 1];
static struct Connection* connections[kConnections + 1];
static int count = 1;

static void close_connection(int index) {
  close(polls[index].fd);
  free(connections[index]);
  --count;
  polls[index] = polls[count];
  connections[index] = connections[count];
}

static int send_all(int fd, const char* data, size_t size) {
  while (size > 0) {
    ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return -1;
    data += sent;
    size -= (size_t)sent;
  }
  return 0;
}

// The value of a header field in a head, or NULL. name: with the line end in front and the colon.
static const char* field(const char* head, const char* end, const char* name) {
  const char* found = strcasestr(head, name);
  return found != NULL && found < end ? found + strlen(name) : NULL;
}

// Answers the request whose head begins at data.
static int answer(int fd, const char* data, size_t length) {
  char method[16] = "", target[1024] = "", body[1200], out[1600];
  sscanf(data, "%15s %1023s", method, target);
  int body_size = snprintf(body, sizeof body, "%s %s with %zu bytes\n", method, target, length);
  int is_head = strcmp(method, "HEAD") == 0;
  int out_size =
      snprintf(out, sizeof out,
               "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: %d\r\n\r\n%s",
               body_size, is_head ? "" : body);
  return send_all(fd, out, (size_t)out_size);
}

// Takes in what has arrived; -1 when the connection is over.
static int serve(int index) {
  struct Connection* c = connections[index];
  int fd = polls[index].fd;
  ssize_t got = recv(fd, c->data + c->used, kBuffer - 1 - c->used, 0);
  if (got <= 0) return -1;
  c->used += (size_t)got;
  for (;;) {
    size_t skip = c->body_left < c->used ? c->body_left : c->used;
    memmove(c->data, c->data + skip, c->used - skip);
    c->used -= skip;
    c->body_left -= skip;
    c->data[c->used] = '\0';
    const char* end = strstr(c->data, "\r\n\r\n");
    if (c->body_left > 0 || end == NULL) return c->used == kBuffer - 1 ? -1 : 0;
    size_t size = (size_t)(end - c->data) + 4;
    if (field(c->data, end, "\r\ntransfer-encoding:") != NULL) {
      static const char refusal[] = "HTTP/1.1 411 Length Required\r\ncontent-length: 0\r\n\r\n";
      send_all(fd, refusal, sizeof refusal - 1);
      return -1;
    }
    const char* value = field(c->data, end, "\r\ncontent-length:");
    size_t length = value != NULL ? strtoul(value, NULL, 10) : 0;
    if (answer(fd, c->data, length) != 0) return -1;
    c->body_left = size + length;
  }
}

static void accept_one(void) {
  int fd = accept4(polls[0].fd, NULL, NULL, SOCK_CLOEXEC);
  if (fd < 0) return;
  struct Connection* c = count <= kConnections ? calloc(1, sizeof *c) : NULL;
  if (c == NULL) {
    close(fd);
    return;
  }
  polls[count] = (struct pollfd){.fd = fd, .events = POLLIN};
  connections[count++] = c;
}

int main(void) {
  const char* port = getenv("PORT");
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_port = htons((unsigned short)atoi(port ? port : "8000")),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, (struct sockaddr*)&address, sizeof address) != 0 || listen(fd, 64) != 0) {
    perror("listen");
    return 1;
  }
  polls[0] = (struct pollfd){.fd = fd, .events = POLLIN};
  for (;;) {
    if (poll(polls, (nfds_t)count, -1) < 0) continue;
    for (int index = count - 1; index > 0; --index)
      if (polls[index].revents && serve(index) != 0) close_connection(index);
    if (polls[0].revents) accept_one();
  }
}

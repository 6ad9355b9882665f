// What images of the tests run, linked statically: it needs nothing beside it. Called "watcher" an
// extension of Lambda; with "http" as its first argument a web server on $PORT; else a runtime on the
// Lambda Runtime API, which answers {"event", "args", "word", "cwd", "uid", "read"}.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char in[1 << 20], out[1 << 20];

static int to_api(void) {
  const char* api = getenv("AWS_LAMBDA_RUNTIME_API");
  const char* colon = api == NULL ? NULL : strrchr(api, ':');
  struct sockaddr_in address = {.sin_family = AF_INET};
  if (colon == NULL) exit(3);
  address.sin_port = htons(atoi(colon + 1));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(fd, (struct sockaddr*)&address, sizeof address) != 0) exit(4);
  return fd;
}

// One request; its answer is in `in`, and its body is returned.
static char* exchange(const char* request, size_t size) {
  int fd = to_api();
  if (write(fd, request, size) != (ssize_t)size) exit(5);
  size_t got = 0;
  for (;;) {
    ssize_t part = read(fd, in + got, sizeof in - 1 - got);
    if (part < 0) exit(6);
    got += part;
    in[got] = 0;
    char* end = strstr(in, "\r\n\r\n");
    char* length = strcasestr(in, "content-length:");
    if (part == 0 || (end && length && strlen(end + 4) >= (size_t)atol(length + 15))) break;
  }
  close(fd);
  char* end = strstr(in, "\r\n\r\n");
  return end ? end + 4 : in;
}

static void header(const char* name, char* value, size_t size) {
  char* at = strcasestr(in, name);
  value[0] = 0;
  if (at == NULL) return;
  at += strlen(name);
  while (*at == ' ' || *at == ':') ++at;
  size_t length = strcspn(at, "\r\n");
  snprintf(value, size, "%.*s", (int)(length < size ? length : size - 1), at);
}

// {"read":"/path"}: whether it can be opened, or the name of what stopped it.
static const char* try_read(const char* body) {
  const char* at = strstr(body, "\"read\"");
  char path[512];
  if (at == NULL || sscanf(at, "\"read\" : \"%500[^\"]\"", path) != 1) return "";
  return open(path, O_RDONLY) >= 0 ? "opened" : strerrorname_np(errno);
}

static void serve_runtime(int argc, char** argv) {
  static char event[1 << 19], reply[1 << 20];
  for (;;) {
    const char* next = "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n";
    snprintf(event, sizeof event, "%s", exchange(next, strlen(next)));
    char id[100], cwd[1000] = "", args[2000] = "";
    header("lambda-runtime-aws-request-id", id, sizeof id);
    for (int i = 1; i < argc; ++i)
      snprintf(args + strlen(args), sizeof args - strlen(args), "%s\"%s\"", i > 1 ? "," : "", argv[i]);
    const char* word = getenv("WORD");
    if (getcwd(cwd, sizeof cwd) == NULL) exit(7);
    printf("image got %s\n", event);
    fflush(stdout);
    snprintf(reply, sizeof reply,
             "{\"event\":%s,\"args\":[%s],\"word\":\"%s\",\"cwd\":\"%s\",\"uid\":%d,\"read\":\"%s\"}", event,
             args, word ? word : "", cwd, getuid(), try_read(event));
    int size = snprintf(out, sizeof out,
                        "POST /2018-06-01/runtime/invocation/%s/response HTTP/1.1\r\nHost: x\r\n"
                        "Content-Length: %zu\r\n\r\n%s",
                        id, strlen(reply), reply);
    exchange(out, size);
  }
}

static void serve_extension(const char* name) {
  char id[100];
  const char* events = "{\"events\":[\"INVOKE\"]}";
  int size = snprintf(out, sizeof out,
                      "POST /2020-01-01/extension/register HTTP/1.1\r\nHost: x\r\nLambda-Extension-Name: %s\r\n"
                      "Content-Length: %zu\r\n\r\n%s",
                      name, strlen(events), events);
  exchange(out, size);
  header("lambda-extension-identifier", id, sizeof id);
  for (;;) {
    size = snprintf(out, sizeof out,
                    "GET /2020-01-01/extension/event/next HTTP/1.1\r\nHost: x\r\nLambda-Extension-Identifier: %s\r\n\r\n",
                    id);
    printf("extension got %.20s\n", strstr(exchange(out, size), "\"INVOKE\"") ? "INVOKE" : "other");
    fflush(stdout);
  }
}

static void serve_http(void) {
  struct sockaddr_in address = {.sin_family = AF_INET};
  address.sin_port = htons(atoi(getenv("PORT")));
  int listener = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (bind(listener, (struct sockaddr*)&address, sizeof address) != 0 || listen(listener, 64) != 0) exit(8);
  for (;;) {
    int fd = accept(listener, NULL, NULL);
    if (fd < 0) continue;
    ssize_t got = read(fd, in, sizeof in - 1);
    in[got > 0 ? got : 0] = 0;
    in[strcspn(in, "\r\n")] = 0;
    int size = snprintf(out, sizeof out, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
                        strlen(in), in);
    if (write(fd, out, size) != size) exit(9);
    close(fd);
  }
}

int main(int argc, char** argv) {
  const char* name = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
  if (strcmp(name, "watcher") == 0) serve_extension(name);
  if (argc > 1 && strcmp(argv[1], "http") == 0) serve_http();
  serve_runtime(argc, argv);
}

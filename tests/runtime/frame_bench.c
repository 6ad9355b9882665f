// Round trips a second of a runtime over a socket pair, without engine and sandbox:
//   cc -O2 -o frame_bench frame_bench.c
//   frame_bench DEPTH SECONDS EVENT_FILE|- PROGRAM ARGS...      (events)
//   HEAD='{"method":...}' frame_bench ...                       (HTTP requests with that head)
// The environment of the runtime (_HANDLER, LAMBDA_TASK_ROOT ...) is taken from the caller's.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static void write_all(int fd, const char* data, size_t size) {
  while (size > 0) {
    ssize_t n = write(fd, data, size);
    if (n <= 0) {
      perror("write");
      exit(1);
    }
    data += n;
    size -= n;
  }
}

static size_t put_blob(char* at, const char* data) {
  uint32_t size = strlen(data);
  memcpy(at, &size, 4);
  memcpy(at + 4, data, size);
  return 4 + size;
}

static size_t make_invoke(char* at, uint32_t stream, const char* head, const char* body,
                          size_t body_size) {
  char meta[256];
  snprintf(meta, sizeof meta,
           "{\"id\":\"c6af9ac6-7b61-11e6-9a41-%012u\",\"deadline_ms\":1999999999999,"
           "\"trace\":\"\",\"client_context\":\"\",\"arn\":\"arn:aws:lambda:eu-local-1:"
           "000000000000:function:hello\"}",
           stream);
  size_t size = 12;
  size += put_blob(at + size, meta);
  size += put_blob(at + size, head);
  memcpy(at + size, body, body_size);
  size += body_size;
  uint32_t header[3] = {(uint32_t)(size - 12), stream, 0};
  memcpy(at, header, 12);
  at[8] = 1;
  at[9] = 1 | (*head ? 2 : 0);
  return size;
}

int main(int argc, char** argv) {
  if (argc < 5) return fprintf(stderr, "usage: see the top of frame_bench.c\n"), 2;
  int depth = atoi(argv[1]);
  double seconds = atof(argv[2]);
  static char body[1 << 16], in[1 << 20], out[1 << 22];
  size_t body_size = 0;
  if (strcmp(argv[3], "-") != 0) {
    FILE* file = fopen(argv[3], "r");
    if (!file) return perror(argv[3]), 1;
    body_size = fread(body, 1, sizeof body, file);
    fclose(file);
  }
  const char* head = getenv("HEAD") ? getenv("HEAD") : "";
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) return perror("socketpair"), 1;
  pid_t child = fork();
  if (child == 0) {
    dup2(pair[1], 60);
    close(pair[0]);
    dup2(60, 3);
    for (int fd = 4; fd < 64; ++fd) close(fd);
    execvp(argv[4], argv + 4);
    perror(argv[4]);
    _exit(127);
  }
  close(pair[1]);
  size_t have = 0, answers = 0, errors = 0;
  uint32_t next = 1;
  double end = 0, begin = 0;
  struct rusage before = {0}, after;
  for (;;) {
    ssize_t n = read(pair[0], in + have, sizeof in - have);
    if (n <= 0) return fprintf(stderr, "the runtime ended\n"), 1;
    have += n;
    size_t at = 0;
    int send = 0;
    while (have - at >= 12) {
      uint32_t size;
      memcpy(&size, in + at, 4);
      if (have - at < 12 + size) break;
      unsigned char type = in[at + 8], flags = in[at + 9];
      if (type == 65) {
        send = depth;
        begin = now();
        end = begin + seconds;
        before.ru_utime.tv_sec = 0;
      } else if (type == 66 || type == 69) {
        if (errors++ == 0) fprintf(stderr, "%.*s\n", (int)size, in + at + 12);
        if (type == 66) return 1;
        ++send;
      } else if ((type == 67 || type == 2) && (flags & 1)) {
        if (answers++ == 0 && getenv("SHOW"))
          fprintf(stderr, "%.*s\n", (int)size - 4, in + at + 16);
        ++send;
      }
      at += 12 + size;
    }
    memmove(in, in + at, have - at);
    have -= at;
    if (end > 0 && now() > end) break;
    size_t used = 0;
    for (; send > 0; --send) used += make_invoke(out + used, next++, head, body, body_size);
    if (used) write_all(pair[0], out, used);
  }
  double took = now() - begin;
  close(pair[0]);
  int status;
  wait4(child, &status, 0, &after);
  double cpu = after.ru_utime.tv_sec + after.ru_utime.tv_usec / 1e6 + after.ru_stime.tv_sec +
               after.ru_stime.tv_usec / 1e6;
  printf("depth %d: %.0f round trips/s, %.1f us of runtime CPU each, %zu errors\n", depth,
         answers / took, cpu * 1e6 / answers, errors);
  return errors > 0;
}

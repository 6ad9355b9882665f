// The first program of a sandbox that has extensions: starts each program in /opt/extensions, the
// runtime (its arguments) once all of them have registered, and tells the engine, which serves the
// Extensions API on this sandbox's loopback, how they end. It ends as the runtime did, when the
// extensions have had their time to end too. It holds no more than the user's code does: what it
// says is believed of this sandbox only.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
  kExtensionsMax = 10,
  kNameMax = 128,
  kReplyMax = 4096,
  kLogPart = 16 * 1024,
  kPartsAtEnd = 16,    // of an extension's output, when one has failed
  kEndMs = 2000,       // for everything, once it has been told to end
  kRuntimeEndMs = 500  // for the runtime of that
};

struct Extension {
  char name[kNameMax + 1];
  pid_t pid;   // 0: not there any more
  int output;  // read end of its stdout and stderr; -1: closed
};

static struct Extension extensions[kExtensionsMax];
static int extension_count;
static pid_t runtime_pid;
static int runtime_status = -1;  // of waitpid, once it has ended
static int signal_fd = -1, start_fd = -1, control_fd = -1;
static int asked_for_trouble;              // on start_fd, once that has said to start
static long long end_by, kill_runtime_by;  // ms; 0: nobody ends

static long long now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

// ---- HTTP to the engine

static int connect_api(void) {
  const char* address = getenv("AWS_LAMBDA_RUNTIME_API");
  const char* colon = address ? strrchr(address, ':') : NULL;
  struct sockaddr_in to = {.sin_family = AF_INET};
  if (!colon) return -1;
  to.sin_port = htons((unsigned short)atoi(colon + 1));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd >= 0 && connect(fd, (struct sockaddr*)&to, sizeof to) != 0) {
    close(fd);
    fd = -1;
  }
  return fd;
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

static int send_request(int fd, const char* method, const char* path, const char* body,
                        size_t size) {
  char head[512];
  int length = snprintf(head, sizeof head,
                        "%s /mayfly/supervisor/%s HTTP/1.1\r\nHost: engine\r\n"
                        "Content-Length: %zu\r\n\r\n",
                        method, path, size);
  if (length < 0 || (size_t)length >= sizeof head) return -1;
  if (send_all(fd, head, (size_t)length) != 0) return -1;
  return send_all(fd, body, size);
}

// The status of the answer, whose body (cut at kReplyMax) is left in reply; -1 when there is none.
static int receive_reply(int fd, char reply[kReplyMax + 1]) {
  static char buffer[kReplyMax + 1024];
  size_t have = 0;
  char* body = NULL;
  long wanted = -1;
  while (have < sizeof buffer - 1) {
    ssize_t got = recv(fd, buffer + have, sizeof buffer - 1 - have, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return -1;
    have += (size_t)got;
    buffer[have] = '\0';
    if (!body) {
      char* end = strstr(buffer, "\r\n\r\n");
      if (!end) continue;
      body = end + 4;
      char* length = strcasestr(buffer, "\r\nContent-Length:");
      wanted = length && length < end ? atol(length + 17) : 0;
    }
    if ((long)(have - (size_t)(body - buffer)) >= wanted) break;
  }
  if (!body || have < 12) return -1;
  size_t size = have - (size_t)(body - buffer);
  if (size > kReplyMax) size = kReplyMax;
  memcpy(reply, body, size);
  reply[size] = '\0';
  return atoi(buffer + 9);
}

static int tell(const char* path, const char* body, size_t size, char reply[kReplyMax + 1]) {
  if (control_fd < 0) control_fd = connect_api();
  if (control_fd < 0) return -1;
  int status = -1;
  if (send_request(control_fd, "POST", path, body, size) == 0)
    status = receive_reply(control_fd, reply);
  if (status < 0) {
    close(control_fd);
    control_fd = -1;
  }
  return status;
}

// ---- programs

static void die(const char* what) {
  fprintf(stderr, "mayfly-supervisor: %s: %s\n", what, strerror(errno));
  exit(126);
}

static void use_default_signals(void) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

static int by_name(const struct dirent** a, const struct dirent** b) {
  return strcmp((*a)->d_name, (*b)->d_name);
}

static void start_extension(const char* name) {
  struct Extension* one = &extensions[extension_count++];
  char path[sizeof "/opt/extensions/" + kNameMax];
  int pipes[2];
  snprintf(one->name, sizeof one->name, "%.*s", kNameMax, name);
  snprintf(path, sizeof path, "/opt/extensions/%s", one->name);
  if (pipe2(pipes, O_CLOEXEC) != 0) die("pipe");
  one->pid = fork();
  if (one->pid < 0) die("fork");
  if (one->pid == 0) {
    char* words[] = {path, NULL};
    setpgid(0, 0);
    use_default_signals();
    dup2(pipes[1], 1);
    dup2(pipes[1], 2);
    close_range(3, ~0u, 0);  // what the runtime gets from the engine is its own
    if (chdir("/") == 0) execv(path, words);
    _exit(127);
  }
  close(pipes[1]);
  fcntl(pipes[0], F_SETFL, O_NONBLOCK);
  one->output = pipes[0];
}

static void start_extensions(void) {
  struct dirent** entries;
  int count = scandir("/opt/extensions", &entries, NULL, by_name);
  for (int i = 0; i < count; ++i) {
    char path[sizeof "/opt/extensions/" + NAME_MAX];
    struct stat info;
    snprintf(path, sizeof path, "/opt/extensions/%s", entries[i]->d_name);
    if (strlen(entries[i]->d_name) <= kNameMax && stat(path, &info) == 0 && S_ISREG(info.st_mode) &&
        extension_count < kExtensionsMax)
      start_extension(entries[i]->d_name);
    free(entries[i]);
  }
  if (count >= 0) free(entries);
}

static void start_runtime(char** words) {
  runtime_pid = fork();
  if (runtime_pid < 0) die("fork");
  if (runtime_pid > 0) return;
  use_default_signals();
  execv(words[0], words);
  fprintf(stderr, "mayfly-supervisor: %s: %s\n", words[0], strerror(errno));
  _exit(127);
}

// What is told about an extension begins with a line that is its name.
static size_t name_line(const struct Extension* one, char* text) {
  const size_t size = strlen(one->name);
  memcpy(text, one->name, size);
  text[size] = '\n';
  return size + 1;
}

// What it wrote goes to the engine, which knows whose it is.
static void pass_output(struct Extension* one) {
  char text[kNameMax + 1 + kLogPart], reply[kReplyMax + 1];
  const size_t name = name_line(one, text);
  ssize_t got = read(one->output, text + name, kLogPart);
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return;
  if (got <= 0) {
    close(one->output);
    one->output = -1;
    return;
  }
  tell("log", text, name + (size_t)got, reply);
}

// All that they have written by now; one that never stops is not waited for.
static void pass_all_output(void) {
  char reply[kReplyMax + 1];
  for (int i = 0; i < extension_count; ++i)
    for (int parts = 0; parts < kPartsAtEnd && extensions[i].output >= 0; ++parts) {
      struct pollfd ready = {extensions[i].output, POLLIN, 0};
      if (poll(&ready, 1, 0) <= 0) break;
      pass_output(&extensions[i]);
    }
  tell("said", "", 0, reply);
}

static void begin_end(void) {
  if (end_by == 0) end_by = now_ms() + kEndMs;
}

static void extension_ended(struct Extension* one, int status) {
  char body[kNameMax + 64], reply[kReplyMax + 1];
  while (one->output >= 0) {  // its last words; others may hold the pipe open
    struct pollfd ready = {one->output, POLLIN, 0};
    if (poll(&ready, 1, 0) <= 0) break;
    pass_output(one);
  }
  kill(-one->pid, SIGKILL);
  one->pid = 0;
  size_t size = name_line(one, body);
  if (WIFSIGNALED(status))
    size += (size_t)snprintf(body + size, 64, "signal: %.40s", strsignal(WTERMSIG(status)));
  else
    size += (size_t)snprintf(body + size, 64, "exit status %d", WEXITSTATUS(status));
  tell("exited", body, size, reply);
}

// The runtime is gone: the engine tells the extensions, and us which of them do not wait for it.
static void runtime_ended(void) {
  char reply[kReplyMax + 1];
  begin_end();
  if (tell("ended", "", 0, reply) != 200) return;
  for (char* name = strtok(reply, "\n"); name; name = strtok(NULL, "\n"))
    for (int i = 0; i < extension_count; ++i)
      if (extensions[i].pid > 0 && strcmp(extensions[i].name, name) == 0)
        kill(-extensions[i].pid, SIGKILL);
}

static void reap(void) {
  int status;
  pid_t ended;
  while ((ended = waitpid(-1, &status, WNOHANG)) > 0) {
    if (ended == runtime_pid) {
      runtime_status = status;
      continue;
    }
    for (int i = 0; i < extension_count; ++i)
      if (extensions[i].pid == ended) extension_ended(&extensions[i], status);
  }
}

static void end_as_runtime(void) {
  if (runtime_status >= 0 && WIFSIGNALED(runtime_status)) {
    signal(WTERMSIG(runtime_status), SIG_DFL);
    use_default_signals();
    raise(WTERMSIG(runtime_status));
  }
  _exit(runtime_status >= 0 ? WEXITSTATUS(runtime_status) : 1);
}

static int somebody_left(void) {
  for (int i = 0; i < extension_count; ++i)
    if (extensions[i].pid > 0) return 1;
  return 0;
}

static void on_signals(void) {
  struct signalfd_siginfo info;
  int told = 0;
  while (read(signal_fd, &info, sizeof info) == sizeof info)
    if (info.ssi_signo == SIGTERM) told = 1;
  const int had_runtime = runtime_pid > 0 && runtime_status < 0;
  if (told && end_by == 0) {
    begin_end();
    kill_runtime_by = now_ms() + kRuntimeEndMs;
    if (had_runtime)
      kill(runtime_pid, SIGTERM);
    else
      runtime_status = 0;
  }
  reap();
  if (had_runtime && runtime_status >= 0) runtime_ended();
}

static void wait_for_something(char** words) {
  struct pollfd ready[kExtensionsMax + 2] = {{signal_fd, POLLIN, 0}, {start_fd, POLLIN, 0}};
  for (int i = 0; i < extension_count; ++i)
    ready[i + 2] = (struct pollfd){extensions[i].output, POLLIN, 0};
  long long until = kill_runtime_by && runtime_status < 0 ? kill_runtime_by : end_by;
  long long left = until ? until - now_ms() : -1;
  if (until && left < 0) left = 0;
  if (poll(ready, (nfds_t)extension_count + 2, (int)left) < 0 && errno != EINTR) die("poll");
  if (ready[1].revents) {
    char reply[kReplyMax + 1];
    int status = receive_reply(start_fd, reply);
    const int may_start = status == 200 && !asked_for_trouble;
    asked_for_trouble = may_start && send_request(start_fd, "GET", "trouble", "", 0) == 0;
    if (!asked_for_trouble) {
      close(start_fd);
      start_fd = -1;
    }
    if (may_start && end_by == 0) start_runtime(words);
    // An extension has failed; the engine ends us when it has heard all.
    if (!may_start && status > 0) pass_all_output();
  }
  for (int i = 0; i < extension_count; ++i)
    if (ready[i + 2].revents && extensions[i].output >= 0) pass_output(&extensions[i]);
  if (ready[0].revents) on_signals();
}

int main(int count, char** words) {
  if (count < 2) return 125;
  sigset_t caught;
  sigemptyset(&caught);
  sigaddset(&caught, SIGCHLD);
  sigaddset(&caught, SIGTERM);
  sigprocmask(SIG_SETMASK, &caught, NULL);
  signal_fd = signalfd(-1, &caught, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signal_fd < 0) die("signalfd");
  start_fd = connect_api();
  if (start_fd < 0 || send_request(start_fd, "GET", "start", "", 0) != 0) die("reach the engine");
  start_extensions();
  for (;;) {
    wait_for_something(words + 1);
    const long long now = now_ms();
    if (kill_runtime_by && now >= kill_runtime_by && runtime_pid > 0 && runtime_status < 0)
      kill(runtime_pid, SIGKILL);
    if (end_by && (now >= end_by || (runtime_status >= 0 && !somebody_left()))) end_as_runtime();
  }
}

// The native half of a Node template: forks it into clones, and gives Math.random numbers of a
// clone's own. Loaded by lib/template.js; not thread-safe, main thread only.
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <vector>

#include "forksafe.h"
#include "huge_text.h"
#include "mayfly_libraries.h"
#include "napi.h"
#include "platform.h"

namespace {

napi_value undefined(napi_env env) {
  napi_value value = nullptr;
  napi_get_undefined(env, &value);
  return value;
}

napi_value fail(napi_env env, const std::string& message) {
  napi_throw_error(env, nullptr, message.c_str());
  return nullptr;
}

template <size_t kCount>
void arguments(napi_env env, napi_callback_info info, napi_value (&out)[kCount]) {
  size_t count = kCount;
  napi_get_cb_info(env, info, &count, out, nullptr, nullptr);
}

template <typename Function>
Function symbol(void* library, const char* name) {
  return reinterpret_cast<Function>(dlsym(library, name));
}

uv_loop_s* loop_of(napi_env env) {
  uv_loop_s* loop = nullptr;
  napi_get_uv_event_loop(env, &loop);
  return loop;
}

// ---- randomness

// xoshiro256++ of Blackman and Vigna: as fast as the generator of V8, and at least as good.
struct Generator {
  uint64_t state[4];

  static uint64_t rotate(uint64_t x, int by) { return (x << by) | (x >> (64 - by)); }

  uint64_t next() {
    const uint64_t result = rotate(state[0] + state[3], 23) + state[0];
    const uint64_t t = state[1] << 17;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= t;
    state[3] = rotate(state[3], 45);
    return result;
  }
};

Generator generator;

bool kernel_random(void* out, size_t size) {
  auto* at = static_cast<char*>(out);
  while (size > 0) {
    const ssize_t got = getrandom(at, size, 0);
    if (got < 0 && errno != EINTR) return false;
    if (got <= 0) continue;
    at += got;
    size -= static_cast<size_t>(got);
  }
  return true;
}

// reseed(): new seeds from the kernel for Math.random, for OpenSSL and for what look() has found.
// OpenSSL looks at the pid to notice a fork, and a clone may have the same pid as its template,
// each in its own namespace.
napi_value reseed(napi_env env, napi_callback_info) {
  if (!kernel_random(&generator, sizeof generator)) return fail(env, "getrandom failed");
  const auto poll = symbol<int (*)()>(RTLD_DEFAULT, "RAND_poll");
  if (poll == nullptr) return fail(env, "RAND_poll of OpenSSL is not there");
  if (poll() != 1) return fail(env, "OpenSSL could not be seeded");
  mayfly_libraries_renew();
  return undefined(env);
}

// look(usesOwn): after initialisation, sentences about what libraries of the user's will have in
// common in all instances. usesOwn: Node's own SQLite is in use.
napi_value look(napi_env env, napi_callback_info info) {
  napi_value arg[1];
  arguments(env, info, arg);
  bool uses_own = false;
  if (napi_get_value_bool(env, arg[0], &uses_own) != 0) return fail(env, "a boolean is needed");
  std::vector<std::string> found;
  const auto says = [](void* to, const char* sentence) {
    static_cast<std::vector<std::string>*>(to)->emplace_back(sentence);
  };
  mayfly_libraries_look(uses_own ? 1 : 0, says, &found);
  napi_value list = nullptr;
  napi_create_array(env, &list);
  for (size_t i = 0; i < found.size(); ++i) {
    napi_value sentence = nullptr;
    napi_create_string_utf8(env, found[i].c_str(), kAutoLength, &sentence);
    napi_set_element(env, list, static_cast<uint32_t>(i), sentence);
  }
  return list;
}

// fill(Float64Array): numbers in [0, 1).
napi_value fill(napi_env env, napi_callback_info info) {
  napi_value arg[1];
  arguments(env, info, arg);
  napi_typedarray_type type = 0;
  size_t length = 0;
  void* data = nullptr;
  if (napi_get_typedarray_info(env, arg[0], &type, &length, &data, nullptr, nullptr) != 0)
    return fail(env, "a Float64Array is needed");
  auto* out = static_cast<double*>(data);
  for (size_t i = 0; i < length; ++i)
    out[i] = static_cast<double>(generator.next() >> 11) * 0x1.0p-53;
  return undefined(env);
}

// ---- what a fork would lose

// threads(): [{ tid, waiting, path }] of the threads that run beside the main one, path: the
// program or library whose they are. null without the preloaded library.
napi_value threads(napi_env env, napi_callback_info) {
  napi_value list = nullptr;
  const auto usable = symbol<int (*)()>(RTLD_DEFAULT, "mayfly_forksafe_usable");
  const auto census = symbol<int (*)(mayfly_thread*, int)>(RTLD_DEFAULT, "mayfly_forksafe_threads");
  if (usable == nullptr || census == nullptr || usable() == 0) {
    napi_get_null(env, &list);
    return list;
  }
  std::vector<mayfly_thread> found(64);
  for (;;) {
    const auto count = static_cast<size_t>(census(found.data(), static_cast<int>(found.size())));
    const bool all = count <= found.size();
    found.resize(count);
    if (all) break;
  }
  napi_create_array(env, &list);
  for (size_t i = 0; i < found.size(); ++i) {
    napi_value item = nullptr;
    napi_value tid = nullptr;
    napi_value waiting = nullptr;
    napi_value path = nullptr;
    Dl_info where;
    const bool known = dladdr(found[i].owner, &where) != 0 && where.dli_fname != nullptr;
    napi_create_object(env, &item);
    napi_create_int32(env, found[i].tid, &tid);
    napi_get_boolean(env, found[i].waiting != 0, &waiting);
    napi_create_string_utf8(env, known ? where.dli_fname : "", kAutoLength, &path);
    napi_set_named_property(env, item, "tid", tid);
    napi_set_named_property(env, item, "waiting", waiting);
    napi_set_named_property(env, item, "path", path);
    napi_set_element(env, list, static_cast<uint32_t>(i), item);
  }
  return list;
}

// hideWorkers(): whether V8 does without worker threads from now on.
napi_value hide_workers(napi_env env, napi_callback_info) {
  napi_value value = nullptr;
  napi_get_boolean(env, mayfly_node::hide_workers(), &value);
  return value;
}

// The head of libuv's public uv_loop_t, the same in all of libuv 1.
struct LoopHead {
  void* data;
  unsigned active_handles;
  void* handle_queue[2];
  unsigned active_requests;
};

// activeRequests(): how many operations (file, DNS, crypto, connect, write ...) are under way.
napi_value active_requests(napi_env env, napi_callback_info) {
  napi_value value = nullptr;
  const auto* head = reinterpret_cast<const LoopHead*>(loop_of(env));
  napi_create_int32(env, static_cast<int32_t>(head->active_requests), &value);
  return value;
}

// ---- cloning

struct Library {
  int (*next)(int control);
  void (*forked)(int pid);
  int (*enter)();
  const char* (*environment)();
  int (*zygote_next)(int control);
  void (*zygote_forked)(int pid);
  int (*zygote_enter)(int keep_numbers);
  void (*zygote_close_kept)();
  const char* (*zygote_environment)();
};

Library library;

// load(path): the clone library.
napi_value load(napi_env env, napi_callback_info info) {
  napi_value arg[1];
  arguments(env, info, arg);
  char path[4096];
  size_t size = 0;
  if (napi_get_value_string_utf8(env, arg[0], path, sizeof path, &size) != 0)
    return fail(env, "a path is needed");
  void* opened = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (opened == nullptr) return fail(env, dlerror());
  library.next = symbol<int (*)(int)>(opened, "mayfly_clone_next");
  library.forked = symbol<void (*)(int)>(opened, "mayfly_clone_forked");
  library.enter = symbol<int (*)()>(opened, "mayfly_clone_enter");
  library.environment = symbol<const char* (*)()>(opened, "mayfly_clone_environment");
  library.zygote_next = symbol<int (*)(int)>(opened, "mayfly_zygote_next");
  library.zygote_forked = symbol<void (*)(int)>(opened, "mayfly_zygote_forked");
  library.zygote_enter = symbol<int (*)(int)>(opened, "mayfly_zygote_enter");
  library.zygote_close_kept = symbol<void (*)()>(opened, "mayfly_zygote_close_kept");
  library.zygote_environment = symbol<const char* (*)()>(opened, "mayfly_zygote_environment");
  if (!library.next || !library.forked || !library.enter || !library.environment)
    return fail(env, "the clone library is incomplete");
  mayfly_libraries_know();
  return undefined(env);
}

// The template's connections are not the clone's: in their place it finds one that the other side
// has closed, so that bytes of two clones never mix and a pool connects anew.
void cut(const std::vector<int>& connections) {
  if (connections.empty()) return;
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) _exit(1);
  close(pair[1]);
  for (const int fd : connections) {
    if (dup3(pair[0], fd, O_CLOEXEC) < 0) _exit(1);
  }
  close(pair[0]);
}

// The event loop of the process that has forked this one, with new descriptors. False: thrown.
bool renew_loop(napi_env env) {
  uv_loop_s* loop = loop_of(env);
  if (const int error = uv_loop_fork(loop); error != 0) {
    fail(env, std::string("the event loop could not be cloned: ") + uv_strerror(error));
    return false;
  }
  uv_update_time(loop);  // else timers count from when the template went to sleep
  return true;
}

napi_value lines(napi_env env, const char* at) {
  napi_value list = nullptr;
  napi_create_array(env, &list);
  uint32_t count = 0;
  for (; at != nullptr && *at != '\0'; at += std::strlen(at) + 1) {
    napi_value line = nullptr;
    napi_create_string_utf8(env, at, kAutoLength, &line);
    napi_set_element(env, list, count++, line);
  }
  return list;
}

napi_value in_clone(napi_env env, const std::vector<int>& connections) {
  if (library.enter() != 0) _exit(1);
  fcntl(3, F_SETFD, FD_CLOEXEC);
  // Node has a stream for it, which the template has made for its own channel: libuv waits for
  // whatever is at that number once the loop is renewed.
  fcntl(3, F_SETFL, fcntl(3, F_GETFL) | O_NONBLOCK);
  cut(connections);
  if (!renew_loop(env)) return nullptr;
  return lines(env, library.environment());
}

// zygote(control): waits for orders and forks for each, without an end. Returns in each program,
// with its whole environment as ['NAME=value', ...]; null in the zygote when it is not needed any
// more.
napi_value zygote(napi_env env, napi_callback_info info) {
  napi_value arg[1];
  arguments(env, info, arg);
  int32_t control = -1;
  if (!library.zygote_next || !library.zygote_forked || !library.zygote_enter ||
      !library.zygote_close_kept || !library.zygote_environment)
    return fail(env, "the clone library knows of no zygotes");
  if (napi_get_value_int32(env, arg[0], &control) != 0) return fail(env, "a descriptor is needed");
  while (library.zygote_next(control) == 1) {
    const pid_t pid = fork();
    if (pid != 0) {
      library.zygote_forked(pid < 0 ? -errno : pid);
      continue;
    }
    // libuv closes the numbers that it remembers.
    if (library.zygote_enter(1) != 0) _exit(1);
    fcntl(3, F_SETFD, FD_CLOEXEC);
    fcntl(4, F_SETFD, FD_CLOEXEC);
    if (!renew_loop(env)) return nullptr;
    library.zygote_close_kept();
    return lines(env, library.zygote_environment());
  }
  napi_value nothing = nullptr;
  napi_get_null(env, &nothing);
  return nothing;
}

// clone(control, connections): waits for orders and forks for each, without an end. Returns in each
// clone, with the environment of its order as ['NAME=value', ...]; null in the template when it is
// not needed any more.
napi_value clone(napi_env env, napi_callback_info info) {
  napi_value arg[2];
  arguments(env, info, arg);
  int32_t control = -1;
  uint32_t count = 0;
  if (library.next == nullptr) return fail(env, "load() comes first");
  if (napi_get_value_int32(env, arg[0], &control) != 0 ||
      napi_get_array_length(env, arg[1], &count) != 0)
    return fail(env, "a descriptor and a list of descriptors are needed");
  std::vector<int> connections(count);
  for (uint32_t i = 0; i < count; ++i) {
    napi_value item = nullptr;
    napi_get_element(env, arg[1], i, &item);
    napi_get_value_int32(env, item, &connections[i]);
  }
  while (library.next(control) == 1) {
    const pid_t pid = fork();
    if (pid == 0) return in_clone(env, connections);
    library.forked(pid < 0 ? -errno : pid);
  }
  napi_value nothing = nullptr;
  napi_get_null(env, &nothing);
  return nothing;
}

// pair(): two connected sockets, [descriptor, descriptor].
napi_value pair(napi_env env, napi_callback_info) {
  int sockets[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sockets) != 0)
    return fail(env, std::string("socketpair: ") + std::strerror(errno));
  napi_value list = nullptr;
  napi_create_array(env, &list);
  for (uint32_t i = 0; i < 2; ++i) {
    napi_value item = nullptr;
    napi_create_int32(env, sockets[i], &item);
    napi_set_element(env, list, i, item);
  }
  return list;
}

// pid(): of now. process.pid is from when Node has started.
napi_value pid(napi_env env, napi_callback_info) {
  napi_value value = nullptr;
  napi_create_int32(env, getpid(), &value);
  return value;
}

// hugeText(): bytes of the program's code that are now in huge pages; huge_text.h.
napi_value huge_text(napi_env env, napi_callback_info) {
  napi_value value = nullptr;
  napi_create_int32(env, static_cast<int32_t>(mayfly_node::move_text_to_huge_pages()), &value);
  return value;
}

// exit(code): at once, without waiting for V8's threads, which a clone does not have.
napi_value leave(napi_env env, napi_callback_info info) {
  napi_value arg[1];
  arguments(env, info, arg);
  int32_t code = 0;
  napi_get_value_int32(env, arg[0], &code);
  _exit(code);
}

}  // namespace

extern "C" __attribute__((visibility("default"))) int32_t
node_api_module_get_api_version_v1() {  // NOLINT
  return 3;
}

extern "C" __attribute__((visibility("default"))) napi_value napi_register_module_v1(
    napi_env env, napi_value exports) {  // NOLINT
  const struct {
    const char* name;
    napi_callback function;
  } all[] = {
      {"load", load},     {"clone", clone},   {"threads", threads},
      {"reseed", reseed}, {"fill", fill},     {"activeRequests", active_requests},
      {"exit", leave},    {"pid", pid},       {"hideWorkers", hide_workers},
      {"pair", pair},     {"zygote", zygote}, {"hugeText", huge_text},
      {"look", look},
  };
  for (const auto& each : all) {
    napi_value function = nullptr;
    napi_create_function(env, each.name, kAutoLength, each.function, nullptr, &function);
    napi_set_named_property(env, exports, each.name, function);
  }
  return exports;
}

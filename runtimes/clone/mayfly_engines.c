#define _GNU_SOURCE
#include "mayfly_engines.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
  KINDS = 3,
  KEPT_MAX = 4096,    /* engines; each has at most 2.5 KB */
  FUNCTION_WORDS = 12 /* of a function's description that are looked at */
};

/* The heads of what PHP has, which have been the same since 8.0. */
struct value {
  union {
    int64_t number;
    struct object* object;
  } is;
  uint8_t type;
  uint8_t rest[3];
  uint32_t more; /* for a call's object: how many arguments there are */
};

struct handlers {
  int offset;
  void (*destroy)(struct object*);
  void (*end)(struct object*);
  struct object* (*clone)(struct object*);
};

struct object {
  uint32_t references;
  uint32_t info;
  uint32_t handle;
  uint32_t padding;
  void* class_entry;
  struct handlers* handlers;
};

struct call {
  const void* at[4];
  struct value object;
  const void* of[4];
  struct value arguments[];
};

enum { TYPE_NULL = 1, TYPE_OBJECT = 8, PHP_SUCCESS = 0 };

typedef void (*body)(struct call* call, struct value* result);

static const char* const kClasses[KINDS] = {"random_ce_Random_Engine_Mt19937",
                                            "random_ce_Random_Engine_PcgOneseq128XslRr64",
                                            "random_ce_Random_Engine_Xoshiro256StarStar"};

static struct {
  int (*object_init)(struct value*, void* class_entry);
  void (*value_destroy)(struct value*);
  void* (*constructor_of)(struct object*);
  void (*call_function)(void* function, struct object*, void* class_entry, struct value* result,
                        uint32_t count, struct value* arguments, void* named);
  void* constructors[KINDS];
  body bodies[KINDS];
  struct object* (*clones[KINDS])(struct object*);
  struct object* kept[KEPT_MAX]; /* with a reference, so that they stay what they are */
  int kept_count, lost, stopped;
} state; /* zero at first: it takes no room in the file */

/* -1: it is not kept. */
static int index_of(const struct object* engine) {
  for (int i = 0; i < state.kept_count; ++i) {
    if (state.kept[i] == engine) return i;
  }
  return -1;
}

static void keep(struct object* engine) {
  if (state.stopped || index_of(engine) >= 0) return;
  if (state.kept_count == KEPT_MAX) {
    ++state.lost;
    return;
  }
  ++engine->references;
  state.kept[state.kept_count++] = engine;
}

/* A constructor that is called again may give it a seed. The reference stays. */
static void drop(const struct object* engine) {
  const int at = index_of(engine);
  if (at >= 0) state.kept[at] = state.kept[--state.kept_count];
}

static void constructed(int kind, struct call* call, struct value* result) {
  struct object* engine = call->object.is.object;
  const int unseeded = call->object.more == 0 || call->arguments[0].type == TYPE_NULL;
  state.bodies[kind](call, result);
  if (unseeded) {
    keep(engine);
  } else if (!state.stopped) {
    drop(engine);
  }
}

static struct object* cloned(int kind, struct object* engine) {
  struct object* copy = state.clones[kind](engine);
  if (copy != NULL && index_of(engine) >= 0) keep(copy);
  return copy;
}

#define KIND(number)                                                          \
  static void constructed_##number(struct call* call, struct value* result) { \
    constructed(number, call, result);                                        \
  }                                                                           \
  static struct object* cloned_##number(struct object* engine) {              \
    return cloned(number, engine);                                            \
  }
KIND(0)
KIND(1)
KIND(2)

static const body kConstructed[KINDS] = {constructed_0, constructed_1, constructed_2};
static struct object* (*const kCloned[KINDS])(struct object*) = {cloned_0, cloned_1, cloned_2};

static int in_code(struct dl_phdr_info* info, size_t size, void* address) {
  (void)size;
  const ElfW(Addr) offset = (ElfW(Addr))address - info->dlpi_addr;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr)* part = &info->dlpi_phdr[i];
    if (part->p_type == PT_LOAD && (part->p_flags & PF_X) != 0 &&
        offset - part->p_vaddr < part->p_memsz) {
      return 1;
    }
  }
  return 0;
}

static int is_code(void* address) {
  return dl_iterate_phdr(in_code, address);
}

static int in_constants(struct dl_phdr_info* info, size_t size, void* address) {
  (void)size;
  const ElfW(Addr) offset = (ElfW(Addr))address - info->dlpi_addr;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr)* part = &info->dlpi_phdr[i];
    if (offset - part->p_vaddr >= part->p_memsz) continue;
    if (part->p_type == PT_GNU_RELRO || (part->p_type == PT_LOAD && (part->p_flags & PF_W) == 0)) {
      return 1;
    }
  }
  return 0;
}

/* A PHP that keeps its tables where they cannot be changed is left alone. */
static int is_constant(void* address) {
  return dl_iterate_phdr(in_constants, address);
}

/* Where a function of PHP's that is written in C has its body: the only word there that points to
   code. SAFETY: such a description is larger than what is read of it in every PHP 8. */
static void** body_of(void* function) {
  void** words = function;
  void** found = NULL;
  for (int i = 0; i < FUNCTION_WORDS; ++i) {
    if (!is_code(words[i])) continue;
    if (found != NULL) return NULL;
    found = &words[i];
  }
  return found;
}

static void watch(int kind, void* class_entry) {
  struct value sample;
  memset(&sample, 0, sizeof sample);
  if (state.object_init(&sample, class_entry) != PHP_SUCCESS) return;
  struct object* object = sample.is.object;
  void* constructor = state.constructor_of(object);
  void** place = constructor != NULL ? body_of(constructor) : NULL;
  struct handlers* handlers = object->handlers;
  if (sample.type == TYPE_OBJECT && object->class_entry == class_entry && place != NULL &&
      !is_constant(place) && !is_constant(&handlers->clone) && is_code((void*)handlers->clone)) {
    state.constructors[kind] = constructor;
    memcpy(&state.bodies[kind], place, sizeof(body));
    memcpy(place, &kConstructed[kind], sizeof(body));
    /* Each kind has handlers of its own, in memory that PHP fills when it starts. */
    state.clones[kind] = handlers->clone;
    handlers->clone = kCloned[kind];
  }
  state.value_destroy(&sample);
}

void mayfly_engines_watch(void) {
  *(void**)&state.object_init = dlsym(RTLD_DEFAULT, "object_init_ex");
  *(void**)&state.value_destroy = dlsym(RTLD_DEFAULT, "zval_ptr_dtor");
  *(void**)&state.constructor_of = dlsym(RTLD_DEFAULT, "zend_std_get_constructor");
  *(void**)&state.call_function = dlsym(RTLD_DEFAULT, "zend_call_known_function");
  if (state.object_init == NULL || state.value_destroy == NULL || state.constructor_of == NULL ||
      state.call_function == NULL) {
    return;
  }
  for (int i = 0; i < KINDS; ++i) {
    void** class_entry = dlsym(RTLD_DEFAULT, kClasses[i]);
    if (class_entry != NULL && *class_entry != NULL && state.constructors[i] == NULL) {
      watch(i, *class_entry);
    }
  }
}

int mayfly_engines_lost(void) {
  return state.lost;
}

void mayfly_engines_stop(void) {
  state.stopped = 1;
}

void mayfly_engines_renew(void) {
  state.stopped = 1;
  for (int i = 0; i < state.kept_count; ++i) {
    struct object* engine = state.kept[i];
    for (int kind = 0; kind < KINDS; ++kind) {
      void** class_entry = dlsym(RTLD_DEFAULT, kClasses[kind]);
      if (*class_entry != engine->class_entry) continue;
      struct value result;
      memset(&result, 0, sizeof result);
      state.call_function(state.constructors[kind], engine, engine->class_entry, &result, 0, NULL,
                          NULL);
    }
  }
}

#define _GNU_SOURCE
#include "mayfly_libraries.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
  COPIES_MAX = 16,      /* of OpenSSL or SQLite in one process */
  LIBRARIES_MAX = 1024, /* more are not looked at */
  DRAWS_MAX = 1 << 20,  /* of C's generators, from the seed that they have at the start */
  DRAWN = 4,            /* numbers in a row that tell where a generator is */
  CHILD_MS = 1000,
  CONSTANTS_MAX = 16 << 20 /* bytes of a library that are looked through: no SQLite has more */
};

typedef int (*openssl_poll)(void);
typedef void (*sqlite_randomness)(int, void*);

struct library {
  const char* path;
  ElfW(Addr) base;
  const ElfW(Phdr) * parts;
  int part_count;
};

static struct {
  struct library libraries[LIBRARIES_MAX];
  int count;
  const ElfW(Phdr) * known[LIBRARIES_MAX]; /* their headers' addresses tell libraries apart */
  int known_count;
  openssl_poll polls[COPIES_MAX];
  int poll_count;
  sqlite_randomness forgets[COPIES_MAX];
  int forget_count;
} state; /* zero at first: it takes no room in the file */

/* ---- libraries */

static int take_library(struct dl_phdr_info* info, size_t size, void* unused) {
  (void)size;
  (void)unused;
  if (state.count == LIBRARIES_MAX) return 1;
  struct library* library = &state.libraries[state.count++];
  library->path = info->dlpi_name;
  library->base = info->dlpi_addr;
  library->parts = info->dlpi_phdr;
  library->part_count = info->dlpi_phnum;
  return 0;
}

static void list_libraries(void) {
  state.count = 0;
  dl_iterate_phdr(take_library, NULL);
}

void mayfly_libraries_know(void) {
  list_libraries();
  for (int i = 0; i < state.count; ++i) state.known[i] = state.libraries[i].parts;
  state.known_count = state.count;
}

static int is_known(const struct library* library) {
  for (int i = 0; i < state.known_count; ++i) {
    if (state.known[i] == library->parts) return 1;
  }
  return 0;
}

static int lies_in(const struct library* library, const void* address) {
  const ElfW(Addr) offset = (ElfW(Addr))address - library->base;
  for (int i = 0; i < library->part_count; ++i) {
    const ElfW(Phdr)* part = &library->parts[i];
    if (part->p_type == PT_LOAD && offset - part->p_vaddr < part->p_memsz) return 1;
  }
  return 0;
}

/* A function that the library itself shows: what dlsym finds may be of one that it uses. */
static void* shown_function(const struct library* library, const char* name) {
  void* handle = dlopen(*library->path == '\0' ? NULL : library->path, RTLD_LAZY | RTLD_NOLOAD);
  if (handle == NULL) return NULL;
  void* function = dlsym(handle, name);
  dlclose(handle); /* it stays: this was one more reference to what is loaded */
  return function != NULL && lies_in(library, function) ? function : NULL;
}

/* Whether the library's constants have these bytes. */
static int has_bytes(const struct library* library, const char* bytes, size_t size) {
  for (int i = 0; i < library->part_count; ++i) {
    const ElfW(Phdr)* part = &library->parts[i];
    if (part->p_type != PT_LOAD || (part->p_flags & (PF_R | PF_W)) != PF_R) continue;
    if (part->p_filesz > CONSTANTS_MAX) continue;
    if (memmem((const void*)(library->base + part->p_vaddr), part->p_filesz, bytes, size) != NULL) {
      return 1;
    }
  }
  return 0;
}

/* ---- functions that a library keeps to itself, by the names that its file has for debuggers */

static int fits(size_t size, uint64_t offset, uint64_t length) {
  return offset <= size && length <= size - offset;
}

static ElfW(Addr) named_in_table(const char* file, size_t size, const ElfW(Shdr) * table,
                                 const ElfW(Shdr) * names, const char* name) {
  if (!fits(size, table->sh_offset, table->sh_size) ||
      !fits(size, names->sh_offset, names->sh_size) || names->sh_size == 0 ||
      file[names->sh_offset + names->sh_size - 1] != '\0') {
    return 0;
  }
  for (uint64_t at = 0; at + sizeof(ElfW(Sym)) <= table->sh_size; at += sizeof(ElfW(Sym))) {
    ElfW(Sym) symbol;
    memcpy(&symbol, file + table->sh_offset + at, sizeof symbol);
    if (ELF64_ST_TYPE(symbol.st_info) == STT_FUNC && symbol.st_shndx != SHN_UNDEF &&
        symbol.st_name < names->sh_size &&
        strcmp(file + names->sh_offset + symbol.st_name, name) == 0) {
      return symbol.st_value;
    }
  }
  return 0;
}

/* The function's address before the library was moved to where it is; 0: its name is not there. */
static ElfW(Addr) named_in_file(const char* file, size_t size, const char* name) {
  ElfW(Ehdr) head;
  if (size < sizeof head) return 0;
  memcpy(&head, file, sizeof head);
  if (memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 || head.e_shentsize != sizeof(ElfW(Shdr)) ||
      !fits(size, head.e_shoff, (uint64_t)head.e_shnum * sizeof(ElfW(Shdr)))) {
    return 0;
  }
  for (int i = 0; i < head.e_shnum; ++i) {
    ElfW(Shdr) table, names;
    memcpy(&table, file + head.e_shoff + (size_t)i * sizeof table, sizeof table);
    if (table.sh_type != SHT_SYMTAB || table.sh_link >= head.e_shnum) continue;
    memcpy(&names, file + head.e_shoff + (size_t)table.sh_link * sizeof names, sizeof names);
    return named_in_table(file, size, &table, &names, name);
  }
  return 0;
}

/* SAFETY: the file may be another by now than the one that was loaded (only its owner, the user,
   can have done that); what is found must at least lie in code of the library. */
static void* hidden_function(const struct library* library, const char* name) {
  void* function = NULL;
  struct stat info;
  const int fd =
      open(*library->path == '\0' ? "/proc/self/exe" : library->path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return NULL;
  if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > 0) {
    const size_t size = (size_t)info.st_size;
    char* file = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (file != MAP_FAILED) {
      const ElfW(Addr) address = named_in_file(file, size, name);
      for (int i = 0; address != 0 && i < library->part_count; ++i) {
        const ElfW(Phdr)* part = &library->parts[i];
        if (part->p_type == PT_LOAD && (part->p_flags & PF_X) != 0 &&
            address - part->p_vaddr < part->p_memsz) {
          function = (void*)(library->base + address);
        }
      }
      munmap(file, size);
    }
  }
  close(fd);
  return function;
}

/* ---- OpenSSL and SQLite */

static void look_for_openssl(void) {
  state.poll_count = 0;
  for (int i = 0; i < state.count && state.poll_count < COPIES_MAX; ++i) {
    if (strcasestr(state.libraries[i].path, "libcrypto") == NULL) continue;
    void* poll = shown_function(&state.libraries[i], "RAND_poll");
    if (poll == NULL) continue;
    *(void**)&state.polls[state.poll_count] = poll;
    state.polls[state.poll_count++](); /* what it sets up at its first use is set up here */
  }
}

/* One of its messages, of all its versions. Programs that only know its files do not have it. */
static const char kSqliteMark[] = "unable to delete/modify user-function due to active";

static void look_for_sqlite(int interpreters, void (*says)(void*, const char*), void* to) {
  static const char kFunction[] = "sqlite3_randomness";
  state.forget_count = 0;
  for (int i = 0; i < state.count; ++i) {
    const struct library* library = &state.libraries[i];
    void* forget = shown_function(library, kFunction);
    if (forget == NULL) {
      const int program = *library->path == '\0';
      if (program ? !interpreters
                  : is_known(library) || !has_bytes(library, kSqliteMark, sizeof kSqliteMark - 1)) {
        continue;
      }
      forget = hidden_function(library, kFunction);
    }
    if (forget != NULL && state.forget_count < COPIES_MAX) {
      *(void**)&state.forgets[state.forget_count++] = forget;
      continue;
    }
    char sentence[1024];
    snprintf(sentence, sizeof sentence,
             "initialisation has loaded %.512s, whose SQLite cannot be seeded anew: if random() or "
             "randomblob() is used there, all instances get the same values from it; open the "
             "database in a hook for after the restore or in the handler",
             *library->path == '\0' ? "a module" : library->path);
    says(to, sentence);
  }
}

/* ---- C's generators. Without a seed they start with the same numbers in every process: so the C
   standard has it. A seed that was given may be one that a program relies on, or the time: nobody
   can tell, so all that is done is to say so. */

struct drawn {
  int32_t random[DRAWN], rand48[DRAWN];
};

/* The next numbers of the process, drawn in a child: here nothing is drawn. False: not known. The
   child is made by hand: no handler of forks runs, and its end is told to nobody by a signal. */
static int draw_ahead(struct drawn* drawn) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return 0;
  const pid_t child = (pid_t)syscall(SYS_clone, 0, 0, 0, 0, 0);
  if (child == 0) {
    for (int i = 0; i < DRAWN; ++i) drawn->random[i] = (int32_t)random();
    for (int i = 0; i < DRAWN; ++i) drawn->rand48[i] = (int32_t)mrand48();
    _exit(write(ends[1], drawn, sizeof *drawn) == (ssize_t)sizeof *drawn ? 0 : 1);
  }
  close(ends[1]);
  ssize_t got = -1;
  if (child > 0) {
    struct pollfd wait = {.fd = ends[0], .events = POLLIN};
    if (poll(&wait, 1, CHILD_MS) == 1) got = read(ends[0], drawn, sizeof *drawn);
    (void)kill(child, SIGKILL); /* it has ended, or waits for a lock that a thread of ours had */
    while (waitpid(child, NULL, __WALL) < 0 && errno == EINTR) continue;
  }
  close(ends[0]);
  return got == (ssize_t)sizeof *drawn;
}

/* Whether these are numbers of the sequence: then no seed was given. */
static int comes_in(int32_t (*next)(void* at), void* at, const int32_t* numbers) {
  int32_t last[DRAWN] = {0};
  for (int i = 0; i < DRAWS_MAX; ++i) {
    memmove(last, last + 1, sizeof last - sizeof *last);
    last[DRAWN - 1] = next(at);
    if (i >= DRAWN - 1 && memcmp(last, numbers, sizeof last) == 0) return 1;
  }
  return 0;
}

static int32_t next_random(void* at) {
  int32_t number = 0;
  (void)random_r(at, &number);
  return number;
}

static int32_t next_rand48(void* at) {
  uint64_t* x = at;
  *x = (*x * 0x5DEECE66Du + 0xB) & 0xFFFFFFFFFFFFu;
  return (int32_t)(uint32_t)(*x >> 16);
}

static void look_for_seeds(void (*says)(void*, const char*), void* to) {
  static const char kSeeded[] =
      "initialisation has given C's %s a seed: every instance goes on with the same numbers unless "
      "it is seeded in a hook for after the restore or in the handler";
  struct drawn drawn;
  char table[128], sentence[256];
  struct random_data begin;
  uint64_t begin48 = 0;
  memset(&begin, 0, sizeof begin);
  if (initstate_r(1, table, sizeof table, &begin) != 0 || !draw_ahead(&drawn)) return;
  if (!comes_in(next_random, &begin, drawn.random)) {
    snprintf(sentence, sizeof sentence, kSeeded, "rand() or random()");
    says(to, sentence);
  }
  if (!comes_in(next_rand48, &begin48, drawn.rand48)) {
    snprintf(sentence, sizeof sentence, kSeeded, "drand48()");
    says(to, sentence);
  }
}

/* ---- */

void mayfly_libraries_look(int interpreters_sqlite, void (*says)(void* to, const char* sentence),
                           void* to) {
  list_libraries();
  look_for_openssl();
  look_for_sqlite(interpreters_sqlite, says, to);
  look_for_seeds(says, to);
}

/* SQLite forgets its state when it is asked for nothing; by itself it does so when it opens a file
   and sees another pid. */
void mayfly_libraries_renew(void) {
  for (int i = 0; i < state.poll_count; ++i) state.polls[i]();
  for (int i = 0; i < state.forget_count; ++i) state.forgets[i](0, NULL);
}

#include "platform.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

namespace mayfly_node {

// The head of v8::Task, of which only these are called. Not in the nameless namespace: there the
// compiler would see that nothing derives from it.
class Task {
 public:
  virtual ~Task() = default;
  virtual void Run() = 0;
};

namespace {

int no_workers(void*) {
  return 0;
}

// Nothing comes here of a V8 that knows of no workers; if it does, it is done at once.
void run_here(void*, Task** task) {
  Task* taken = *task;
  *task = nullptr;
  taken->Run();
  delete taken;
}

void run_here_later(void* platform, Task** task, double) {
  run_here(platform, task);
}

struct Table {
  uintptr_t* begin = nullptr;
  size_t slots = 0;
};

Table find_table() {
  void* table = dlsym(RTLD_DEFAULT, "_ZTVN4node12NodePlatformE");
  Dl_info info;
  ElfW(Sym)* symbol = nullptr;
  if (table == nullptr ||
      dladdr1(table, &info, reinterpret_cast<void**>(&symbol), RTLD_DL_SYMENT) == 0 ||
      symbol == nullptr)
    return {};
  return {static_cast<uintptr_t*>(table), symbol->st_size / sizeof(uintptr_t)};
}

bool writable(const Table& table, bool yes) {
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<uintptr_t>(table.begin) & ~(page - 1);
  const auto end = reinterpret_cast<uintptr_t>(table.begin + table.slots);
  return mprotect(reinterpret_cast<void*>(begin), end - begin,
                  yes ? PROT_READ | PROT_WRITE : PROT_READ) == 0;
}

// Has virtual calls of the named function come to another one. SAFETY: the slot is found by the
// function that it holds, and the replacement has the same calling convention.
bool redirect(const Table& table, const char* name, uintptr_t to) {
  void* from = dlsym(RTLD_DEFAULT, name);
  if (from == nullptr) return false;
  bool found = false;
  for (size_t i = 0; i < table.slots; ++i) {
    if (table.begin[i] != reinterpret_cast<uintptr_t>(from)) continue;
    table.begin[i] = to;
    found = true;
  }
  return found;
}

template <typename Function>
uintptr_t address(Function* function) {
  return reinterpret_cast<uintptr_t>(function);
}

}  // namespace

bool hide_workers() {
  const Table table = find_table();
  if (table.slots == 0 || !writable(table, true)) return false;
  const bool done =
      redirect(table, "_ZN4node12NodePlatform21NumberOfWorkerThreadsEv", address(no_workers));
  redirect(table,
           "_ZN4node12NodePlatform18CallOnWorkerThreadESt10unique_ptrIN2v84TaskE"
           "St14default_deleteIS3_EE",
           address(run_here));
  redirect(table,
           "_ZN4node12NodePlatform25CallDelayedOnWorkerThreadESt10unique_ptrIN2v84TaskE"
           "St14default_deleteIS3_EEd",
           address(run_here_later));
  return writable(table, false) && done;
}

}  // namespace mayfly_node

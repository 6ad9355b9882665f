// Every call by which the spawner makes sandboxes, shells and clones fails once, one in each round:
// the launch or clone is answered, the next round's works, and nothing is left behind.
// MAYFLY_FAULT_STEP=1 for every call, else every third; MAYFLY_FAULT_FROM: the first of them.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/mman.h>

#include <cstring>
#include <map>

#include "census.h"
#include "faults.h"
#include "fixture.h"

namespace mayfly::sandbox_tests {
namespace {

class Faults {
 public:
  explicit Faults(const std::string& folder) : path_(folder + "/faults") {
    os::Fd file(::open(path_.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
    if (::ftruncate(file.get(), sizeof(fault_page)) != 0) return;
    void* mapped =
        ::mmap(nullptr, sizeof(fault_page), PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
    if (mapped != MAP_FAILED) page_ = static_cast<fault_page*>(mapped);
    program = folder + "/spawner";
    write_text(program,
               "#!/bin/sh\nMAYFLY_FAULTS=" + path_ +
                   " LD_PRELOAD=" MAYFLY_BUILD_DIR "/libsandbox_preload.so exec " MAYFLY_BUILD_DIR
                   "/sandbox_spawner \"$@\"\n",
               fs::perms(0755));
  }
  ~Faults() {
    if (page_ != nullptr) ::munmap(page_, sizeof *page_);
  }
  Faults(const Faults&) = delete;

  void arm(int call) { __atomic_store_n(&page_->countdown, call, __ATOMIC_SEQ_CST); }
  // The name of the call that failed; empty: none did.
  std::string disarm() {
    int left = __atomic_exchange_n(&page_->countdown, 0, __ATOMIC_SEQ_CST);
    return left > 0 ? "" : page_->name;
  }

  std::string program;

 private:
  std::string path_;
  fault_page* page_ = nullptr;
};

// A template, a clone of it, a second clone, and all ended.
bool one_round(World& world) {
  auto source = world.launch_template({"honest"});
  if (source.has_error()) return false;
  source.value()->keep_shells(1);
  bool good = true;
  for (const char* status : {"3", "4"}) {
    auto output = world.run_clone(*source.value(), {"exit", status});
    if (output.has_error() || output.value().exit.status != std::atoi(status)) good = false;
  }
  return good;
}

TEST(LaunchFaults, EveryStepMayFailOnce) {
  MAYFLY_NEEDS_ROOT();
  TemporaryFolder folder;
  Faults faults(folder.path());
  World world(false, faults.program);
  ASSERT_EQ(world.error, "");
  int pid = world.spawner->pid();
  ASSERT_TRUE(one_round(world));
  Census before = settle(world);
  const char* wanted = std::getenv("MAYFLY_FAULT_STEP");
  int step = wanted != nullptr ? std::max(std::atoi(wanted), 1) : 3;
  std::map<std::string, int> failed;
  const char* from = std::getenv("MAYFLY_FAULT_FROM");
  int rounds = 0;
  for (int call = from != nullptr ? std::atoi(from) : 1; call < 2000; call += step, ++rounds) {
    faults.arm(call);
    one_round(world);
    std::string name = faults.disarm();
    if (name.empty()) break;
    ++failed[name];
    ASSERT_TRUE(one_round(world)) << "after call " << call << ", " << name;
    ASSERT_EQ(world.spawner->pid(), pid) << "the spawner died of call " << call << ", " << name;
    Census now{};
    // Time limits for what was left half done may have to run out.
    ASSERT_TRUE(world.eventually([&] { return (now = take(world)) == before; }))
        << "after call " << call << ", " << name << "\n  now " << now << "\n  before " << before;
  }
  for (const auto& [name, count] : failed) std::printf("%s %d, ", name.c_str(), count);
  std::printf("%d rounds\n", rounds);
  EXPECT_GT(failed.size(), 8u);
}

}  // namespace
}  // namespace mayfly::sandbox_tests

#pragma once
// Runs programs in real sandboxes, for the tests of this folder. Everything needs root: without it
// the tests skip and say so.

#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/this_coro.hpp>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "sandbox/sandbox.h"

namespace mayfly::sandbox_tests {

namespace fs = std::filesystem;
using sandbox::Exit;
using sandbox::LaunchSpec;
using sandbox::Network;
using sandbox::Sandbox;
using sandbox::Sandboxes;
using sandbox::Spawner;

// A folder that goes away at the end.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (fs::temp_directory_path() / "mayfly-sandbox-XXXXXX").string();
    path_ = ::mkdtemp(name.data()) != nullptr ? name : "";
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

struct Output {
  Exit exit;
  std::string out, err;
};

// A spawner with its client on a loop of the test's own.
class World {
 public:
  explicit World(bool nat = true, std::string program = MAYFLY_BUILD_DIR "/mayfly-spawner")
      : state(folder.path() + "/state") {
    sandbox::SpawnerOptions options;
    options.program = std::move(program);
    options.state_dir = state;
    options.network_nat = nat;
    auto started = Spawner::start(options);
    if (started.has_error()) {
      error = started.error().describe();
      return;
    }
    spawner = std::move(started).value();
    sandboxes = spawner->client(loop.get_executor());
  }
  ~World() {
    sandboxes.reset();
    spawner.reset();
  }

  LaunchSpec spec(std::vector<std::string> argv) {
    LaunchSpec spec;
    spec.id = "t" + std::to_string(++count);
    spec.argv = std::move(argv);
    spec.env = {"PATH=/usr/bin:/bin", "HOME=/tmp", "LANG=C.UTF-8"};
    spec.cwd = "/";
    spec.network = Network::none;
    spec.channel = false;
    return spec;
  }

  Result<std::unique_ptr<Sandbox>> launch(LaunchSpec spec) {
    return await<Result<std::unique_ptr<Sandbox>>>(sandboxes->launch(std::move(spec)));
  }

  // A template of tests/sandbox/template.c that has said it waits for orders.
  Result<std::unique_ptr<Sandbox>> launch_template(std::vector<std::string> words,
                                                   std::function<void(LaunchSpec&)> change = {});
  // A launch of the same program that comes from a zygote: made by launches before it, which are
  // killed, until there is one.
  Result<std::unique_ptr<Sandbox>> launch_from_zygote(LaunchSpec spec);
  // The words reach the clone in its environment.
  Result<std::unique_ptr<Sandbox>> clone(Sandbox& from, const std::vector<std::string>& words,
                                         sandbox::Limits limits = {});

  // Runs to the end and collects what it wrote. kill_after: 0 never.
  Result<Output> run(LaunchSpec spec, std::chrono::milliseconds kill_after = {});
  Result<Output> run_clone(Sandbox& from, const std::vector<std::string>& words,
                           sandbox::Limits limits = {});
  Result<Output> finish(Sandbox& sandbox, std::chrono::milliseconds kill_after = {});

  // The next line of the program's output, without its end; what there is of it after 20 s.
  static std::string read_line(const Sandbox& sandbox);
  // Runs the loop until the condition holds; false when it does not within 20 s.
  bool eventually(const std::function<bool()>& condition);

  template <class T>
  static sandbox::Task<void> store(sandbox::Task<T> task, std::optional<T>& result) {
    auto value = co_await std::move(task);
    result.emplace(std::move(value));
  }
  template <class T>
  T await(sandbox::Task<T> task) {
    std::optional<T> result;
    std::exception_ptr failure;
    bool done = false;
    boost::asio::co_spawn(loop, store(std::move(task), result), [&](std::exception_ptr e) {
      failure = e;
      done = true;
    });
    loop.restart();
    auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!done && loop.run_one_until(deadline) > 0) {
    }
    if (!done) throw std::runtime_error("no answer in 60 s");
    if (failure) std::rethrow_exception(failure);
    return std::move(*result);
  }

  TemporaryFolder folder;
  std::string state;
  std::string error;
  boost::asio::io_context loop;
  std::unique_ptr<Spawner> spawner;
  std::unique_ptr<Sandboxes> sandboxes;
  int count = 0;
};

#define MAYFLY_NEEDS_ROOT()                                                             \
  if (::geteuid() != 0) {                                                               \
    GTEST_SKIP() << "needs root: makes user, mount and network namespaces and cgroups"; \
  }

// Each case has a world of its own.
class WithWorld : public ::testing::Test {
 protected:
  void SetUp() override {
    MAYFLY_NEEDS_ROOT();
    world = std::make_unique<World>();
    ASSERT_EQ(world->error, "");
  }
  std::unique_ptr<World> world;
};

// Runs a case as the user nobody, in a process of its own, with copies of programs of the build in
// a folder that it may read. The case returns 0, or a number from 20 that says what failed.
void expect_works_unprivileged(const std::vector<std::string>& programs,
                               int (*run)(World& world, const std::string& folder));

inline void write_text(const std::string& path, const std::string& text, fs::perms perms) {
  std::ofstream(path) << text;
  fs::permissions(path, perms);
}

}  // namespace mayfly::sandbox_tests

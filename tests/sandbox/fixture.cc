#include "fixture.h"

#include <grp.h>
#include <poll.h>
#include <sys/wait.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace mayfly::sandbox_tests {

namespace asio = boost::asio;

namespace {

constexpr std::chrono::seconds kPatience(20);

sandbox::Task<bool> read_pipe(asio::posix::stream_descriptor& pipe, std::string& text) {
  auto token = asio::as_tuple(asio::use_awaitable);
  char buffer[4096];
  for (;;) {
    auto target = asio::buffer(buffer);
    auto [error, size] = co_await pipe.async_read_some(target, token);
    if (size > 0 && text.size() < (1 << 20)) text.append(buffer, size);
    if (error) co_return true;
  }
}

}  // namespace

Result<Output> World::finish(Sandbox& sandbox, std::chrono::milliseconds kill_after) {
  Output output;
  asio::posix::stream_descriptor out(loop, sandbox.stdout_fd.release());
  asio::posix::stream_descriptor err(loop, sandbox.stderr_fd.release());
  int left = 3;
  auto count_down = [&left](std::exception_ptr, auto&&...) { --left; };
  asio::co_spawn(loop, read_pipe(out, output.out), count_down);
  asio::co_spawn(loop, read_pipe(err, output.err), count_down);
  asio::co_spawn(loop, sandbox.wait(), [&](std::exception_ptr, Exit exit) {
    output.exit = std::move(exit);
    --left;
  });
  asio::steady_timer timer(loop);
  if (kill_after.count() > 0) {
    timer.expires_after(kill_after);
    timer.async_wait([&](boost::system::error_code error) {
      if (!error) sandbox.kill();
    });
  }
  loop.restart();
  while (left > 0 && loop.run_one() > 0) {
  }
  timer.cancel();
  return output;
}

Result<std::unique_ptr<Sandbox>> World::launch_template(std::vector<std::string> words,
                                                        std::function<void(LaunchSpec&)> change) {
  words.insert(words.begin(), "/opt/template");
  LaunchSpec launched_spec = spec(std::move(words));
  launched_spec.mounts.push_back({MAYFLY_BUILD_DIR "/sandbox_template", "/opt/template"});
  launched_spec.cloneable = true;
  launched_spec.channel = true;
  if (change) change(launched_spec);
  auto launched = launch(std::move(launched_spec));
  if (launched.has_error()) return launched;
  pollfd wait{launched.value()->channel.get(), POLLIN, 0};
  char byte = 0;
  if (::poll(&wait, 1, 10'000) != 1 || ::read(wait.fd, &byte, 1) != 1 || byte != 'R') {
    return Error{Code::io_error, "the template did not become ready", "launch template", 0};
  }
  return launched;
}

Result<std::unique_ptr<Sandbox>> World::launch_from_zygote(LaunchSpec spec) {
  sandbox::ZygoteSpec zygote;
  zygote.argv = spec.argv;
  zygote.env = {"PATH=/usr/bin:/bin"};
  for (const auto& mount : spec.mounts) {
    if (mount.sandbox_path != "/var/task") zygote.mounts.push_back(mount);
  }
  spec.zygote = std::move(zygote);
  Error last;
  auto until = std::chrono::steady_clock::now() + kPatience;
  while (std::chrono::steady_clock::now() < until) {
    auto launched = launch(spec);
    if (launched.has_error() || launched.value()->from_zygote) return launched;
    last = Error{Code::unavailable, launched.value()->no_zygote, "launch from a zygote", 0};
    launched.value()->kill();
    ignore(finish(*launched.value()), "it was killed");
    spec.id = "t" + std::to_string(++count);
  }
  return last;
}

Result<std::unique_ptr<Sandbox>> World::clone(Sandbox& from, const std::vector<std::string>& words,
                                              sandbox::Limits limits) {
  sandbox::CloneSpec clone_spec;
  clone_spec.id = "c" + std::to_string(++count);
  clone_spec.limits = limits;
  for (const auto& word : words) clone_spec.env.push_back("WORD=" + word);
  return await<Result<std::unique_ptr<Sandbox>>>(from.clone(std::move(clone_spec)));
}

Result<Output> World::run_clone(Sandbox& from, const std::vector<std::string>& words,
                                sandbox::Limits limits) {
  auto made = clone(from, words, limits);
  if (made.has_error()) return std::move(made).error();
  return finish(*made.value(), kPatience);
}

Result<Output> World::run(LaunchSpec spec, std::chrono::milliseconds kill_after) {
  auto launched = launch(std::move(spec));
  if (launched.has_error()) return std::move(launched).error();
  return finish(*launched.value(), kill_after);
}

std::string World::read_line(const Sandbox& sandbox) {
  std::string line;
  pollfd wait{sandbox.stdout_fd.get(), POLLIN, 0};
  int limit = static_cast<int>(std::chrono::milliseconds(kPatience).count());
  char byte = 0;
  while (::poll(&wait, 1, limit) == 1 && ::read(wait.fd, &byte, 1) == 1 && byte != '\n') {
    line.push_back(byte);
  }
  return line;
}

bool World::eventually(const std::function<bool()>& condition) {
  auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    loop.restart();
    // Returns at once when nothing is under way.
    if (loop.run_one_for(std::chrono::milliseconds(5)) == 0) ::poll(nullptr, 0, 1);
  }
  return true;
}

namespace {

int run_unprivileged(const std::string& folder,
                     int (*run)(World& world, const std::string& folder)) {
  ::setenv("TMPDIR", (folder + "/tmp").c_str(), 1);
  if (::setgroups(0, nullptr) != 0 || ::setresgid(65534, 65534, 65534) != 0 ||
      ::setresuid(65534, 65534, 65534) != 0) {
    return 10;
  }
  World world(true, folder + "/mayfly-spawner");
  if (world.error.empty()) return run(world, folder);
  std::fprintf(stderr, "%s\n", world.error.c_str());
  return world.error.find("Run the server as root") != std::string::npos ? 77 : 11;
}

}  // namespace

void expect_works_unprivileged(const std::vector<std::string>& programs,
                               int (*run)(World& world, const std::string& folder)) {
  MAYFLY_NEEDS_ROOT();
  TemporaryFolder folder;
  for (const auto& program : programs) {
    fs::copy_file(MAYFLY_BUILD_DIR "/" + program, folder.path() + "/" + program);
  }
  fs::permissions(folder.path(), fs::perms(0755));
  fs::create_directories(folder.path() + "/tmp");
  fs::permissions(folder.path() + "/tmp", fs::perms(0777));
  pid_t child = ::fork();
  if (child == 0) ::_exit(run_unprivileged(folder.path(), run));
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "no unprivileged user namespaces here";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace mayfly::sandbox_tests

#include "server/side_services.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_future.hpp>
#include <future>
#include <thread>

#include "io/loop_thread.h"

namespace mayfly::server {
namespace {

// What is asked of it, and on which thread.
struct FakeServices final : engine::FunctionServices {
  io::Task<Result<std::string>> ask(functions::VersionPtr version, std::string question) override {
    at = std::this_thread::get_id();
    if (question == "bad") co_return Error{Code::invalid_argument, "no"};
    co_return version->function + " " + question;
  }
  io::Task<Status> commit(functions::VersionPtr, std::string effects,
                          std::shared_ptr<engine::Settlement>, std::string result) override {
    at = std::this_thread::get_id();
    committed = effects + "+" + result;
    if (effects == "conflict") co_return Error{Code::conflict, "changed"};
    co_return ok();
  }
  std::thread::id at;
  std::string committed;
};

struct FakeDoor final : engine::ServicesDoor {
  void add_environment(const functions::Version&, std::vector<std::string>& env) override {
    env.push_back("A=1");
  }
  std::shared_ptr<void> open(functions::VersionPtr, const std::string& instance,
                             os::Fd listener) override {
    opened.set_value({std::this_thread::get_id(), listener ? instance : "no listener"});
    return {nullptr, [this](void*) { closed.set_value(std::this_thread::get_id()); }};
  }
  std::promise<std::pair<std::thread::id, std::string>> opened;
  std::promise<std::thread::id> closed;
};

struct SideServicesTest : testing::Test {
  SideServicesTest() {
    home.start([this] { home_id.set_value(std::this_thread::get_id()); }, {});
    side.start([] {}, {});
    auto made = std::make_shared<functions::Version>();
    made->function = "f";
    version = made;
  }
  std::promise<std::thread::id> home_id;
  io::LoopThread home, side;
  functions::VersionPtr version;
};

TEST_F(SideServicesTest, AsksAtHomeAndAnswersWhereItWasAsked) {
  FakeServices services;
  SideServices beside(home.loop(), services);
  const auto ask = [&](std::string question) {
    return boost::asio::co_spawn(
               side.loop(),
               [](SideServices& s, functions::VersionPtr v,
                  std::string q) -> io::Task<std::pair<Result<std::string>, std::thread::id>> {
                 auto asking = s.ask(std::move(v), std::move(q));
                 Result<std::string> answer = co_await std::move(asking);
                 co_return std::pair(std::move(answer), std::this_thread::get_id());
               }(beside, version, std::move(question)),
               boost::asio::use_future)
        .get();
  };
  const auto home_thread = home_id.get_future().get();
  const auto good = ask("what");
  EXPECT_EQ(*good.first, "f what");
  EXPECT_EQ(services.at, home_thread);
  EXPECT_NE(good.second, home_thread);
  EXPECT_EQ(ask("bad").first.error().code, Code::invalid_argument);
}

TEST_F(SideServicesTest, CommitsAtHome) {
  FakeServices services;
  SideServices beside(home.loop(), services);
  const auto commit = [&](std::string effects) {
    return boost::asio::co_spawn(side.loop(),
                                 beside.commit(version, std::move(effects), nullptr, "r"),
                                 boost::asio::use_future)
        .get();
  };
  EXPECT_FALSE(commit("put").has_error());
  EXPECT_EQ(services.committed, "put+r");
  EXPECT_EQ(services.at, home_id.get_future().get());
  EXPECT_EQ(commit("conflict").error().code, Code::conflict);
}

TEST_F(SideServicesTest, ADoorIsOpenedAndClosedAtHome) {
  FakeDoor door;
  SideDoor beside(home.loop(), door);
  std::vector<std::string> env;
  beside.add_environment(*version, env);
  EXPECT_EQ(env, std::vector<std::string>{"A=1"});
  int pipes[2];
  ASSERT_EQ(::pipe(pipes), 0);
  const os::Fd other(pipes[1]);
  auto way = beside.open(version, "i-1", os::Fd(pipes[0]));
  const auto home_thread = home_id.get_future().get();
  EXPECT_EQ(door.opened.get_future().get(), std::pair(home_thread, std::string("i-1")));
  boost::asio::post(side.loop(), [gone = std::move(way)]() mutable { gone.reset(); });
  EXPECT_EQ(door.closed.get_future().get(), home_thread);
}

}  // namespace
}  // namespace mayfly::server

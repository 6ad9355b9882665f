#pragma once
// A sandbox in which nothing runs: a test plays its program.

#include "sandbox/sandbox.h"

namespace mayfly::sandbox::testing {

class FakeSandbox final : public Sandbox {
 public:
  explicit FakeSandbox(std::string id = "fake") : id_(std::move(id)) {}
  const std::string& id() const override { return id_; }
  Usage usage() const override { return {}; }
  io::Connector connector(std::uint16_t port) override {
    return connect ? connect(port) : io::Connector();
  }
  io::Task<Result<std::unique_ptr<Sandbox>>> clone(CloneSpec) override {
    co_return Error{Code::unavailable, "no template", "clone sandbox", 0};
  }
  void keep_shells(unsigned) override {}
  void set_cpu_share(std::uint32_t, bool) override {}
  void terminate() override {}
  void kill() override {}
  io::Task<Exit> wait() override { co_return exit; }

  std::function<io::Connector(std::uint16_t port)> connect;
  Exit exit;

 private:
  std::string id_;
};

}  // namespace mayfly::sandbox::testing

#include "server/side_services.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace mayfly::server {

namespace asio = boost::asio;

io::Task<Result<std::string>> SideServices::ask(functions::VersionPtr version,
                                                std::string question) {
  auto asking = asio::co_spawn(home_, services_.ask(std::move(version), std::move(question)),
                               asio::use_awaitable);
  Result<std::string> answer = co_await std::move(asking);
  co_return answer;
}

io::Task<Status> SideServices::commit(functions::VersionPtr version, std::string effects,
                                      std::shared_ptr<engine::Settlement> settlement,
                                      std::string result) {
  auto committing = asio::co_spawn(home_,
                                   services_.commit(std::move(version), std::move(effects),
                                                    std::move(settlement), std::move(result)),
                                   asio::use_awaitable);
  Status committed = co_await std::move(committing);
  co_return committed;
}

void SideDoor::add_environment(const functions::Version& version, std::vector<std::string>& env) {
  door_.add_environment(version, env);
}

std::shared_ptr<void> SideDoor::open(functions::VersionPtr version, const std::string& instance,
                                     os::Fd listener) {
  const auto way = std::make_shared<std::shared_ptr<void>>();  // touched at home only
  const auto kept = std::make_shared<os::Fd>(std::move(listener));
  asio::post(home_, [way, kept, version = std::move(version), instance, &door = door_] {
    *way = door.open(version, instance, std::move(*kept));
  });
  return {nullptr, [way, &home = home_](void*) { asio::post(home, [way] { way->reset(); }); }};
}

}  // namespace mayfly::server

#include "engine/questions.h"

#include <boost/asio/co_spawn.hpp>

#include "base/log.h"

namespace mayfly::engine {
namespace {

Error nobody_answers() {
  return Error{Code::unsupported, "This server keeps no state for functions.", "ask", 0};
}

io::Task<void> answer_from(std::shared_ptr<Core> core, functions::VersionPtr version,
                           std::string question, InstanceEvents::Answering answer) {
  auto asking = core->services->ask(std::move(version), std::move(question));
  auto answered = co_await std::move(asking);
  answer(std::move(answered));
}

std::shared_ptr<Failure> commit_failure(const Error& error) {
  auto failure = std::make_shared<Failure>();
  failure->outcome = telemetry::Outcome::platform_error;
  failure->party = telemetry::Party::platform;
  // What the function asked for cannot be: it is the function that has to change.
  if (error.code == Code::invalid_argument || error.code == Code::not_found ||
      error.code == Code::too_large) {
    failure->outcome = telemetry::Outcome::function_error;
    failure->party = telemetry::Party::function;
  }
  failure->phase = telemetry::Phase::reply;
  failure->code = error.code;
  failure->message = "nothing that the function staged was done: " + error.message;
  if (is_retryable(error.code) || error.code == Code::conflict) failure->retry_after_s = 1;
  return failure;
}

}  // namespace

void ask_services(const std::shared_ptr<Core>& core, functions::VersionPtr version,
                  std::string question, InstanceEvents::Answering answer) {
  if (core->services == nullptr) return answer(nobody_answers());
  boost::asio::co_spawn(
      core->executor, answer_from(core, std::move(version), std::move(question), std::move(answer)),
      [](const std::exception_ptr& problem) {
        if (problem) log::error("a question of a function was not answered: it threw");
      });
}

io::Task<Answer> commit_effects(std::shared_ptr<Core> core, functions::VersionPtr version,
                                std::shared_ptr<Settlement> settlement, Answer answer) {
  Status done = nobody_answers();
  if (core->services != nullptr) {
    std::string effects = std::move(answer.reply.effects);
    std::string result = answer.reply.kind == PayloadKind::event ? answer.reply.body : "";
    auto committing = core->services->commit(std::move(version), std::move(effects),
                                             std::move(settlement), std::move(result));
    done = co_await std::move(committing);
  }
  answer.reply.effects.clear();
  if (done.has_error()) {
    answer.failure = commit_failure(done.error());
    answer.failure->log_tail = std::move(answer.reply.log_tail);
    answer.receipt.rejected(*answer.failure);
    answer.reply = {};
  }
  co_return answer;
}

}  // namespace mayfly::engine

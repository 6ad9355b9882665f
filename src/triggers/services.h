#pragma once
// The engine's FunctionServices: answers what functions ask about the state, and commits what they
// staged together with the messages that they have handled, in one transaction (decision 0016).

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/function_services.h"
#include "io/blocking.h"
#include "queues/engine.h"
#include "tables/state.h"
#include "triggers/effects.h"

namespace mayfly::triggers {

// The messages of one invocation, made by their trigger; says afterwards what became of them.
class QueueSettlement final : public engine::Settlement {
 public:
  struct Held {
    std::string id, receipt;
  };
  std::string queue;
  std::vector<Held> messages;
  bool partial = true;  // batchItemFailures in the result count

  // Out.
  bool committed = false;
  std::vector<std::size_t> failed;  // indices into messages, in order: those that are not done
};

// An async call: what its function stages happens once, however often the call comes again after a
// kill. The mark of it is written with the effects, and goes with the call's end.
class CallSettlement final : public engine::Settlement {
 public:
  std::string mark_key;  // in the store; conflict when it is there already
  std::int64_t now_us = 0;
  std::size_t result_bytes_max = 0;  // so much of the result is kept in the mark

  bool marked = false;  // out: effects were committed
};

struct CallMark {
  std::int64_t at_us = 0;  // in front, as in the other rows that a sweep removes by their age
  std::string result;
  bool cut = false;  // result is not whole
};
std::string encode(const CallMark& mark);
Result<CallMark> decode_mark(std::string_view bytes);

// The indices of the messages that a result says have failed. Nothing, null, an object without
// batchItemFailures, or with null or an empty list in it: none has. invalid_argument for what makes
// the whole batch one that has failed: a broken list, an id that is not one of the messages. Pure.
Result<std::vector<std::size_t>> failures_of(std::string_view result,
                                             const std::vector<QueueSettlement::Held>& messages);

// Belongs to the engine's loop.
class Services final : public engine::FunctionServices {
 public:
  // All of them outlive this.
  Services(queues::QueueEngine& queues, tables::State& state, io::BlockingPool& pool)
      : queues_(queues), state_(state), pool_(pool) {}

  io::Task<Result<std::string>> ask(functions::VersionPtr version, std::string question) override;
  io::Task<Status> commit(functions::VersionPtr version, std::string effects,
                          std::shared_ptr<engine::Settlement> settlement,
                          std::string result) override;

 private:
  io::Task<Result<Effects>> parse(std::string effects);

  queues::QueueEngine& queues_;
  tables::State& state_;
  io::BlockingPool& pool_;
};

}  // namespace mayfly::triggers

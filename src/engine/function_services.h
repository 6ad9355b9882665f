#pragma once
// What a function that runs may ask of the platform, through the frames of its instance, and what
// is to happen together with the success of its invocation (design decision 8). The engine carries
// the questions; a room above answers them.

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "functions/types.h"
#include "io/body.h"

namespace mayfly::engine {

// What must happen when an invocation ends well, beside what the function staged: made by what
// caused it (a queue's trigger: the messages are done). The engine does not look into it.
class Settlement {
 public:
  virtual ~Settlement() = default;
};

// Belongs to the dispatcher's loop; outlives the dispatcher.
class FunctionServices {
 public:
  virtual ~FunctionServices() = default;

  // Answers a question that the function asks while it runs: JSON in, JSON out
  // (docs/internals/frames.md, frame ask). Errors go to the function as an exception.
  virtual io::Task<Result<std::string>> ask(functions::VersionPtr version,
                                            std::string question) = 0;

  // The invocation has succeeded with result: commits what it staged (effects, JSON, may be empty)
  // and its settlement (may be null) in one transaction. An error fails the invocation: nothing of
  // it has happened then. conflict: the state that the function read has changed meanwhile.
  virtual io::Task<Status> commit(functions::VersionPtr version, std::string effects,
                                  std::shared_ptr<Settlement> settlement, std::string result) = 0;
};

}  // namespace mayfly::engine

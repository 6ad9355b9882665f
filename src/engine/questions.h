#pragma once
// How questions of running functions reach the platform's services. Private to the engine.

#include <memory>
#include <string>

#include "engine/core.h"

namespace mayfly::engine {

// Has the question answered, at once or later on the engine's loop.
void ask_services(const std::shared_ptr<Core>& core, functions::VersionPtr version,
                  std::string question, InstanceEvents::Answering answer);

// Commits what a call staged and its settlement; on an error the answer becomes a failure, and the
// record says so.
io::Task<Answer> commit_effects(std::shared_ptr<Core> core, functions::VersionPtr version,
                                std::shared_ptr<Settlement> settlement, Answer answer);

}  // namespace mayfly::engine

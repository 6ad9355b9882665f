#pragma once
// Capabilities of the calling thread (capabilities(7)).

#include <initializer_list>

#include "base/result.h"

namespace mayfly::os {

// Gives up every capability but these, for this thread and for those that it starts from here on.
// The bounding set stays: a program that a root process executes has all of them again.
Status keep_capabilities(std::initializer_list<int> kept);

// Whether the calling thread has it in force.
bool has_capability(int capability);

}  // namespace mayfly::os

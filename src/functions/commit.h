#pragma once
// Writing to the store without blocking the loop.

#include "base/result.h"
#include "io/blocking.h"
#include "store/store.h"

namespace mayfly::functions {

// Done when it is on disk.
io::Task<Status> commit(store::Store& store, io::BlockingPool& pool,
                        store::Transaction transaction);

}  // namespace mayfly::functions

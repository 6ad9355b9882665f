#include "functions/commit.h"

namespace mayfly::functions {

io::Task<Status> commit(store::Store& store, io::BlockingPool& pool,
                        store::Transaction transaction) {
  auto write = [&store, transaction = std::move(transaction)] {
    return store.commit(transaction, store::Durability::synced);
  };
  auto writing = pool.run(std::move(write));
  Status written = co_await std::move(writing);
  co_return written;
}

}  // namespace mayfly::functions

#pragma once
// The client of a spawner on one event loop. Inside the sandbox room only.

#include <memory>

#include "sandbox/link.h"

namespace mayfly::sandbox {

std::unique_ptr<Sandboxes> make_client(boost::asio::any_io_executor executor,
                                       std::shared_ptr<SharedSpawner> shared);

}  // namespace mayfly::sandbox

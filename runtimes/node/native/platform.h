#pragma once

namespace mayfly_node {

// Tells V8 that Node's platform has no worker threads. A clone has none; what V8 gave to them (it
// shares out even single-threaded garbage collections) would lie in their queue for good, and Node
// waits until that is empty whenever an event loop has nothing left to do.
// False: this Node does not show its platform, and must not be cloned. Call before user code runs.
bool hide_workers();

}  // namespace mayfly_node

#pragma once
// A root that somebody else wrote: the tree of an image in place of the skeleton's. It is mounted
// before anything in it is looked at, and no path in it is followed through a link: whatever /proc
// or /tmp is in there, nothing is mounted elsewhere than at a plain folder or file of that name.

#include "spawner/init_process.h"

namespace mayfly::spawner {

// Ends with the tree as the root of this mount namespace, with /proc, /dev, /tmp, resolv.conf and
// hosts of the root that was there until now, which is gone then. tree stays open.
void enter_image_root(const InitPlan& plan, int tree);

// Attaches a detached tree at an absolute path below root. Closes nothing.
void attach_beneath(const InitPlan& plan, int root, const char* path, int tree);

}  // namespace mayfly::spawner

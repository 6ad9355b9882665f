#pragma once
// Folders that a sandbox may write to (npm install at deploy): lent to the sandbox's user by a
// change of owner, and taken back at its end.

#include <sys/types.h>

#include <string>

#include "base/result.h"

namespace mayfly::spawner {

// Gives path and everything below it to the owner. Links are changed themselves, never followed;
// other file systems mounted below are left alone. Set-id bits are lost, as chown(2) says.
Status change_owner(const std::string& path, uid_t user, gid_t group);

}  // namespace mayfly::spawner

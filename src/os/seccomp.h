#pragma once
// The system call filter of sandboxes, compiled once by libseccomp and installed by each sandbox's
// init. For programs two filters, of which the stricter answer wins: `allow` is the allow-list by
// number (everything else: ENOSYS or EPERM), `arguments` refuses single uses of allowed calls. The
// split lets argument rules look at the low 32 bits only, as the kernel does for int arguments.

#include <linux/filter.h>

#include <vector>

#include "base/result.h"

namespace mayfly::os {

struct SeccompFilter {
  std::vector<sock_filter> allow;
  std::vector<sock_filter> arguments;
  // In place of `allow` for a program that may be cloned: also setns, and adding a filter, by which
  // a clone gives setns up again.
  std::vector<sock_filter> allow_template;
  // All that the init of a prepared sandbox does while it waits for its program and its end: no
  // program is started below it, so that it needs neither of the above, which are twenty times as
  // long, and whoever got hold of it could do next to nothing.
  std::vector<sock_filter> wait;
};

Result<SeccompFilter> compile_seccomp_filter();

// Installs one of them for the calling thread; needs no_new_privs. `allow` goes last: it refuses
// the call that installs filters. No allocation. 0 or errno.
int install_seccomp_filter(const std::vector<sock_filter>& program);

}  // namespace mayfly::os

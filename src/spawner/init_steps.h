#pragma once
// The steps that an init takes, be it of a launch or of a shell. Each ends the process with a
// report when it fails. They run in a fork of the spawner, which has one thread: allocation is
// safe.

#include <linux/capability.h>
#include <sys/types.h>

#include <vector>

#include "os/fd.h"
#include "spawner/init_process.h"

namespace mayfly::spawner {

// What setns takes, and what a template's program keeps, over namespaces of its own user namespace.
inline constexpr int kTemplateCapabilities[] = {CAP_SYS_ADMIN, CAP_SYS_CHROOT};

[[noreturn]] void fail(const InitPlan& plan, const char* step, const char* what, int error);
// Fails when status is negative, with errno.
void check(const InitPlan& plan, long status, const char* step, const char* what = "");
void tell(int control, InitReport::Kind kind, const std::vector<int>& fds = {});
void tell_end(int control, int wait_status);

void close_foreign(const InitPlan& plan);
void join_groups(const InitPlan& plan);
void become_user(const InitPlan& plan);
void build_root(const InitPlan& plan);
// What may go before the last mounts: it does not touch the capabilities that these need.
void drop_early(const InitPlan& plan);
// trees: detached, launch.rootfs when there is one, then in the order of launch.mounts; closes
// them.
void attach_mounts(const InitPlan& plan, const wire::SpawnerLaunch& launch,
                   const std::vector<int>& trees);
void set_hostname(const InitPlan& plan, const std::string& name);
void set_limits(const InitPlan& plan, const wire::SpawnerLaunch& launch);
void drop_capabilities(const InitPlan& plan);
void install_filter(const InitPlan& plan, const std::vector<sock_filter>& program);

// A descriptor on which SIGCHLD and SIGTERM, which are blocked, can be waited for.
os::Fd open_signals(const InitPlan& plan);
// Takes one signal off it; 0 when there is none.
int take_signal(const os::Fd& signals);

}  // namespace mayfly::spawner

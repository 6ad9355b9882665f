#pragma once
/* What passes between the spawner, a zygote (a process with a language runtime loaded and no user
   code) and the init of the sandbox that a fork of the zygote enters. Plain C: runtimes/clone is
   the zygote's side. SEQPACKET, one struct for each message, in the machine's own byte order: all
   sides come from one build. docs/decisions/0028-zygotes.md. */

#include <stdint.h>

#define MAYFLY_ZYGOTE_VERSION 2u
#define MAYFLY_ZYGOTE_MESSAGE_MAX (192u * 1024u)
#define MAYFLY_ZYGOTE_GROUPS_MAX 8u
#define MAYFLY_ZYGOTE_LIMITS 16u /* RLIM_NLIMITS of Linux */

/* spawner -> zygote: fork one. Descriptors: the sandbox's pid, network and user namespace, the door
   (a socket to its init), and `groups` files to which a process that writes "0" moves itself. */
enum mayfly_zygote_fd {
  MAYFLY_ZYGOTE_FD_PID = 0,
  MAYFLY_ZYGOTE_FD_NET = 1,
  MAYFLY_ZYGOTE_FD_USER = 2,
  MAYFLY_ZYGOTE_FD_DOOR = 3,
  MAYFLY_ZYGOTE_FD_GROUPS = 4
};

struct mayfly_zygote_order {
  uint32_t version;
  uint32_t groups;
};

/* zygote -> spawner: once, that it takes orders; or that it has refused, because its memory would
   be shared by its programs. */
struct mayfly_zygote_ready {
  uint32_t version;
  uint32_t refused;
};

/* init -> child, by the door: come in. Behind the struct lie `filter` instructions for seccomp (8
   bytes each; none: what the zygote has is all), the working directory with its NUL, and env_size
   bytes of NAME=value strings, each with its NUL. Descriptors: the ipc, uts, cgroup and mount
   namespace, then `fds` of them for 0, 1, 2, the channel (3) and the control socket (4). */
enum mayfly_zygote_entry_fd {
  MAYFLY_ZYGOTE_ENTRY_IPC = 0,
  MAYFLY_ZYGOTE_ENTRY_UTS = 1,
  MAYFLY_ZYGOTE_ENTRY_CGROUP = 2,
  MAYFLY_ZYGOTE_ENTRY_MNT = 3,
  MAYFLY_ZYGOTE_ENTRY_STDIN = 4,
  MAYFLY_ZYGOTE_ENTRY_COUNT = 4 + 5 /* all there can be */
};

struct mayfly_zygote_entry {
  uint32_t version;
  uint32_t user;         /* the only one inside, and the only group */
  uint64_t capabilities; /* bits of those that the program keeps */
  uint32_t fds;
  uint32_t filter;
  uint32_t cwd_size;
  uint32_t env_size;
  struct {
    uint64_t now, most;
  } limits[MAYFLY_ZYGOTE_LIMITS];
};

/* child -> init, once: it is inside (error 0), or what stopped it. Then it waits for one byte, and
   ends when the door is closed instead. */
struct mayfly_zygote_report {
  uint32_t version;
  int32_t error; /* errno */
  char step[48];
};

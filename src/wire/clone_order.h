#pragma once
/* What the spawner sends a template on its control socket (descriptor 4 of the program), and what
   comes back. Plain C: runtimes/clone is the other side. SEQPACKET, one struct for each message, in
   the machine's own byte order: both sides come from one build.

   An order carries env_size bytes behind the struct (NAME=value strings, each ended by a NUL, the
   list by an empty one) and these descriptors: the namespaces in the order of the enum below, the
   report socket, stdin, stdout, stderr, the channel when has_channel is set, and `groups` files to
   which a process that writes "0" moves itself into the cgroup. */

#include <stdint.h>

#define MAYFLY_CLONE_VERSION 1u
#define MAYFLY_CLONE_MESSAGE_MAX (192u * 1024u)
#define MAYFLY_CLONE_GROUPS_MAX 8u

enum mayfly_clone_fd {
  MAYFLY_CLONE_FD_PID = 0,
  MAYFLY_CLONE_FD_NET = 1,
  MAYFLY_CLONE_FD_IPC = 2,
  MAYFLY_CLONE_FD_UTS = 3,
  MAYFLY_CLONE_FD_CGROUP = 4,
  MAYFLY_CLONE_FD_MNT = 5,
  MAYFLY_CLONE_FD_REPORT = 6,
  MAYFLY_CLONE_FD_STDIN = 7,
  MAYFLY_CLONE_FD_COUNT = 7 + 4 + 8 /* all there can be */
};

enum mayfly_clone_kind {
  MAYFLY_CLONE_ORDER = 1, /* spawner -> template: fork one */
  MAYFLY_CLONE_REAP = 2   /* spawner -> template: that order's process has ended or will */
};

struct mayfly_clone_message {
  uint32_t version;
  uint32_t kind;
  uint64_t order; /* the spawner's number for it, never used twice */
  uint32_t env_size;
  uint32_t groups;
  uint32_t has_channel;
  uint32_t reserved;
};

/* template -> spawner: no process came of the order. Nothing else is ever sent. */
struct mayfly_clone_reply {
  uint32_t version;
  int32_t error; /* errno */
  uint64_t order;
  char step[48];
};

/* clone -> its init, on the report socket, once: it is inside (error 0), or what stopped it. */
struct mayfly_clone_report {
  uint32_t version;
  int32_t error;
  char step[48];
};

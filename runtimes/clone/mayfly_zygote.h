/* libmayfly_clone: what a language runtime needs to be a zygote, a process with the interpreter and
   the runtime loaded and nothing of any user's, from which the programs of new sandboxes are
   forked.

       while (mayfly_zygote_next(fd) == 1) {
         int pid = the language's own fork();
         if (pid == 0) {
           mayfly_zygote_enter(0);
           set the environment to mayfly_zygote_environment(), nothing else; go on as if started
         }
         mayfly_zygote_forked(pid < 0 ? -errno : pid);
       }
       exit

   The control socket is the number in MAYFLY_ZYGOTE_FD. As for templates (mayfly_clone.h): one
   thread, no allocation, no signal handler. */
#ifndef MAYFLY_ZYGOTE_H
#define MAYFLY_ZYGOTE_H

#include "mayfly_clone.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Blocks until an order has come. The first call says that the zygote is ready. 1: fork now, before
   anything else. 0: nobody needs it any more, exit. */
MAYFLY_CLONE_API int mayfly_zygote_next(int control_fd);

/* In the parent, right after the fork: the child's pid, or -errno when there is none. */
MAYFLY_CLONE_API void mayfly_zygote_forked(int pid);

/* In the child, before anything else: moves it into the sandbox, where it becomes the program as if
   its init had started it, in a second fork whose child is who returns: the pid changes. Ends the
   process when a step fails, and tells the init, which then starts the program itself.

   Descriptors above those of the program are closed. With keep_numbers those below 256 lead to
   /dev/null instead until mayfly_zygote_close_kept(), so that a library that closes what it
   remembers does not close what has come in its place. */
MAYFLY_CLONE_API int mayfly_zygote_enter(int keep_numbers);
MAYFLY_CLONE_API void mayfly_zygote_close_kept(void);

/* In the child: the whole environment of the program, NAME=value strings, each ended by a NUL, the
   list by an empty string. Valid for good. */
MAYFLY_CLONE_API const char* mayfly_zygote_environment(void);

#ifdef __cplusplus
}
#endif

#endif

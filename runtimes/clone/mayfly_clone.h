/* libmayfly_clone: what a language runtime needs to be a template, a process that has run the
   user's initialisation and from which instances are forked. For every language that can call C.

   The runtime runs the initialisation, says on descriptor 3 that it can be cloned, and then:

       while (mayfly_clone_next(4) == 1) {
         int pid = the language's own fork();
         if (pid == 0) {
           mayfly_clone_enter();
           set the environment from mayfly_clone_environment(), reseed, serve descriptor 3
         }
         mayfly_clone_forked(pid < 0 ? -errno : pid);
       }
       exit

   All calls come from one thread of a process, the one that forks. No call allocates from the heap;
   none installs a signal handler or changes the signal mask. The control socket is the number in
   the environment variable MAYFLY_TEMPLATE_FD (4); the library lies at MAYFLY_CLONE_LIB. */
#ifndef MAYFLY_CLONE_H
#define MAYFLY_CLONE_H

#ifdef __cplusplus
extern "C" {
#endif

#define MAYFLY_CLONE_API __attribute__((visibility("default")))

/* Blocks until an order has come, and reaps clones that have ended meanwhile. 1: fork now, before
   anything else; the next process forked by this thread is the clone, and no other may be. 0: the
   spawner is gone or the socket is not one, exit. A signal does not end the wait. */
MAYFLY_CLONE_API int mayfly_clone_next(int control_fd);

/* In the parent, right after the fork: the clone's pid, or -errno when there is none. Aborts when
   the process cannot go back to making ordinary children, which nothing but a fault explains. */
MAYFLY_CLONE_API void mayfly_clone_forked(int pid);

/* In the child, before anything else: moves it into its cgroup and namespaces, puts the instance's
   descriptors at 0 to 3 (3 closed when it has no channel), closes everything of the template's
   control, starts a session, gives up every capability and the right to enter namespaces, and tells
   the spawner. The current directory stays the same by name. Returns 0; when a step fails it
   reports that step and ends the process by _exit. */
MAYFLY_CLONE_API int mayfly_clone_enter(void);

/* In the child, after mayfly_clone_enter: the order's environment, to be set over the template's:
   NAME=value strings, each ended by a NUL, the list by an empty string. Valid for good. */
MAYFLY_CLONE_API const char* mayfly_clone_environment(void);

#ifdef __cplusplus
}
#endif

#endif

/* libmayfly_template: what the templates of scripting languages, and their zygotes, share beside
   libmayfly_clone: what a fork would share or lose (threads, connections, open files), found and
   told in words, and what C libraries in the process have to forget in a clone.

   Ruby calls it by Fiddle and PHP by FFI. Perl has neither, but installs any C function as a sub:
   so no function needs an argument, and what is returned can be read from variables as well.

   A text is a list of NUL-terminated strings that an empty one ends, valid until the next call. All
   calls come from the main thread. */
#ifndef MAYFLY_TEMPLATE_H
#define MAYFLY_TEMPLATE_H

#define MAYFLY_TEMPLATE_API __attribute__((visibility("default")))

/* What the last call has returned. */
extern MAYFLY_TEMPLATE_API int mayfly_template_result;
extern MAYFLY_TEMPLATE_API const char* mayfly_template_text;

/* Makes the process a zygote (mayfly_zygote.h): takes MAYFLY_ZYGOTE_FD and MAYFLY_CLONE_LIB from
   the environment. Text: empty, or why it cannot be one. Then _next, the language's own fork, in
   the parent _forked: the fork returns in the child when that is the program, inside its sandbox,
   which sets its environment to that of _environment and goes on as if it had been started. */
MAYFLY_TEMPLATE_API const char* mayfly_template_zygote(void);

/* In a program that comes from a zygote. Text: its whole environment. */
MAYFLY_TEMPLATE_API const char* mayfly_template_environment(void);

/* Before the user's code is loaded. Takes MAYFLY_TEMPLATE_FD and MAYFLY_CLONE_LIB from the
   environment (the caller removes them there) and remembers what is open and which threads run.
   Text: empty, or why the process cannot be a template. */
MAYFLY_TEMPLATE_API const char* mayfly_template_open(void);

/* A thread that does not count, by its number in the kernel: one that has ended for the language,
   which keeps it for the next. */
MAYFLY_TEMPLATE_API void mayfly_template_known(int thread);

/* After initialisation. Waits 4 seconds at most for threads to end. Text: strings that begin with
   '!', why the process cannot be cloned, or with '-', a note for who deploys. */
MAYFLY_TEMPLATE_API const char* mayfly_template_look(void);

/* mayfly_clone_next, or mayfly_zygote_next, on the control socket. From the first call on SIGCHLD
   does nothing in the template; the clones have what was set before. 1: fork now; 0: exit. */
MAYFLY_TEMPLATE_API int mayfly_template_next(void);

/* In the parent after the fork: the clone's pid, or -errno. */
MAYFLY_TEMPLATE_API void mayfly_template_forked(int pid);
/* The same, the number taken from the environment variable MAYFLY_TEMPLATE_PID. */
MAYFLY_TEMPLATE_API void mayfly_template_forked_env(void);

/* In the child, before anything else: enters the sandbox, replaces the connections that
   mayfly_template_look has named by one that the other side has closed, and seeds each OpenSSL and
   SQLite in the process. Text: the order's environment, to be set over the template's. */
MAYFLY_TEMPLATE_API const char* mayfly_template_enter(void);

/* For Python, which does all else by itself: before the user's code is loaded; after initialisation
   (text: notes for who deploys); and in the child, where each OpenSSL and SQLite is seeded. */
MAYFLY_TEMPLATE_API void mayfly_template_know(void);
MAYFLY_TEMPLATE_API const char* mayfly_template_libraries(void);
MAYFLY_TEMPLATE_API void mayfly_template_renew(void);

/* Ends the process at once: no handler of the user's runs, no buffer is written. */
MAYFLY_TEMPLATE_API void mayfly_template_exit(void);

#endif

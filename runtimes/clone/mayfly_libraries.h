/* What C libraries in a template have to forget in its clones: the seeds of OpenSSL and SQLite,
   which notice a fork by the pid or not at all, and C's own generators, which are only looked at.
   For libmayfly_template and Node's addon. Main thread only; linux, ELF. */
#ifndef MAYFLY_LIBRARIES_H
#define MAYFLY_LIBRARIES_H

#ifdef __cplusplus
extern "C" {
#endif

/* Before the user's code is loaded: the libraries that are there are the interpreter's. */
void mayfly_libraries_know(void);

/* After initialisation: finds what renew() is to call. says is given a sentence for the person who
   deploys for each thing that all instances will have in common. interpreters_sqlite: the program
   of the interpreter has a SQLite in it, and initialisation has loaded what uses it. */
void mayfly_libraries_look(int interpreters_sqlite, void (*says)(void* to, const char* sentence),
                           void* to);

/* First thing in a clone. */
void mayfly_libraries_renew(void);

#ifdef __cplusplus
}
#endif

#endif

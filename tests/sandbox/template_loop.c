#include "template_loop.h"

#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mayfly_clone.h"
#include "mayfly_zygote.h"

enum { WORDS_MAX = 15, VARIABLES_MAX = 100 };

// The words of the order, ended by a null pointer; counts them.
static char** order_words(int* count) {
  static char* words[WORDS_MAX + 1];
  *count = 0;
  for (const char* at = mayfly_clone_environment(); *at != '\0'; at += strlen(at) + 1) {
    if (strncmp(at, "WORD=", 5) == 0 && *count < WORDS_MAX) words[(*count)++] = (char*)at + 5;
  }
  words[*count] = NULL;
  return words;
}

void come_from_zygote(void) {
  static char* list[VARIABLES_MAX + 1];
  if (getenv("MAYFLY_ZYGOTE_FD") == NULL) return;
  while (mayfly_zygote_next(4) == 1) {
    pid_t pid = fork();
    if (pid == 0) {
      mayfly_zygote_enter(0);
      int count = 0;
      const char* at = mayfly_zygote_environment();
      for (; *at != '\0' && count < VARIABLES_MAX; at += strlen(at) + 1) list[count++] = (char*)at;
      environ = list;
      return;
    }
    mayfly_zygote_forked(pid < 0 ? -errno : pid);
  }
  _exit(0);
}

char** take_words(int* count) {
  static char* words[WORDS_MAX + 1];
  char** kept = environ;
  *count = 0;
  for (char** at = environ; *at != NULL; ++at) {
    if (strncmp(*at, "WORD=", 5) != 0) {
      *kept++ = *at;
    } else if (*count < WORDS_MAX) {
      words[(*count)++] = *at + 5;
    }
  }
  *kept = NULL;
  return words;
}

void be_clone(int (*run)(int argc, char** argv)) {
  mayfly_clone_enter();
  int count;
  char** words = order_words(&count);
  int status = run(count, words);
  fflush(stdout);
  _exit(status);
}

int serve_orders(int (*run)(int argc, char** argv)) {
  if (write(3, "R", 1) != 1) return 1;
  while (mayfly_clone_next(4) == 1) {
    pid_t pid = fork();
    if (pid == 0) be_clone(run);
    mayfly_clone_forked(pid < 0 ? -errno : pid);
  }
  return 0;
}

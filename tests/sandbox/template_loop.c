#include "template_loop.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mayfly_clone.h"

enum { WORDS_MAX = 15 };

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

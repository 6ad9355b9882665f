// Attempts to get out of a sandbox. Each prints one word: the name of the errno that stopped it, or
// a word of its own; "ESCAPED ..." when nothing did.
#pragma once

struct attempt {
  const char* name;
  void (*run)(char** arguments);
};

void say(const char* word);
// The errno's name when status < 0, else "ESCAPED".
void told(long status);

extern const struct attempt kernel_attempts[];
extern const struct attempt network_attempts[];
extern const struct attempt resource_attempts[];

// Writes the monotonic time of its first instruction; the launch benchmark reads it.
#include "first_instruction.h"

int main(void) {
  return tell_time();
}

// Shared between the test and the spawner that it has preloaded with faults.c.
#pragma once

#include <stdint.h>

struct fault_page {
  int32_t countdown;  // the call that brings it to 0 fails; below 1: none does
  char name[28];      // of the call that failed
};

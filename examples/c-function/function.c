/* A function in C that speaks frames: no HTTP server, no polling; the library is one header. */
#include "mayfly_function.h"

static void greet(mayfly_call* call, void* data) {
  unsigned long* count = data;
  mayfly_text name = mayfly_header(call, "x-name");
  mayfly_text path = mayfly_request(call, "path");
  char text[300];
  if (name.data == NULL) {
    mayfly_set_status(call, 400);
    mayfly_reply(call, "Say who you are: curl -H 'x-name: Ada' ...\n", 43);
    return;
  }
  int size = snprintf(text, sizeof text, "Hello %.*s, call %lu of this instance, at %.*s\n",
                      name.size < 100 ? (int)name.size : 100, name.data, ++*count,
                      path.size < 100 ? (int)path.size : 100, path.data);
  mayfly_set_header(call, "content-type", "text/plain; charset=utf-8");
  mayfly_reply(call, text, (size_t)size);
}

int main(void) {
  unsigned long count = 0; /* what is here is made once for each instance */
  return mayfly_serve(MAYFLY_HTTP, 64, greet, &count);
}

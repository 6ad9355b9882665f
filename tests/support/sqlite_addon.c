// A package for Node with a SQLite of its own in it, for ids.py: what better-sqlite3 and sqlite3
// are, without the time that it takes to compile SQLite. draw() is [random(), hex(randomblob(16))];
// seed() gives C's rand() one.
//   cc -shared -fPIC -o own.node sqlite_addon.c libsqlite3.a
#include <sqlite3.h>
#include <stddef.h>
#include <stdlib.h>

typedef struct napi_env__* napi_env;
typedef struct napi_value__* napi_value;
typedef napi_value (*napi_callback)(napi_env, void*);
int napi_create_array(napi_env, napi_value*);
int napi_create_string_utf8(napi_env, const char*, size_t, napi_value*);
int napi_create_function(napi_env, const char*, size_t, napi_callback, void*, napi_value*);
int napi_set_element(napi_env, napi_value, unsigned, napi_value);
int napi_set_named_property(napi_env, napi_value, const char*, napi_value);
int napi_throw_error(napi_env, const char*, const char*);

static sqlite3* memory;

static napi_value draw(napi_env env, void* info) {
  (void)info;
  static const char kQuery[] = "select random(), hex(randomblob(16))";
  sqlite3_stmt* query = NULL;
  napi_value list = NULL;
  if ((memory == NULL && sqlite3_open(":memory:", &memory) != SQLITE_OK) ||
      sqlite3_prepare_v2(memory, kQuery, -1, &query, NULL) != SQLITE_OK ||
      sqlite3_step(query) != SQLITE_ROW) {
    napi_throw_error(env, NULL, sqlite3_errmsg(memory));
    return NULL;
  }
  napi_create_array(env, &list);
  for (int i = 0; i < 2; ++i) {
    napi_value text = NULL;
    napi_create_string_utf8(env, (const char*)sqlite3_column_text(query, i), (size_t)-1, &text);
    napi_set_element(env, list, (unsigned)i, text);
  }
  sqlite3_finalize(query);
  return list;
}

static napi_value seed(napi_env env, void* info) {
  (void)env;
  (void)info;
  srand(7);
  return NULL;
}

__attribute__((visibility("default"))) napi_value napi_register_module_v1(napi_env env,
                                                                          napi_value exports) {
  napi_value function = NULL;
  napi_create_function(env, "draw", (size_t)-1, draw, NULL, &function);
  napi_set_named_property(env, exports, "draw", function);
  napi_create_function(env, "seed", (size_t)-1, seed, NULL, &function);
  napi_set_named_property(env, exports, "seed", function);
  return exports;
}

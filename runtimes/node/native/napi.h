// The few declarations of Node-API (ABI-stable, version 3) and libuv that the addon uses, so that
// building it takes no headers of Node.
#pragma once

#include <cstddef>
#include <cstdint>

extern "C" {

struct napi_env__;
struct napi_value__;
struct napi_callback_info__;
struct uv_loop_s;
using napi_env = napi_env__*;
using napi_value = napi_value__*;
using napi_callback_info = napi_callback_info__*;
using napi_callback = napi_value (*)(napi_env, napi_callback_info);
using napi_status = int;           // 0: ok
using napi_typedarray_type = int;  // not looked at
constexpr size_t kAutoLength = SIZE_MAX;

napi_status napi_create_function(napi_env, const char* name, size_t length, napi_callback,
                                 void* data, napi_value* result);
napi_status napi_set_named_property(napi_env, napi_value object, const char* name, napi_value);
napi_status napi_get_cb_info(napi_env, napi_callback_info, size_t* argc, napi_value* argv,
                             napi_value* self, void** data);
napi_status napi_get_value_int32(napi_env, napi_value, int32_t* result);
napi_status napi_get_value_bool(napi_env, napi_value, bool* result);
napi_status napi_get_value_string_utf8(napi_env, napi_value, char* buffer, size_t size,
                                       size_t* result);
napi_status napi_get_array_length(napi_env, napi_value, uint32_t* result);
napi_status napi_get_element(napi_env, napi_value object, uint32_t index, napi_value* result);
napi_status napi_set_element(napi_env, napi_value object, uint32_t index, napi_value);
napi_status napi_get_typedarray_info(napi_env, napi_value, napi_typedarray_type*, size_t* length,
                                     void** data, napi_value* buffer, size_t* offset);
napi_status napi_create_array(napi_env, napi_value* result);
napi_status napi_create_object(napi_env, napi_value* result);
napi_status napi_create_int32(napi_env, int32_t, napi_value* result);
napi_status napi_create_string_utf8(napi_env, const char*, size_t length, napi_value* result);
napi_status napi_get_boolean(napi_env, bool, napi_value* result);
napi_status napi_get_null(napi_env, napi_value* result);
napi_status napi_get_undefined(napi_env, napi_value* result);
napi_status napi_throw_error(napi_env, const char* code, const char* message);
napi_status napi_get_uv_event_loop(napi_env, uv_loop_s** loop);

int uv_loop_fork(uv_loop_s* loop);
void uv_update_time(uv_loop_s* loop);
const char* uv_strerror(int error);

}  // extern "C"

/* SPDX-License-Identifier: Apache-2.0
 * ffi/xla_abi.h: the part of XLA's FFI C ABI that the handlers use, declared here.
 *
 * No XLA header is included, so that one binary serves every JAX: the structures below have
 * had the same layout from FFI 0.3 (JAX 0.9.1) to 0.5 (JAX 0.12), which the static asserts
 * write down, and XLA adds members at the end only. Sizes that we fill in are those of the
 * structures here; before a late slot of the function table is used, its size is tested.
 */
#ifndef MLAI_XLA_ABI_H
#define MLAI_XLA_ABI_H

#include <stddef.h>
#include <stdint.h>

typedef struct xla_error xla_error_t;     /* opaque; owned by whoever gets it */
typedef struct xla_context xla_context_t; /* opaque; one handler call */
typedef struct xla_future xla_future_t;   /* opaque; end of a call that has returned before */

/* absl::StatusCode */
enum {
    XLA_INVALID_ARGUMENT = 3,
    XLA_DEADLINE_EXCEEDED = 4,
    XLA_RESOURCE_EXHAUSTED = 8,
    XLA_ABORTED = 10,
    XLA_UNIMPLEMENTED = 12,
    XLA_INTERNAL = 13,
    XLA_UNAVAILABLE = 14
};
enum { XLA_INSTANTIATE = 0, XLA_PREPARE = 1, XLA_INITIALIZE = 2, XLA_EXECUTE = 3 };
enum { XLA_ATTR_ARRAY = 1, XLA_ATTR_SCALAR = 3 };
enum { XLA_EXTENSION_METADATA = 1 };
enum {
    XLA_S32 = 4,
    XLA_S64 = 5,
    XLA_U32 = 8,
    XLA_F32 = 11,
    XLA_F64 = 12,
    XLA_C64 = 15,
    XLA_C128 = 18
};

typedef struct xla_extension {
    size_t struct_size;
    int type;
    struct xla_extension *next;
} xla_extension_t;

typedef struct xla_version {
    size_t struct_size;
    xla_extension_t *extension;
    int major, minor;
} xla_version_t;

typedef struct xla_metadata {
    size_t struct_size;
    xla_version_t version;
    uint32_t traits;
    /* A type id follows in newer versions; never touched. */
} xla_metadata_t;

typedef struct xla_metadata_extension {
    xla_extension_t base;
    xla_metadata_t *metadata;
} xla_metadata_extension_t;

typedef struct xla_span {
    const char *ptr;
    size_t len;
} xla_span_t;

typedef struct xla_buffer {
    size_t struct_size;
    xla_extension_t *extension;
    int dtype;
    void *data;
    int64_t rank;
    int64_t *dims;
} xla_buffer_t;

typedef struct xla_buffers { /* operands, or results */
    size_t struct_size;
    xla_extension_t *extension;
    int64_t size;
    int *types;
    xla_buffer_t **items;
} xla_buffers_t;

typedef struct xla_scalar {
    int dtype;
    void *value;
} xla_scalar_t;

typedef struct xla_array {
    int dtype;
    size_t size;
    void *data;
} xla_array_t;

typedef struct xla_attrs {
    size_t struct_size;
    xla_extension_t *extension;
    int64_t size;
    int *types;
    xla_span_t **names;
    void **items;
} xla_attrs_t;

typedef struct xla_error_create_args {
    size_t struct_size;
    xla_extension_t *extension;
    const char *message;
    int code;
} xla_error_create_args_t;

typedef struct xla_error_destroy_args {
    size_t struct_size;
    xla_extension_t *extension;
    xla_error_t *error;
} xla_error_destroy_args_t;

typedef struct xla_type_id {
    int64_t id;
} xla_type_id_t;

typedef struct xla_type_info {
    size_t struct_size;
    xla_extension_t *extension;
    void (*deleter)(void *object);
} xla_type_info_t;

typedef struct xla_type_register_args {
    size_t struct_size;
    xla_extension_t *extension;
    xla_span_t name;
    xla_type_id_t *type_id; /* in: 0, out */
    const xla_type_info_t *type_info;
} xla_type_register_args_t;

typedef struct xla_state_args { /* State_Set and State_Get */
    size_t struct_size;
    xla_extension_t *extension;
    xla_context_t *ctx;
    int stage;
    xla_type_id_t *type_id;
    void *state; /* in for Set, out for Get */
} xla_state_args_t;

typedef struct xla_stream_args {
    size_t struct_size;
    xla_extension_t *extension;
    xla_context_t *ctx;
    void *stream; /* out */
} xla_stream_args_t;

typedef struct xla_allocate_args {
    size_t struct_size;
    xla_extension_t *extension;
    xla_context_t *ctx;
    size_t size;
    size_t alignment;
    void *data; /* out */
} xla_allocate_args_t;

typedef struct xla_free_args {
    size_t struct_size;
    xla_extension_t *extension;
    xla_context_t *ctx;
    size_t size;
    void *data;
} xla_free_args_t;

typedef struct xla_future_create_args {
    size_t struct_size;
    xla_extension_t *extension;
    xla_future_t *future; /* out */
} xla_future_create_args_t;

typedef struct xla_future_set_args {
    size_t struct_size;
    xla_extension_t *extension;
    xla_future_t *future;
} xla_future_set_args_t;

typedef struct xla_future_error_args {
    size_t struct_size;
    xla_extension_t *extension;
    xla_future_t *future;
    xla_error_t *error; /* given away */
} xla_future_error_args_t;

typedef struct xla_run_id_args {
    size_t struct_size;
    xla_extension_t *extension;
    xla_context_t *ctx;
    int64_t run_id; /* out */
} xla_run_id_args_t;

typedef struct xla_ordinal_args {
    size_t struct_size;
    xla_extension_t *extension;
    xla_context_t *ctx;
    int32_t ordinal; /* out */
} xla_ordinal_args_t;

typedef struct xla_api {
    size_t struct_size;
    xla_extension_t *extension;
    xla_version_t version;
    const void *internal_api;
    xla_error_t *(*error_create)(xla_error_create_args_t *);
    void *error_details; /* two meanings: never called */
    void (*error_destroy)(xla_error_destroy_args_t *);
    void *handler_register;
    xla_error_t *(*stream_get)(xla_stream_args_t *);
    xla_error_t *(*type_register)(xla_type_register_args_t *);
    void *context_get;
    xla_error_t *(*state_set)(xla_state_args_t *);
    xla_error_t *(*state_get)(xla_state_args_t *);
    xla_error_t *(*memory_allocate)(xla_allocate_args_t *);
    xla_error_t *(*memory_free)(xla_free_args_t *);
    void *thread_pool[2];
    xla_error_t *(*future_create)(xla_future_create_args_t *);
    xla_error_t *(*future_set)(xla_future_set_args_t *);
    xla_error_t *(*future_error)(xla_future_error_args_t *);
    xla_error_t *(*run_id_get)(xla_run_id_args_t *);
    xla_error_t *(*ordinal_get)(xla_ordinal_args_t *);
} xla_api_t;

typedef struct xla_frame { /* one handler call */
    size_t struct_size;
    xla_extension_t *extension;
    const xla_api_t *api;
    xla_context_t *ctx;
    int stage;
    xla_buffers_t args;
    xla_buffers_t rets;
    xla_attrs_t attrs;
    xla_future_t *future; /* out */
} xla_frame_t;

_Static_assert(sizeof(void *) == 8 && sizeof(int) == 4, "XLA's ABI is that of LP64");
_Static_assert(sizeof(xla_frame_t) == 176 && offsetof(xla_frame_t, future) == 168, "frame");
_Static_assert(sizeof(xla_buffer_t) == 48, "buffer");
_Static_assert(offsetof(xla_metadata_t, traits) == 32, "metadata");
_Static_assert(offsetof(xla_api_t, version) == 16, "api version");
_Static_assert(offsetof(xla_api_t, error_create) == 48, "Error_Create");
_Static_assert(offsetof(xla_api_t, stream_get) == 80, "Stream_Get");
_Static_assert(offsetof(xla_api_t, state_set) == 104, "State_Set");
_Static_assert(offsetof(xla_api_t, memory_allocate) == 120, "DeviceMemory_Allocate");
_Static_assert(offsetof(xla_api_t, memory_free) == 128, "DeviceMemory_Free");
_Static_assert(offsetof(xla_api_t, future_create) == 152, "Future_Create");
_Static_assert(offsetof(xla_api_t, run_id_get) == 176, "RunId_Get");
_Static_assert(offsetof(xla_api_t, ordinal_get) == 184, "DeviceOrdinal_Get");

#endif

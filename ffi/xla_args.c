/* SPDX-License-Identifier: Apache-2.0
 * ffi/xla_args.c: decoding with sentences. The Python side never sends what is refused here;
 * a program that calls the targets itself may. */
#include "xla_args.h"

#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

bool mlai_xla_fail(mlai_xla_status_t *st, int code, const char *fmt, ...)
{
    if (st->code) return false;
    st->code = code;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(st->message, sizeof st->message, fmt, ap);
    va_end(ap);
    return false;
}

static int64_t attr_find(const xla_attrs_t *attrs, const char *name)
{
    size_t len = strlen(name);
    for (int64_t i = 0; i < attrs->size; i++) {
        const xla_span_t *have = attrs->names[i];
        if (have->len == len && memcmp(have->ptr, name, len) == 0) return i;
    }
    return -1;
}

static bool attr_int(const xla_attrs_t *attrs, const char *routine, const char *name, int64_t low,
                     int64_t high, int64_t *value, mlai_xla_status_t *st)
{
    int64_t i = attr_find(attrs, name);
    if (i < 0)
        return mlai_xla_fail(st, XLA_INVALID_ARGUMENT, "%s: attribute '%s' is missing", routine,
                             name);
    const xla_scalar_t *scalar = attrs->items[i];
    if (attrs->types[i] != XLA_ATTR_SCALAR || scalar->dtype != XLA_S64)
        return mlai_xla_fail(st, XLA_INVALID_ARGUMENT,
                             "%s: attribute '%s' must be one 64-bit integer", routine, name);
    memcpy(value, scalar->value, sizeof *value);
    if (*value < low || *value > high)
        return mlai_xla_fail(st, XLA_INVALID_ARGUMENT,
                             "%s: attribute '%s' is %" PRId64 ", expected %" PRId64
                             " ... %" PRId64,
                             routine, name, *value, low, high);
    return true;
}

/* One that may be missing, then 0: the default of every enumeration. */
static bool attr_if(const xla_attrs_t *attrs, const char *routine, const char *name, int64_t high,
                    int64_t *value, mlai_xla_status_t *st)
{
    *value = 0;
    return attr_find(attrs, name) < 0 || attr_int(attrs, routine, name, 0, high, value, st);
}

/* (process, ordinal) of each rank of each group. */
static bool attr_table(const xla_attrs_t *attrs, const char *routine, mlai_xla_call_t *call,
                       mlai_xla_status_t *st)
{
    call->table = NULL;
    call->npairs = 0;
    int64_t i = attr_find(attrs, "table");
    if (i < 0) return true;
    const xla_array_t *array = attrs->items[i];
    size_t group = 2 * (size_t)call->nranks;
    if (attrs->types[i] != XLA_ATTR_ARRAY || array->dtype != XLA_S64 || group == 0 ||
        array->size == 0 || array->size % group != 0)
        return mlai_xla_fail(st, XLA_INVALID_ARGUMENT,
                             "%s: attribute 'table' must hold (process, ordinal) of each "
                             "rank of each group as 64-bit integers",
                             routine);
    call->table = array->data;
    call->npairs = array->size / 2;
    return true;
}

bool mlai_xla_decode_call(const xla_frame_t *frame, const char *routine, mlai_xla_call_t *call,
                          mlai_xla_status_t *st)
{
    const xla_attrs_t *attrs = &frame->attrs;
    int64_t order = 0, rhs = 0, ranks = 0, precision = 0, engine = 0, first = 0, op = 0;
    if (!attr_int(attrs, routine, "order", MLA_CYCLIC, MLA_NATURAL, &order, st) ||
        !attr_int(attrs, routine, "rhs", MLA_RHS_ROWS, MLA_RHS_REPLICATED, &rhs, st) ||
        !attr_if(attrs, routine, "precision", MLA_PRECISION_LOW, &precision, st) ||
        !attr_if(attrs, routine, "engine", MLA_ENGINE_CUSOLVERMG, &engine, st) ||
        !attr_if(attrs, routine, "first", INT64_MAX, &first, st) ||
        !attr_if(attrs, routine, "op", MLA_C, &op, st) ||
        !attr_int(attrs, routine, "ranks", 1, INT_MAX, &ranks, st) ||
        !attr_int(attrs, routine, "n", 0, INT64_MAX, &call->n, st) ||
        !attr_int(attrs, routine, "nb", 0, INT64_MAX, &call->nb, st) ||
        !attr_int(attrs, routine, "call", INT64_MIN, INT64_MAX, &call->call, st) ||
        !attr_int(attrs, routine, "group", INT64_MIN, INT64_MAX, &call->group, st))
        return false;
    call->order = (mla_order_t)order;
    call->rhs = (mla_rhs_t)rhs;
    call->engine = (mla_engine_t)engine;
    call->op = (mla_op_t)op;
    call->precision = (mla_precision_t)precision;
    call->first = first;
    call->nranks = (int)ranks;
    return attr_table(attrs, routine, call, st);
}

bool mlai_xla_expect_counts(const xla_frame_t *frame, const char *routine, int64_t nargs,
                            int64_t nrets, mlai_xla_status_t *st)
{
    if (frame->args.size == nargs && frame->rets.size == nrets) return true;
    return mlai_xla_fail(st, XLA_INVALID_ARGUMENT,
                         "%s: %" PRId64 " operands and %" PRId64 " results, expected %" PRId64
                         " and %" PRId64,
                         routine, frame->args.size, frame->rets.size, nargs, nrets);
}

int mlai_xla_real(int dtype)
{
    return dtype == XLA_C64 ? XLA_F32 : dtype == XLA_C128 ? XLA_F64 : dtype;
}

bool mlai_xla_matrix(const xla_buffer_t *a, const char *routine, const mlai_xla_call_t *call,
                     mla_desc_t *desc, mlai_xla_status_t *st)
{
    mla_dtype_t dtype = MLA_FLOAT32;
    switch (a->dtype) {
    case XLA_F32: dtype = MLA_FLOAT32; break;
    case XLA_F64: dtype = MLA_FLOAT64; break;
    case XLA_C64: dtype = MLA_COMPLEX64; break;
    case XLA_C128: dtype = MLA_COMPLEX128; break;
    default:
        return mlai_xla_fail(st, XLA_INVALID_ARGUMENT,
                             "%s: the matrix has XLA type %d, expected float32, float64, "
                             "complex64 or complex128",
                             routine, a->dtype);
    }
    if (a->rank != 2)
        return mlai_xla_fail(st, XLA_INVALID_ARGUMENT,
                             "%s: the matrix has %" PRId64 " dimensions, expected 2", routine,
                             a->rank);
    int64_t lc = a->dims[0], ld = a->dims[1];
    if (ld < call->n || ld < 1 || (lc < 1 && call->n > 0) ||
        (lc > 0 && (call->n + lc - 1) / lc > call->nranks))
        return mlai_xla_fail(st, XLA_INVALID_ARGUMENT,
                             "%s: a shard of %" PRId64 " rows and %" PRId64
                             " columns on %d ranks does not hold a matrix of order %" PRId64,
                             routine, lc, ld, call->nranks, call->n);
    *desc = (mla_desc_t)MLA_DESC_INIT(dtype, call->n);
    desc->order = call->order;
    desc->lc = lc;
    desc->ld = ld;
    desc->nb = call->nb;
    desc->precision = call->precision;
    return true;
}

bool mlai_xla_shape2(const xla_buffer_t *b, const char *routine, const char *name, int dtype,
                     int64_t rows, int64_t cols, mlai_xla_status_t *st)
{
    if (b->dtype == dtype && b->rank == 2 && b->dims[0] == rows &&
        (cols < 0 || b->dims[1] == cols))
        return true;
    return mlai_xla_fail(st, XLA_INVALID_ARGUMENT,
                         "%s: '%s' must have XLA type %d, two dimensions and %" PRId64 " rows",
                         routine, name, dtype, rows);
}

bool mlai_xla_shape1(const xla_buffer_t *b, const char *routine, const char *name, int dtype,
                     int64_t len, mlai_xla_status_t *st)
{
    if (b->dtype == dtype && b->rank == 1 && b->dims[0] >= len) return true;
    return mlai_xla_fail(st, XLA_INVALID_ARGUMENT,
                         "%s: '%s' must be a vector of XLA type %d with %" PRId64 " elements",
                         routine, name, dtype, len);
}

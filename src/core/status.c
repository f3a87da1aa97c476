/* SPDX-License-Identifier: Apache-2.0
 * src/core/status.c: names, texts and sentences of errors. */
#include "core/status.h"

#include <stdarg.h>
#include <stdio.h>

static const struct {
    mla_status_t status;
    const char *name, *text;
} status_table[] = {
#define XX(name, value, text) {MLA_##name, "MLA_" #name, text},
    MLA_STATUS_LIST(XX)
#undef XX
};

enum { STATUS_COUNT = sizeof status_table / sizeof status_table[0] };

const char *mla_status_name(mla_status_t status)
{
    for (int i = 0; i < STATUS_COUNT; i++)
        if (status_table[i].status == status) return status_table[i].name;
    return "unknown status";
}

const char *mla_status_text(mla_status_t status)
{
    for (int i = 0; i < STATUS_COUNT; i++)
        if (status_table[i].status == status) return status_table[i].text;
    return "unknown status";
}

int mla_version(void)
{
    return 10000 * MLA_VERSION_MAJOR + 100 * MLA_VERSION_MINOR + MLA_VERSION_PATCH;
}

mla_status_t mlai_fail(mlai_error_t *err, mla_status_t status, const char *fmt, ...)
{
    if (err && err->status == MLA_OK) {
        va_list args;
        va_start(args, fmt);
        vsnprintf(err->message, sizeof err->message, fmt, args);
        va_end(args);
        err->status = status;
    }
    return status;
}

mlai_error_t *mlai_thread_error(void)
{
    static _Thread_local mlai_error_t error;
    return &error;
}

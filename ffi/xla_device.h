/* SPDX-License-Identifier: Apache-2.0
 * ffi/xla_device.h: the two copies that a handler makes itself, on the stream that XLA gave. XLA
 * has made the device's context current. */
#ifndef MLAI_XLA_DEVICE_H
#define MLAI_XLA_DEVICE_H

#include "xla_args.h"

/* Device memory to the host, after the work in `stream`; waits. For a program that was traced
 * without knowing its devices, whose rank is in its operands. */
bool mlai_xla_read_device(void *stream, void *host, const void *device, size_t bytes,
                          mlai_xla_status_t *st);

/* to := from, where XLA did not give an operand and the result aliased to it the same memory: it
 * may take a slice of a larger array for the operand. On a GPU in the order of `stream`. */
bool mlai_xla_copy(mla_device_t device, void *stream, const xla_buffer_t *from,
                   const xla_buffer_t *to, mlai_xla_status_t *st);

#endif

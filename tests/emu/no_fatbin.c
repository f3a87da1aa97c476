/* SPDX-License-Identifier: Apache-2.0
 * tests/emu/no_fatbin.c: stands for the embedded kernels; the fake driver has kernels of its own.
 */
extern const unsigned char mlai_kernels_begin[1], mlai_kernels_end[1];
const unsigned char mlai_kernels_begin[1] = {1};
const unsigned char mlai_kernels_end[1] = {0};

/* SPDX-License-Identifier: Apache-2.0
 * src/backend/cuda/kernels/sum_tmpl.cuh: sum_blocks of move.cu for reals T (real_types.cuh). */
#define WIDE ((int)(16 / sizeof(T)))

typedef union NAME(mlai_word) {
    T element[WIDE];
    uint4 word;
} NAME(mlai_word_t);

extern "C" __global__ void KERNEL(sum_blocks)(const mlai_sum_blocks_args_t a)
{
    int wide = a.wide ? WIDE : 1;
    for (int64_t j = FIRST_COLUMN; j < a.n; j += STEP_COLUMNS)
        for (int64_t w = FIRST_ROW; w * wide < a.m; w += STEP_ROWS)
#pragma unroll
            for (int u = 0; u < MOVE_UNROLL; u++) {
                int64_t i = (w + (int64_t)u * blockDim.x) * wide;
                const T *from = (const T *)a.in + i + j * a.ldin;
                T *to = (T *)a.out + i + j * a.ldout;
                if (wide > 1 && i + wide <= a.m) {
                    NAME(mlai_word_t) sum, term;
                    for (int r = 0; r < WIDE; r++) sum.element[r] = 0;
#pragma unroll 4
                    for (int b = 0; b < a.nblk; b++) {
                        term.word = *(const uint4 *)(from + b * a.stride);
                        for (int r = 0; r < WIDE; r++) sum.element[r] += term.element[r];
                    }
                    *(uint4 *)to = sum.word;
                    continue;
                }
                for (int64_t r = 0; r < wide && i + r < a.m; r++) {
                    T sum = 0;
                    for (int b = 0; b < a.nblk; b++) sum += from[r + b * a.stride];
                    to[r] = sum;
                }
            }
}

#undef WIDE

/* SPDX-License-Identifier: Apache-2.0
 * src/backend/cuda/kernel_list.h: the kernels, by name. A new kernel is a line here, a struct in
 * kernels/kernel_args.h and a definition in a .cu file of kernels/:
 *
 *     X4(name)   mlai_name_s, _d, _c, _z      number MLAI_K_name + dtype
 *     X2(name)   mlai_name_s, _d              number MLAI_K_name + real dtype
 *     X1(name)   mlai_name                    number MLAI_K_name */
#ifndef MLAI_KERNEL_LIST_H
// clang-format off
#define MLAI_KERNEL_LIST(X4, X2, X1) \
    /* move.cu */                    \
    X4(lacpy)                        \
    X4(fill)                         \
    X4(transpose)                    \
    X4(permute)                      \
    X2(sum_blocks)                   \
    X4(log_diag)                     \
    X4(potrf_info)                   \
    /* trtri.cu */                   \
    X4(trtri_leaf)                   \
    /* split.cu */                   \
    X1(split)                        \
    /* geqrt.cu */                   \
    X4(geqrt_gram)                   \
    X4(geqrt_first)                  \
    X4(geqrt_second)                 \
    X4(geqrt_apply)                  \
    X4(geqrt_finish)                 \
    /* lu.cu */                      \
    X4(pivot_list)                   \
    X4(laswp_take)                   \
    X4(laswp_put)                    \
    X4(take_cols)                    \
    X4(put_cols)                     \
    X4(lu_det)                       \
    /* qr.cu */                      \
    X4(unhr)                         \
    X4(geqr2)                        \
    /* dc.cu */                      \
    X2(dc_leaves)                    \
    X2(dc_border)                    \
    X2(dc_rotate)                    \
    X2(dc_gather)                    \
    X1(dc_secular)                   \
    X1(dc_origin)                    \
    X1(dc_zhat)                      \
    X2(dc_vectors)                   \
    X2(dc_product)                   \
    X1(dc_rows)                      \
    X2(dc_restore)                   \
    /* trd.cu */                     \
    X1(hetrd_units)                  \
    X4(hetrd_column)                 \
    X4(hetrd_product)                \
    X4(hetrd_gather)                 \
    X4(larft_diag)                   \
    X2(norm_max)                     \
    X2(lascl)                        \
    X2(lacpy_real)                   \
    /* chase.cu */                   \
    X4(chase_sweeps32)               \
    X4(chase_sweeps64)               \
    X4(chase_tridiagonal)            \
    X4(chase_expand)                 \
    X4(chase_back32)                 \
    X4(chase_back64)
// clang-format on

enum {
#define X4(name) MLAI_K_##name, MLAI_K_##name##_d, MLAI_K_##name##_c, MLAI_K_##name##_z,
#define X2(name) MLAI_K_##name, MLAI_K_##name##_d,
#define X1(name) MLAI_K_##name,
    MLAI_KERNEL_LIST(X4, X2, X1)
#undef X4
#undef X2
#undef X1
        MLAI_KERNELS
};

#endif

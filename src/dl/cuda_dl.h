/* SPDX-License-Identifier: Apache-2.0
 * src/dl/cuda_dl.h: the CUDA driver, cuBLAS, cuSOLVER, cuSOLVERMg and NCCL, opened at run time.
 *
 * A table a library, filled when it is first asked for; it stays for the life of the process.
 * The order of finding is that of mla_cuda_setup in the public header: the copy that the process
 * uses already, the folders given, the loader's own search. All functions may be called from any
 * thread. What is missing is said when it is needed and not before.
 *
 *     const mlai_cu_t *cu;
 *     MLAI_TRY(mlai_cu_load(&cu, err));
 *     MLAI_CU_SCOPE(cu, err, ordinal, context);
 *     MLAI_TRY(MLAI_CU(cu, err, ordinal, cuEventRecord, event, stream)); */
#ifndef MLAI_CUDA_DL_H
#define MLAI_CUDA_DL_H

#include "core/status.h"
#include "dl/cuda_api.h"
#include "dl/cuda_types.h"

#define MLAI_DL_SLOT(result, name, parameters) result(*name) parameters;
typedef struct mlai_cu {
    MLAI_CU_LIST(MLAI_DL_SLOT, MLAI_DL_SLOT)
} mlai_cu_t;
typedef struct mlai_cublas {
    MLAI_CUBLAS_LIST(MLAI_DL_SLOT, MLAI_DL_SLOT)
} mlai_cublas_t;
typedef struct mlai_cusolver {
    MLAI_CUSOLVER_LIST(MLAI_DL_SLOT, MLAI_DL_SLOT)
} mlai_cusolver_t;
typedef struct mlai_cusolvermg {
    MLAI_CUSOLVERMG_LIST(MLAI_DL_SLOT, MLAI_DL_SLOT)
} mlai_cusolvermg_t;
typedef struct mlai_nccl {
    MLAI_NCCL_LIST(MLAI_DL_SLOT, MLAI_DL_SLOT)
} mlai_nccl_t;

#define MLAI_DL_VALUE(name, value) name = (value),
enum {
    MLAI_CU_VALUES(MLAI_DL_VALUE) MLAI_CUBLAS_VALUES(MLAI_DL_VALUE)
        MLAI_CUSOLVER_VALUES(MLAI_DL_VALUE) MLAI_CUSOLVERMG_VALUES(MLAI_DL_VALUE)
            MLAI_NCCL_VALUES(MLAI_DL_VALUE)
};

/* MLA_UNSUPPORTED and a sentence when the library is not there, is older than CUDA 12.1, or
 * (driver) when there is no GPU. */
mla_status_t mlai_cu_load(const mlai_cu_t **cu, mlai_error_t *err);
mla_status_t mlai_cublas_load(const mlai_cublas_t **cublas, mlai_error_t *err);
mla_status_t mlai_cusolver_load(const mlai_cusolver_t **cusolver, mlai_error_t *err);
mla_status_t mlai_cusolvermg_load(const mlai_cusolvermg_t **cusolvermg, mlai_error_t *err);
mla_status_t mlai_nccl_load(const mlai_nccl_t **nccl, mlai_error_t *err);

/* For libraries without a table here: a handle of dlopen, found in the same way. `soname` is the
 * name under CUDA 12 and under CUDA 13; `what` names the library in sentences. */
mla_status_t mlai_cuda_open(const char *what, const char *const soname[2], void **handle,
                            mlai_error_t *err);

/* ---- checked calls: expressions of type mla_status_t -------------------------------------- */

/* The sentence names the function, the library's own text and the device (none if < 0). Out of
 * memory is MLA_NOMEM, all else MLA_BACKEND. */
mla_status_t mlai_cu_check(const mlai_cu_t *cu, mlai_error_t *err, int device, const char *name,
                           CUresult result);
mla_status_t mlai_cublas_check(const mlai_cublas_t *cublas, mlai_error_t *err, int device,
                               const char *name, cublasStatus_t result);
mla_status_t mlai_cusolver_check(mlai_error_t *err, int device, const char *name,
                                 cusolverStatus_t result);
/* `comm` is asked for the reason; may be NULL. Always MLA_COMM. */
mla_status_t mlai_nccl_check(const mlai_nccl_t *nccl, mlai_error_t *err, int device,
                             ncclComm_t comm, const char *name, ncclResult_t result);

#define MLAI_CU(cu, err, device, name, ...) \
    mlai_cu_check(cu, err, device, #name, (cu)->name(__VA_ARGS__))
#define MLAI_CUBLAS(lib, err, device, name, ...) \
    mlai_cublas_check(lib, err, device, #name, (lib)->name(__VA_ARGS__))
#define MLAI_CUSOLVER(lib, err, device, name, ...) \
    mlai_cusolver_check(err, device, #name, (lib)->name(__VA_ARGS__))

/* ---- current context ------------------------------------------------------------------------
 */

/* `context` is current from here to the end of the block; the thread's own comes back then. */
typedef struct mlai_cu_scope {
    const mlai_cu_t *cu; /* NULL: nothing to undo */
    mla_status_t status;
} mlai_cu_scope_t;
mlai_cu_scope_t mlai_cu_enter(const mlai_cu_t *cu, mlai_error_t *err, int device,
                              CUcontext context);
void mlai_cu_leave(mlai_cu_scope_t *scope);

#define MLAI_CU_SCOPE(cu, err, device, context)                           \
    mlai_cu_scope_t mlai_scope_ __attribute__((cleanup(mlai_cu_leave))) = \
        mlai_cu_enter(cu, err, device, context);                          \
    MLAI_TRY(mlai_scope_.status)

#endif

/* SPDX-License-Identifier: Apache-2.0
 * src/dl/cuda_api.h: what the library takes from CUDA, as lists.
 *
 *     MLAI_..._LIST(XX, OPT)    XX(result, name, (parameters)): must be there;
 *                               OPT(...): may be absent, its pointer is then NULL
 *     MLAI_..._VALUES(VAL)      VAL(name, value): values of enums and flags
 *     MLAI_CU_LAYOUT(SIZE, OFFSET)   SIZE(type, bytes), OFFSET(type, member, bytes)
 *
 * Names are those of the symbols (cuMemAlloc_v2, cublasDtrsm_v2_64). All of it is in CUDA 12.1
 * and later and in CUDA 13, with equal signatures. The file includes nothing: include
 * cuda_types.h before it, or CUDA's headers to compare with. */
#ifndef MLAI_CUDA_API_H
#define MLAI_CUDA_API_H

// clang-format off

#define MLAI_CU_LIST(XX, OPT)                                                                    \
    /* start, errors, devices */                                                                 \
    XX(CUresult, cuInit, (unsigned int flags))                                                   \
    XX(CUresult, cuDriverGetVersion, (int *version))                                             \
    XX(CUresult, cuGetErrorName, (CUresult error, const char **text))                            \
    XX(CUresult, cuGetErrorString, (CUresult error, const char **text))                          \
    XX(CUresult, cuDeviceGetCount, (int *count))                                                 \
    XX(CUresult, cuDeviceGet, (CUdevice *device, int ordinal))                                   \
    XX(CUresult, cuDeviceGetAttribute, (int *value, CUdevice_attribute what, CUdevice device))   \
    XX(CUresult, cuDeviceGetName, (char *name, int size, CUdevice device))                       \
    XX(CUresult, cuDeviceTotalMem_v2, (size_t *bytes, CUdevice device))                          \
    XX(CUresult, cuDeviceGetUuid_v2, (CUuuid *uuid, CUdevice device))                            \
    XX(CUresult, cuDeviceCanAccessPeer, (int *can, CUdevice device, CUdevice peer))              \
    /* contexts */                                                                               \
    XX(CUresult, cuDevicePrimaryCtxRetain, (CUcontext *context, CUdevice device))                \
    XX(CUresult, cuDevicePrimaryCtxRelease_v2, (CUdevice device))                                \
    XX(CUresult, cuCtxGetCurrent, (CUcontext *context))                                          \
    XX(CUresult, cuCtxSynchronize, (void))                                                       \
    XX(CUresult, cuCtxPushCurrent_v2, (CUcontext context))                                       \
    XX(CUresult, cuCtxPopCurrent_v2, (CUcontext *context))                                       \
    XX(CUresult, cuCtxEnablePeerAccess, (CUcontext peer, unsigned int flags))                    \
    XX(CUresult, cuCtxGetStreamPriorityRange, (int *least, int *greatest))                       \
    /* memory */                                                                                 \
    XX(CUresult, cuMemGetInfo_v2, (size_t *available, size_t *total))                            \
    XX(CUresult, cuMemAlloc_v2, (CUdeviceptr *ptr, size_t bytes))                                \
    XX(CUresult, cuMemFree_v2, (CUdeviceptr ptr))                                                \
    XX(CUresult, cuMemAllocHost_v2, (void **ptr, size_t bytes))                                  \
    XX(CUresult, cuMemFreeHost, (void *ptr))                                                     \
    XX(CUresult, cuMemPoolCreate, (CUmemoryPool *pool, const CUmemPoolProps *props))             \
    XX(CUresult, cuMemPoolDestroy, (CUmemoryPool pool))                                          \
    XX(CUresult, cuMemPoolSetAttribute,                                                          \
       (CUmemoryPool pool, CUmemPool_attribute what, void *value))                               \
    XX(CUresult, cuMemPoolSetAccess,                                                             \
       (CUmemoryPool pool, const CUmemAccessDesc *access, size_t count))                         \
    XX(CUresult, cuMemAllocFromPoolAsync,                                                        \
       (CUdeviceptr *ptr, size_t bytes, CUmemoryPool pool, CUstream stream))                     \
    XX(CUresult, cuMemAllocAsync, (CUdeviceptr *ptr, size_t bytes, CUstream stream))             \
    XX(CUresult, cuMemFreeAsync, (CUdeviceptr ptr, CUstream stream))                             \
    XX(CUresult, cuMemGetAddressRange_v2, (CUdeviceptr *base, size_t *bytes, CUdeviceptr ptr))   \
    XX(CUresult, cuPointerGetAttribute,                                                          \
       (void *value, CUpointer_attribute what, CUdeviceptr ptr))                                 \
    XX(CUresult, cuMemcpyAsync,                                                                  \
       (CUdeviceptr dst, CUdeviceptr src, size_t bytes, CUstream stream))                        \
    XX(CUresult, cuMemcpyDtoDAsync_v2,                                                           \
       (CUdeviceptr dst, CUdeviceptr src, size_t bytes, CUstream stream))                        \
    XX(CUresult, cuMemcpyDtoHAsync_v2,                                                           \
       (void *dst, CUdeviceptr src, size_t bytes, CUstream stream))                              \
    XX(CUresult, cuMemcpyHtoDAsync_v2,                                                           \
       (CUdeviceptr dst, const void *src, size_t bytes, CUstream stream))                        \
    XX(CUresult, cuMemcpyPeerAsync,                                                              \
       (CUdeviceptr dst, CUcontext dst_context, CUdeviceptr src, CUcontext src_context,          \
        size_t bytes, CUstream stream))                                                          \
    XX(CUresult, cuMemsetD8Async,                                                                \
       (CUdeviceptr dst, unsigned char value, size_t bytes, CUstream stream))                    \
    /* streams and events */                                                                     \
    XX(CUresult, cuStreamCreateWithPriority,                                                     \
       (CUstream *stream, unsigned int flags, int priority))                                     \
    XX(CUresult, cuStreamDestroy_v2, (CUstream stream))                                          \
    XX(CUresult, cuStreamSynchronize, (CUstream stream))                                         \
    XX(CUresult, cuStreamQuery, (CUstream stream))                                               \
    XX(CUresult, cuStreamWaitEvent, (CUstream stream, CUevent event, unsigned int flags))        \
    XX(CUresult, cuEventCreate, (CUevent *event, unsigned int flags))                            \
    XX(CUresult, cuEventDestroy_v2, (CUevent event))                                             \
    XX(CUresult, cuEventRecord, (CUevent event, CUstream stream))                                \
    XX(CUresult, cuEventQuery, (CUevent event))                                                  \
    XX(CUresult, cuEventSynchronize, (CUevent event))                                            \
    XX(CUresult, cuLaunchHostFunc, (CUstream stream, CUhostFn fn, void *user))                   \
    /* memory and events of other processes */                                                   \
    XX(CUresult, cuIpcGetMemHandle, (CUipcMemHandle *handle, CUdeviceptr ptr))                   \
    XX(CUresult, cuIpcOpenMemHandle_v2,                                                          \
       (CUdeviceptr *ptr, CUipcMemHandle handle, unsigned int flags))                            \
    XX(CUresult, cuIpcCloseMemHandle, (CUdeviceptr ptr))                                         \
    XX(CUresult, cuIpcGetEventHandle, (CUipcEventHandle *handle, CUevent event))                 \
    XX(CUresult, cuIpcOpenEventHandle, (CUevent *event, CUipcEventHandle handle))                \
    /* kernels */                                                                                \
    XX(CUresult, cuLibraryLoadData,                                                              \
       (CUlibrary *library, const void *code, CUjit_option *jit_option, void **jit_value,        \
        unsigned int jit_count, CUlibraryOption *option, void **value, unsigned int count))      \
    XX(CUresult, cuLibraryUnload, (CUlibrary library))                                           \
    XX(CUresult, cuLibraryGetKernel, (CUkernel *kernel, CUlibrary library, const char *name))    \
    XX(CUresult, cuKernelGetFunction, (CUfunction *function, CUkernel kernel))                   \
    XX(CUresult, cuKernelSetAttribute,                                                           \
       (CUfunction_attribute what, int value, CUkernel kernel, CUdevice device))                 \
    XX(CUresult, cuOccupancyMaxActiveBlocksPerMultiprocessor,                                    \
       (int *blocks, CUfunction function, int threads, size_t shared))                           \
    XX(CUresult, cuLaunchKernel,                                                                 \
       (CUfunction function, unsigned int grid_x, unsigned int grid_y, unsigned int grid_z,      \
        unsigned int block_x, unsigned int block_y, unsigned int block_z, unsigned int shared,   \
        CUstream stream, void **parameters, void **extra))

#define MLAI_CU_VALUES(VAL)                                                                      \
    VAL(CUDA_SUCCESS, 0)                                                                         \
    VAL(CUDA_ERROR_OUT_OF_MEMORY, 2)                                                             \
    VAL(CUDA_ERROR_NO_DEVICE, 100)                                                               \
    VAL(CUDA_ERROR_NO_BINARY_FOR_GPU, 209)                                                       \
    VAL(CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED, 704)                                             \
    VAL(CUDA_ERROR_NOT_READY, 600)                                                               \
    VAL(CU_STREAM_NON_BLOCKING, 1)                                                               \
    VAL(CU_EVENT_DISABLE_TIMING, 2)                                                              \
    VAL(CU_EVENT_INTERPROCESS, 4)                                                                \
    VAL(CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS, 1)                                                   \
    VAL(CU_MEM_ALLOCATION_TYPE_PINNED, 1)                                                        \
    VAL(CU_MEM_LOCATION_TYPE_DEVICE, 1)                                                          \
    VAL(CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, 4)                                                    \
    VAL(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, 16)                                            \
    VAL(CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE, 38)                                                   \
    VAL(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, 75)                                        \
    VAL(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, 76)                                        \
    VAL(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, 97)                               \
    VAL(CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED, 115)                                         \
    VAL(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 8)                                      \
    VAL(CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, 9)                                                  \
    VAL(CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE, 17)                                                 \
    VAL(CU_MEM_ACCESS_FLAGS_PROT_READWRITE, 3)

#define MLAI_CU_LAYOUT(SIZE, OFFSET)                                                             \
    SIZE(CUuuid, 16)                                                                             \
    SIZE(CUipcMemHandle, 64)                                                                     \
    SIZE(CUipcEventHandle, 64)                                                                   \
    SIZE(CUmemPoolProps, 88)                                                                     \
    OFFSET(CUmemPoolProps, allocType, 0)                                                         \
    OFFSET(CUmemPoolProps, handleTypes, 4)                                                       \
    OFFSET(CUmemPoolProps, location, 8)                                                          \
    OFFSET(CUmemPoolProps, win32SecurityAttributes, 16)                                          \
    SIZE(CUmemLocation, 8)                                                                       \
    OFFSET(CUmemLocation, id, 4)                                                                 \
    SIZE(CUmemAccessDesc, 12)                                                                    \
    OFFSET(CUmemAccessDesc, flags, 8)

#define MLAI_CUBLAS_LIST(XX, OPT)                                                                \
    XX(cublasStatus_t, cublasCreate_v2, (cublasHandle_t *handle))                                \
    XX(cublasStatus_t, cublasDestroy_v2, (cublasHandle_t handle))                                \
    XX(cublasStatus_t, cublasSetStream_v2, (cublasHandle_t handle, cudaStream_t stream))         \
    XX(const char *, cublasGetStatusString, (cublasStatus_t status))                             \
    XX(cublasStatus_t, cublasGetProperty, (libraryPropertyType what, int *value))                \
    XX(cublasStatus_t, cublasGemmEx_64,                                                          \
       (cublasHandle_t handle, cublasOperation_t opa, cublasOperation_t opb, int64_t m,          \
        int64_t n, int64_t k, const void *alpha, const void *a, cudaDataType atype, int64_t lda, \
        const void *b, cudaDataType btype, int64_t ldb, const void *beta, void *c,               \
        cudaDataType ctype, int64_t ldc, cublasComputeType_t compute, cublasGemmAlgo_t algo))    \
    XX(cublasStatus_t, cublasGemmStridedBatchedEx_64,                                            \
       (cublasHandle_t handle, cublasOperation_t opa, cublasOperation_t opb, int64_t m,          \
        int64_t n, int64_t k, const void *alpha, const void *a, cudaDataType atype, int64_t lda, \
        long long int stridea, const void *b, cudaDataType btype, int64_t ldb,                   \
        long long int strideb, const void *beta, void *c, cudaDataType ctype, int64_t ldc,       \
        long long int stridec, int64_t count, cublasComputeType_t compute,                       \
        cublasGemmAlgo_t algo))                                                                  \
    MLAI_CUBLAS_RANK_K(XX, cublasSsyrk_v2_64, float, float)                                      \
    MLAI_CUBLAS_RANK_K(XX, cublasDsyrk_v2_64, double, double)                                    \
    MLAI_CUBLAS_RANK_K(XX, cublasCherk_v2_64, float, cuComplex)                                  \
    MLAI_CUBLAS_RANK_K(XX, cublasZherk_v2_64, double, cuDoubleComplex)                           \
    MLAI_CUBLAS_TRSM(XX, cublasStrsm_v2_64, float)                                               \
    MLAI_CUBLAS_TRSM(XX, cublasDtrsm_v2_64, double)                                              \
    MLAI_CUBLAS_TRSM(XX, cublasCtrsm_v2_64, cuComplex)                                           \
    MLAI_CUBLAS_TRSM(XX, cublasZtrsm_v2_64, cuDoubleComplex)

#define MLAI_CUBLAS_RANK_K(XX, name, real, type)                                                 \
    XX(cublasStatus_t, name,                                                                     \
       (cublasHandle_t handle, cublasFillMode_t uplo, cublasOperation_t op, int64_t n,           \
        int64_t k, const real *alpha, const type *a, int64_t lda, const real *beta, type *c,     \
        int64_t ldc))

#define MLAI_CUBLAS_TRSM(XX, name, type)                                                         \
    XX(cublasStatus_t, name,                                                                     \
       (cublasHandle_t handle, cublasSideMode_t side, cublasFillMode_t uplo,                     \
        cublasOperation_t op, cublasDiagType_t diag, int64_t m, int64_t n, const type *alpha,    \
        const type *a, int64_t lda, type *b, int64_t ldb))

#define MLAI_CUBLAS_VALUES(VAL)                                                                  \
    VAL(CUBLAS_STATUS_SUCCESS, 0)                                                                \
    VAL(CUBLAS_STATUS_ALLOC_FAILED, 3)                                                           \
    VAL(MAJOR_VERSION, 0)                                                                        \
    VAL(MINOR_VERSION, 1)                                                                        \
    VAL(PATCH_LEVEL, 2)                                                                          \
    VAL(CUBLAS_OP_N, 0)                                                                          \
    VAL(CUBLAS_OP_T, 1)                                                                          \
    VAL(CUBLAS_OP_C, 2)                                                                          \
    VAL(CUBLAS_FILL_MODE_LOWER, 0)                                                               \
    VAL(CUBLAS_FILL_MODE_UPPER, 1)                                                               \
    VAL(CUBLAS_SIDE_LEFT, 0)                                                                     \
    VAL(CUBLAS_SIDE_RIGHT, 1)                                                                    \
    VAL(CUBLAS_DIAG_NON_UNIT, 0)                                                                 \
    VAL(CUBLAS_DIAG_UNIT, 1)                                                                     \
    VAL(CUBLAS_COMPUTE_32F, 68)                                                                  \
    VAL(CUBLAS_COMPUTE_64F, 70)                                                                  \
    VAL(CUBLAS_GEMM_DEFAULT, -1)                                                                 \
    VAL(CUDA_R_32F, 0)                                                                           \
    VAL(CUDA_R_16BF, 14)                                                                         \
    VAL(CUDA_R_64F, 1)                                                                           \
    VAL(CUDA_C_32F, 4)                                                                           \
    VAL(CUDA_C_64F, 5)

#define MLAI_CUSOLVER_LIST(XX, OPT)                                                              \
    XX(cusolverStatus_t, cusolverGetProperty, (libraryPropertyType what, int *value))            \
    XX(cusolverStatus_t, cusolverDnCreate, (cusolverDnHandle_t *handle))                         \
    XX(cusolverStatus_t, cusolverDnDestroy, (cusolverDnHandle_t handle))                         \
    XX(cusolverStatus_t, cusolverDnSetStream, (cusolverDnHandle_t handle, cudaStream_t stream))  \
    XX(cusolverStatus_t, cusolverDnCreateParams, (cusolverDnParams_t *params))                   \
    XX(cusolverStatus_t, cusolverDnDestroyParams, (cusolverDnParams_t params))                   \
    XX(cusolverStatus_t, cusolverDnXpotrf_bufferSize,                                            \
       (cusolverDnHandle_t handle, cusolverDnParams_t params, cublasFillMode_t uplo, int64_t n,  \
        cudaDataType atype, const void *a, int64_t lda, cudaDataType compute,                    \
        size_t *device_bytes, size_t *host_bytes))                                               \
    XX(cusolverStatus_t, cusolverDnXpotrf,                                                       \
       (cusolverDnHandle_t handle, cusolverDnParams_t params, cublasFillMode_t uplo, int64_t n,  \
        cudaDataType atype, void *a, int64_t lda, cudaDataType compute, void *device_work,       \
        size_t device_bytes, void *host_work, size_t host_bytes, int *info))                     \
    XX(cusolverStatus_t, cusolverDnXgetrf_bufferSize,                                            \
       (cusolverDnHandle_t handle, cusolverDnParams_t params, int64_t m, int64_t n,              \
        cudaDataType atype, const void *a, int64_t lda, cudaDataType compute,                    \
        size_t *device_bytes, size_t *host_bytes))                                               \
    XX(cusolverStatus_t, cusolverDnXgetrf,                                                       \
       (cusolverDnHandle_t handle, cusolverDnParams_t params, int64_t m, int64_t n,              \
        cudaDataType atype, void *a, int64_t lda, int64_t *ipiv, cudaDataType compute,           \
        void *device_work, size_t device_bytes, void *host_work, size_t host_bytes, int *info))  \
    XX(cusolverStatus_t, cusolverDnXsyevd_bufferSize,                                            \
       (cusolverDnHandle_t handle, cusolverDnParams_t params, cusolverEigMode_t jobz,            \
        cublasFillMode_t uplo, int64_t n, cudaDataType atype, const void *a, int64_t lda,        \
        cudaDataType wtype, const void *w, cudaDataType compute, size_t *device_bytes,           \
        size_t *host_bytes))                                                                     \
    XX(cusolverStatus_t, cusolverDnXsyevd,                                                       \
       (cusolverDnHandle_t handle, cusolverDnParams_t params, cusolverEigMode_t jobz,            \
        cublasFillMode_t uplo, int64_t n, cudaDataType atype, void *a, int64_t lda,              \
        cudaDataType wtype, void *w, cudaDataType compute, void *device_work,                    \
        size_t device_bytes, void *host_work, size_t host_bytes, int *info))

#define MLAI_CUSOLVER_VALUES(VAL)                                                                \
    VAL(CUSOLVER_STATUS_SUCCESS, 0)                                                              \
    VAL(CUSOLVER_STATUS_ALLOC_FAILED, 2)                                                         \
    VAL(CUSOLVER_EIG_MODE_NOVECTOR, 0)                                                           \
    VAL(CUSOLVER_EIG_MODE_VECTOR, 1)

#define MLAI_CUSOLVERMG_LIST(XX, OPT)                                                            \
    XX(cusolverStatus_t, cusolverMgCreate, (cusolverMgHandle_t *handle))                         \
    XX(cusolverStatus_t, cusolverMgDestroy, (cusolverMgHandle_t handle))                         \
    XX(cusolverStatus_t, cusolverMgDeviceSelect,                                                 \
       (cusolverMgHandle_t handle, int count, int ordinal[]))                                    \
    XX(cusolverStatus_t, cusolverMgCreateDeviceGrid,                                             \
       (cudaLibMgGrid_t *grid, int32_t rows, int32_t columns, const int32_t ordinal[],           \
        cusolverMgGridMapping_t mapping))                                                        \
    XX(cusolverStatus_t, cusolverMgDestroyGrid, (cudaLibMgGrid_t grid))                          \
    XX(cusolverStatus_t, cusolverMgCreateMatrixDesc,                                             \
       (cudaLibMgMatrixDesc_t *desc, int64_t rows, int64_t columns, int64_t row_block,           \
        int64_t column_block, cudaDataType type, const cudaLibMgGrid_t grid))                    \
    XX(cusolverStatus_t, cusolverMgDestroyMatrixDesc, (cudaLibMgMatrixDesc_t desc))              \
    XX(cusolverStatus_t, cusolverMgPotrf_bufferSize,                                             \
       (cusolverMgHandle_t handle, cublasFillMode_t uplo, int n, void *a[], int ia, int ja,      \
        cudaLibMgMatrixDesc_t desca, cudaDataType compute, int64_t *lwork))                      \
    XX(cusolverStatus_t, cusolverMgPotrf,                                                        \
       (cusolverMgHandle_t handle, cublasFillMode_t uplo, int n, void *a[], int ia, int ja,      \
        cudaLibMgMatrixDesc_t desca, cudaDataType compute, void *work[], int64_t lwork,          \
        int *info))                                                                              \
    XX(cusolverStatus_t, cusolverMgPotrs_bufferSize,                                             \
       (cusolverMgHandle_t handle, cublasFillMode_t uplo, int n, int nrhs, void *a[], int ia,    \
        int ja, cudaLibMgMatrixDesc_t desca, void *b[], int ib, int jb,                          \
        cudaLibMgMatrixDesc_t descb, cudaDataType compute, int64_t *lwork))                      \
    XX(cusolverStatus_t, cusolverMgPotrs,                                                        \
       (cusolverMgHandle_t handle, cublasFillMode_t uplo, int n, int nrhs, void *a[], int ia,    \
        int ja, cudaLibMgMatrixDesc_t desca, void *b[], int ib, int jb,                          \
        cudaLibMgMatrixDesc_t descb, cudaDataType compute, void *work[], int64_t lwork,          \
        int *info))                                                                              \
    XX(cusolverStatus_t, cusolverMgPotri_bufferSize,                                             \
       (cusolverMgHandle_t handle, cublasFillMode_t uplo, int n, void *a[], int ia, int ja,      \
        cudaLibMgMatrixDesc_t desca, cudaDataType compute, int64_t *lwork))                      \
    XX(cusolverStatus_t, cusolverMgPotri,                                                        \
       (cusolverMgHandle_t handle, cublasFillMode_t uplo, int n, void *a[], int ia, int ja,      \
        cudaLibMgMatrixDesc_t desca, cudaDataType compute, void *work[], int64_t lwork,          \
        int *info))                                                                              \
    XX(cusolverStatus_t, cusolverMgSyevd_bufferSize,                                             \
       (cusolverMgHandle_t handle, cusolverEigMode_t jobz, cublasFillMode_t uplo, int n,         \
        void *a[], int ia, int ja, cudaLibMgMatrixDesc_t desca, void *w, cudaDataType wtype,     \
        cudaDataType compute, int64_t *lwork))                                                   \
    XX(cusolverStatus_t, cusolverMgSyevd,                                                        \
       (cusolverMgHandle_t handle, cusolverEigMode_t jobz, cublasFillMode_t uplo, int n,         \
        void *a[], int ia, int ja, cudaLibMgMatrixDesc_t desca, void *w, cudaDataType wtype,     \
        cudaDataType compute, void *work[], int64_t lwork, int *info))

#define MLAI_CUSOLVERMG_VALUES(VAL)                                                              \
    VAL(CUDALIBMG_GRID_MAPPING_COL_MAJOR, 0)

#define MLAI_NCCL_LIST(XX, OPT)                                                                  \
    XX(ncclResult_t, ncclGetVersion, (int *version))                                             \
    XX(const char *, ncclGetErrorString, (ncclResult_t result))                                  \
    XX(const char *, ncclGetLastError, (ncclComm_t comm))                                        \
    XX(ncclResult_t, ncclGetUniqueId, (ncclUniqueId *id))                                        \
    XX(ncclResult_t, ncclCommInitRank, (ncclComm_t *comm, int nranks, ncclUniqueId id, int rank))\
    XX(ncclResult_t, ncclCommDestroy, (ncclComm_t comm))                                         \
    XX(ncclResult_t, ncclCommAbort, (ncclComm_t comm))                                           \
    XX(ncclResult_t, ncclCommGetAsyncError, (ncclComm_t comm, ncclResult_t *result))             \
    XX(ncclResult_t, ncclBroadcast,                                                              \
       (const void *in, void *out, size_t count, ncclDataType_t type, int root, ncclComm_t comm, \
        cudaStream_t stream))                                                                    \
    XX(ncclResult_t, ncclAllGather,                                                              \
       (const void *in, void *out, size_t count, ncclDataType_t type, ncclComm_t comm,           \
        cudaStream_t stream))                                                                    \
    XX(ncclResult_t, ncclSend,                                                                   \
       (const void *in, size_t count, ncclDataType_t type, int peer, ncclComm_t comm,            \
        cudaStream_t stream))                                                                    \
    XX(ncclResult_t, ncclRecv,                                                                   \
       (void *out, size_t count, ncclDataType_t type, int peer, ncclComm_t comm,                 \
        cudaStream_t stream))                                                                    \
    XX(ncclResult_t, ncclGroupStart, (void))                                                     \
    XX(ncclResult_t, ncclGroupEnd, (void))

#define MLAI_NCCL_VALUES(VAL)                                                                    \
    VAL(ncclSuccess, 0)                                                                          \
    VAL(ncclInProgress, 7)                                                                       \
    VAL(ncclUint8, 1)
// clang-format on

#endif

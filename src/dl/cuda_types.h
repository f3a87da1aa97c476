/* SPDX-License-Identifier: Apache-2.0
 * src/dl/cuda_types.h: own declarations of the few types of CUDA that the library uses, under
 * CUDA's names. Enums are int here; structures and values are those of every CUDA 12 and 13. The
 * lists of cuda_api.h compile with these and with CUDA's own headers alike, which is how
 * prototypes and values are checked against the latter. */
#ifndef MLAI_CUDA_TYPES_H
#define MLAI_CUDA_TYPES_H

#include <stddef.h>
#include <stdint.h>

/* ---- driver */
typedef int CUresult, CUdevice, CUdevice_attribute, CUfunction_attribute, CUpointer_attribute;
typedef int CUjit_option, CUlibraryOption, CUmemPool_attribute;
typedef unsigned long long CUdeviceptr;
typedef struct CUctx_st *CUcontext;
typedef struct CUstream_st *CUstream;
typedef struct CUevent_st *CUevent;
typedef struct CUlib_st *CUlibrary;
typedef struct CUkern_st *CUkernel;
typedef struct CUfunc_st *CUfunction;
typedef struct CUmemPoolHandle_st *CUmemoryPool;
typedef void (*CUhostFn)(void *user);

typedef struct CUuuid_st {
    char bytes[16];
} CUuuid;
typedef struct CUipcMemHandle_st {
    char reserved[64];
} CUipcMemHandle;
typedef struct CUipcEventHandle_st {
    char reserved[64];
} CUipcEventHandle;
typedef struct CUmemLocation_st {
    int type, id;
} CUmemLocation;
typedef struct CUmemAccessDesc_st {
    CUmemLocation location;
    int flags;
} CUmemAccessDesc;
typedef struct CUmemPoolProps_st {
    int allocType, handleTypes;
    CUmemLocation location;
    void *win32SecurityAttributes;
    size_t maxSize;
    unsigned short usage;
    unsigned char reserved[54];
} CUmemPoolProps;

/* ---- libraries on top of it */
typedef struct CUstream_st *cudaStream_t;
typedef int cudaDataType, libraryPropertyType;
typedef struct {
    float x, y;
} cuComplex;
typedef struct {
    double x, y;
} cuDoubleComplex;

typedef int cublasStatus_t, cublasOperation_t, cublasFillMode_t, cublasSideMode_t;
typedef int cublasDiagType_t, cublasComputeType_t, cublasGemmAlgo_t;
typedef struct cublasContext *cublasHandle_t;

typedef int cusolverStatus_t, cusolverEigMode_t;
typedef struct cusolverDnContext *cusolverDnHandle_t;
typedef struct cusolverDnParams *cusolverDnParams_t;

typedef int cusolverMgGridMapping_t;
typedef struct cusolverMgContext *cusolverMgHandle_t;
typedef void *cudaLibMgGrid_t, *cudaLibMgMatrixDesc_t;

typedef int ncclResult_t, ncclDataType_t;
typedef struct ncclComm *ncclComm_t;
typedef struct {
    char internal[128];
} ncclUniqueId;

#endif

# SPDX-License-Identifier: Apache-2.0
"""Functions of the C library that Python asks directly: sizes, and what of CUDA is there."""

from __future__ import annotations

import ctypes
from typing import NamedTuple

from . import _library

DTYPES = ("float32", "float64", "complex64", "complex128")  # mla_dtype_t
DEVICES = ("cpu", "gpu")  # mla_device_t
POTRF, POTRS, POTRI, POINV, SYEVD, SYEVD_VALUES = range(6)  # mla_routine_t
LIBRARIES = ("driver", "cuBLAS", "cuSOLVER", "cuSOLVERMg", "cuSOLVERMp", "NCCL")  # mla_library_t


class Failure(RuntimeError):
    """A function of the library has failed, with its sentence."""


class _Desc(ctypes.Structure):
    _fields_ = (
        ("size", ctypes.c_size_t),
        ("dtype", ctypes.c_int),
        ("order", ctypes.c_int),
        ("n", ctypes.c_int64),
        ("lc", ctypes.c_int64),
        ("ld", ctypes.c_int64),
        ("nb", ctypes.c_int64),
        ("precision", ctypes.c_int),
    )


class _Device(ctypes.Structure):
    _fields_ = (
        ("size", ctypes.c_size_t),
        ("name", ctypes.c_char * 128),
        ("capability", ctypes.c_int),
        ("multiprocessors", ctypes.c_int),
        ("memory", ctypes.c_uint64),
    )


class Library(NamedTuple):
    version: str
    path: str


class Device(NamedTuple):
    name: str
    capability: str
    memory: int


def _check(status: int) -> None:
    if status != 0:
        message = _library.library().mla_message(None)
        raise Failure(message.decode(errors="replace"))


def _desc(n: int, dtype: str, nb: int) -> _Desc:
    return _Desc(ctypes.sizeof(_Desc), DTYPES.index(dtype), 0, n, 0, 0, nb, 0)


def version() -> str:
    return _dotted(_library.library().mla_version())


def _dotted(number: int) -> str:
    return f"{number // 10000}.{number // 100 % 100}.{number % 100}" if number else ""


def tile_size(n: int, dtype: str, ranks: int, device: str) -> int:
    """Tile width that the library chooses."""
    function = _library.library().mla_tile_size
    function.restype = ctypes.c_int64
    function.argtypes = (ctypes.POINTER(_Desc), ctypes.c_int, ctypes.c_int)
    return function(ctypes.byref(_desc(n, dtype, 0)), ranks, DEVICES.index(device))


def workspace(routine: int, n: int, dtype: str, nb: int, ranks: int, device: str, nrhs=1) -> int:
    """Bytes that a rank takes beyond its operands."""
    size = ctypes.c_size_t()
    _check(
        _library.library().mla_workspace(
            ctypes.c_int(routine),
            ctypes.byref(_desc(n, dtype, nb)),
            ctypes.c_int(ranks),
            ctypes.c_int(DEVICES.index(device)),
            ctypes.c_int64(nrhs),
            ctypes.byref(size),
        )
    )
    return size.value


def cuda_library(name: str) -> Library:
    """Version and path of a CUDA library; Failure with the reason if it is not there."""
    number, path = ctypes.c_int(), ctypes.create_string_buffer(1024)
    _check(
        _library.library().mla_cuda_library(
            ctypes.c_int(LIBRARIES.index(name)),
            ctypes.byref(number),
            path,
            ctypes.c_size_t(len(path)),
        )
    )
    return Library(_dotted(number.value), path.value.decode(errors="replace"))


def cuda_devices() -> list[Device]:
    lib, count = _library.library(), ctypes.c_int()
    _check(lib.mla_cuda_device_count(ctypes.byref(count)))
    found = []
    for ordinal in range(count.value):
        device = _Device(ctypes.sizeof(_Device))
        _check(lib.mla_cuda_device(ctypes.c_int(ordinal), ctypes.byref(device)))
        capability = f"{device.capability // 10}.{device.capability % 10}"
        found.append(Device(device.name.decode(), capability, device.memory))
    return found


def peer_access(one: int, other: int) -> bool:
    can = ctypes.c_int()
    lib = _library.library()
    _check(lib.mla_cuda_peer_access(ctypes.c_int(one), ctypes.c_int(other), ctypes.byref(can)))
    return bool(can.value)

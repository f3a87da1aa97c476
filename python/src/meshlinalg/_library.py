# SPDX-License-Identifier: Apache-2.0
"""The shared library: found, loaded and made known to XLA when it is first needed.

Nothing happens at import. Registering touches no device and works before and after JAX has
started its backends.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import os
import pathlib
import threading

import jax

from . import _jax_compat as compat

# C library's ABI in the names of the targets: two versions of the package do not collide.
PREFIX = "meshlinalg_0_"
TARGETS = ("potrf", "potrs", "posv", "potri", "poinv", "syevd", "syevd_values", "syevx")

TARGETS += ("geqrf", "ungqr", "gels")
TARGETS += ("getrf", "getrs", "gesv", "getri", "geinv")

_lock = threading.Lock()
_registered = False
_process: tuple[int, int] | None = None  # (index, count) that the library knows
_cuda: int | None = None  # CUDA's major version that the library knows
_communicator = os.environ.get("MESHLINALG_COMM", "auto")  # asked for
_fabric: str | None = None  # that the library knows
COMMUNICATORS = ("auto", "peer", "nccl")


# name, whether this process gives the id, the id, seconds -> 0
_EXCHANGE = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.POINTER(ctypes.c_char), ctypes.c_double
)
_ID_BYTES = 128


class _Symbol(ctypes.Structure):
    _fields_ = (("name", ctypes.c_char_p), ("address", ctypes.c_void_p))


def path() -> pathlib.Path:
    """Where the shared library is: MESHLINALG_LIBRARY, or in the package.

    In an editable install that is another folder, which the import system knows; asking it
    rebuilds what has changed.
    """
    given = os.environ.get("MESHLINALG_LIBRARY")
    if given:
        return pathlib.Path(given)
    spec = importlib.util.find_spec(f"{__package__}.libmeshlinalg")
    here = pathlib.Path(__file__).with_name("libmeshlinalg.so")
    return pathlib.Path(spec.origin) if spec and spec.origin else here


@functools.cache
def library() -> ctypes.CDLL:
    """The loaded library, with BLAS and LAPACK given to it."""
    where = path()
    try:
        lib = ctypes.CDLL(str(where))
    except OSError as error:
        raise ImportError(
            f"meshlinalg cannot load its library {where}: {error}. Reinstall the package, or set "
            "MESHLINALG_LIBRARY to the path of libmeshlinalg.so."
        ) from error
    lib.mla_version.restype = ctypes.c_int
    lib.mla_message.restype = ctypes.c_char_p
    lib.mla_message.argtypes = (ctypes.c_void_p,)
    lib.mla_host_blas.restype = ctypes.c_int
    lib.mla_host_blas.argtypes = (ctypes.c_char_p, ctypes.POINTER(_Symbol), ctypes.c_size_t)
    lib.mla_xla_set_process.restype = ctypes.c_int
    lib.mla_xla_set_process.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_char_p)
    lib.mla_xla_set_timeout.restype = None
    lib.mla_xla_set_timeout.argtypes = (ctypes.c_double,)
    lib.mla_xla_meetings.restype = ctypes.c_int64
    lib.mla_xla_set_fabric.restype = ctypes.c_int
    lib.mla_xla_set_fabric.argtypes = (ctypes.c_int, _EXCHANGE)
    lib.mla_cuda_setup.restype = ctypes.c_int
    lib.mla_cuda_setup.argtypes = (ctypes.c_int, ctypes.POINTER(ctypes.c_char_p), ctypes.c_size_t)
    table = _scipy_symbols()
    if lib.mla_host_blas(None, table, len(table)) != 0:
        raise ImportError(
            "meshlinalg cannot use scipy's BLAS and LAPACK: "
            + lib.mla_message(None).decode(errors="replace")
        )
    return lib


def _scipy_symbols() -> ctypes.Array:
    """BLAS and LAPACK as scipy has them: the ones JAX itself uses on CPU devices."""
    from scipy.linalg import cython_blas, cython_lapack

    get_name = ctypes.pythonapi.PyCapsule_GetName
    get_name.restype, get_name.argtypes = ctypes.c_char_p, (ctypes.py_object,)
    get_pointer = ctypes.pythonapi.PyCapsule_GetPointer
    get_pointer.restype = ctypes.c_void_p
    get_pointer.argtypes = (ctypes.py_object, ctypes.c_char_p)
    symbols = {
        name: get_pointer(capsule, get_name(capsule))
        for module in (cython_blas, cython_lapack)
        for name, capsule in module.__pyx_capi__.items()
    }
    table = (_Symbol * len(symbols))()
    for entry, (name, address) in zip(table, symbols.items(), strict=True):
        entry.name, entry.address = name.encode(), address
    return table


def register() -> None:
    """Before a call is traced: makes the routines known to XLA, once, and tells the library
    which process this is and which CUDA JAX uses, when there is something new to tell."""
    global _registered, _process, _cuda
    identity = compat.process_identity()
    cuda = compat.cuda_major()
    if _registered and _process == identity and _cuda == cuda and _fabric is not None:
        return
    with _lock:
        lib = library()
        if not _registered:
            _register_targets(lib)
            _registered = True
        if _process != identity:
            _set_process(lib, *identity)
            _process = identity
        _set_up_fabric(lib)
        if _cuda != cuda:
            _set_up_cuda(lib, cuda)
            _cuda = cuda


def _register_targets(lib: ctypes.CDLL) -> None:
    instantiate = jax.ffi.pycapsule(lib.mla_xla_instantiate)
    for target in TARGETS:
        for platform, suffix in (("cpu", ""), ("CUDA", "_cuda")):
            execute = jax.ffi.pycapsule(getattr(lib, f"mla_xla_{target}{suffix}"))
            handlers = {"instantiate": instantiate, "execute": execute}
            jax.ffi.register_ffi_target(PREFIX + target, handlers, platform=platform)


def _set_process(lib: ctypes.CDLL, index: int, count: int) -> None:
    job = compat.job_name()
    if lib.mla_xla_set_process(index, count, job.encode()) != 0:
        raise RuntimeError(f"meshlinalg: process {index} of {count}, job {job!r} is not valid")


def _set_up_cuda(lib: ctypes.CDLL, major: int | None) -> None:
    """Says which CUDA libraries are JAX's."""
    if major is None:
        return
    folders = [folder.encode() for folder in _nvidia_folders(major)]
    table = (ctypes.c_char_p * len(folders))(*folders)
    if lib.mla_cuda_setup(major, table, len(folders)) != 0:
        raise RuntimeError("meshlinalg: " + lib.mla_message(None).decode(errors="replace"))


def set_communicator(name: str) -> None:
    """What ranks on GPUs reach one another by, from the next call on: ``"peer"`` (GPUs of one
    machine that reach one another's memory), ``"nccl"`` (any number of machines), or ``"auto"``:
    peer on one machine, else nccl. The same on all processes. The environment variable
    MESHLINALG_COMM says it from the start. CPU devices have one way only.
    """
    global _communicator, _fabric
    if name not in COMMUNICATORS:
        raise ValueError(f"communicator {name!r}, expected one of {COMMUNICATORS}")
    with _lock:
        _communicator, _fabric = name, None
        if _registered:  # programs that are compiled already ask no more
            _set_up_fabric(library())


def _set_up_fabric(lib: ctypes.CDLL) -> None:
    global _fabric
    if _communicator not in COMMUNICATORS:
        raise ValueError(f"MESHLINALG_COMM={_communicator!r}, expected one of {COMMUNICATORS}")
    wanted = _communicator
    if wanted == "auto":
        machines = compat.machines()
        if machines is None:
            return  # asked again at the next call
        wanted = "nccl" if machines > 1 else "peer"
    if lib.mla_xla_set_fabric(("peer", "nccl").index(wanted), _exchange) != 0:
        raise RuntimeError(f"meshlinalg: the library knows no communicator {wanted!r}")
    _fabric = wanted


@_EXCHANGE
def _exchange(name, give, buffer, seconds):
    """Carries the id of an NCCL communicator from one process to the others. Runs in a thread of
    XLA's."""
    try:
        key = name.decode()
        if give:
            compat.put(key, ctypes.string_at(buffer, _ID_BYTES).hex())
        else:
            ctypes.memmove(buffer, bytes.fromhex(compat.get(key, seconds)), _ID_BYTES)
    except Exception:  # of the client's own type, or none: the library says that a rank is missing
        return 1
    return 0


def _nvidia_folders(major: int) -> list[str]:
    """Folders of the CUDA libraries that pip has installed."""
    names = ("cu13",) if major >= 13 else ("cublas", "cusolver", "cusparse", "nvjitlink")
    spec = importlib.util.find_spec("nvidia")
    roots = list(spec.submodule_search_locations or ()) if spec else []
    found = (pathlib.Path(root, name, "lib") for root in roots for name in (*names, "nccl"))
    return [str(folder) for folder in found if folder.is_dir()]


def set_timeout(seconds: float | None) -> None:
    """Time limit of every wait among ranks, seconds (None: MESHLINALG_TIMEOUT_S, or 300)."""
    library().mla_xla_set_timeout(float(seconds or 0.0))

# SPDX-License-Identifier: Apache-2.0
"""Dense linear algebra for matrices sharded over a JAX device mesh.

    import jax, meshlinalg as ml
    mesh = jax.make_mesh((jax.device_count(),), ("x",))
    A = jax.device_put(A, jax.NamedSharding(mesh, jax.P("x", None)))
    x = ml.solve(A, b)
    w, V = ml.eigh(A)

Every function takes and returns ordinary JAX arrays, works in eager code and inside jax.jit,
and leaves its results sharded like its arguments. `meshlinalg.shard` has the same functions on
local shards, for use inside a shard_map.
"""

from . import shard
from ._cholesky import CholeskyFactor, cho_factor, cho_solve, cholesky
from ._eigh import EighResult, eigh, eigvalsh
from ._explain import Explanation, explain
from ._inv import SlogdetResult, det, inv, slogdet
from ._library import set_communicator
from ._lstsq import LstsqResult, lstsq
from ._lu import LUFactor, LUResult, lu, lu_factor, lu_solve
from ._qr import QRResult, qr
from ._refine import RefineInfo
from ._solve import solve
from ._svd import PolarResult, SVDResult, cond, matrix_rank, pinv, polar, svd, svdvals

__version__ = "0.1.0"

__all__ = [
    "CholeskyFactor",
    "EighResult",
    "Explanation",
    "LUFactor",
    "LUResult",
    "LstsqResult",
    "PolarResult",
    "QRResult",
    "RefineInfo",
    "SVDResult",
    "SlogdetResult",
    "__version__",
    "cho_factor",
    "cho_solve",
    "cholesky",
    "cond",
    "det",
    "eigh",
    "eigvalsh",
    "explain",
    "inv",
    "lstsq",
    "lu",
    "lu_factor",
    "lu_solve",
    "matrix_rank",
    "pinv",
    "polar",
    "qr",
    "set_communicator",
    "shard",
    "slogdet",
    "solve",
    "svd",
    "svdvals",
]

# SPDX-License-Identifier: Apache-2.0
"""The functions of `meshlinalg` on local shards, for use inside a jax.shard_map.

    def step(a, b):                                    # a: this device's rows of A
        x = meshlinalg.shard.solve(a, b, "x")
        return jax.lax.psum(b @ x, "x")
    jax.shard_map(step, mesh=mesh, in_specs=(P("x", None), P("x")), out_specs=P())

`a` is (m, n), the rows of an n x n matrix that this device holds, in the order of `axis_name`;
if all shards together have more than n rows, the last ones are ignored. `axis_name` is one axis
of the mesh, or a tuple of them. All axes of the mesh must be manual. Options that are not listed
here are those of the function with the same name in `meshlinalg`.
"""

from __future__ import annotations

import functools

from . import _options
from ._cholesky import CholeskyFactor, cho_factor_planned, cho_solve, cholesky_planned
from ._eigh import EighResult, eigh_planned, eigvalsh_planned
from ._inv import STRUCTURES, SlogdetResult, det_of, inv_planned, slogdet_planned
from ._lu import LUFactor, lu_factor_planned, lu_solve
from ._sharding import shard_plan
from ._solve import solve_planned

__all__ = [
    "CholeskyFactor",
    "EighResult",
    "LUFactor",
    "SlogdetResult",
    "cho_factor",
    "cho_solve",
    "cholesky",
    "det",
    "eigh",
    "eigvalsh",
    "inv",
    "lu_factor",
    "lu_solve",
    "slogdet",
    "solve",
]


def _common(assume_a, lower, tile_size, return_info) -> dict:
    fill = _options.structure_fill(assume_a, lower)
    common = _options.common(fill, tile_size, overwrite_a=False, return_info=return_info)
    return {"assume_a": assume_a, **common}


def solve(
    a,
    b,
    axis_name,
    *,
    assume_a: str = "gen",
    lower: bool | None = None,
    tile_size: int | None = None,
    precision=None,
    return_info: bool = False,
):
    """Solves A x = b.

    b is (n,) or (n, k), equal on all devices, and x too; or (m,) or (m, k), this device's rows,
    and x too.
    """
    assume_a = _options.check_assume_a(assume_a)
    common = _common(assume_a, lower, tile_size, return_info)
    a, plan = shard_plan(a, axis_name, precision)
    return solve_planned(a, b, plan, overwrite_b=False, **common)


def inv(
    a,
    axis_name,
    *,
    assume_a: str = "gen",
    lower: bool | None = None,
    tile_size: int | None = None,
    precision=None,
    return_info: bool = False,
):
    """This device's rows of the inverse."""
    assume_a = _options.check_assume_a(assume_a, *STRUCTURES)
    common = _common(assume_a, lower, tile_size, return_info)
    a, plan = shard_plan(a, axis_name, precision)
    return inv_planned(a, plan, **common)


def slogdet(
    a,
    axis_name,
    *,
    assume_a: str = "gen",
    lower: bool | None = None,
    tile_size: int | None = None,
    precision=None,
    return_info: bool = False,
):
    """Sign and logarithm of the determinant, equal on all devices."""
    assume_a = _options.check_assume_a(assume_a, *STRUCTURES)
    common = _common(assume_a, lower, tile_size, return_info)
    a, plan = shard_plan(a, axis_name, precision)
    return slogdet_planned(a, plan, **common)


def det(a, axis_name, *, assume_a: str = "gen", return_info: bool = False, **options):
    """Determinant, equal on all devices. Takes the options of `slogdet`."""
    result, info = slogdet(a, axis_name, assume_a=assume_a, return_info=True, **options)
    value = det_of(result, _options.check_assume_a(assume_a, *STRUCTURES))
    return (value, info) if _options.check_bool(return_info, "return_info") else value


def cho_factor(
    a, axis_name, *, lower: bool | None = None, tile_size: int | None = None, precision=None
) -> CholeskyFactor:
    """A factor for use inside this shard_map: its methods take and return local shards."""
    common = _options.common(_options.triangle(lower), tile_size, overwrite_a=False)
    a, plan = shard_plan(a, axis_name, precision)
    return cho_factor_planned(a, plan, **common)


def lu_factor(a, axis_name, *, tile_size: int | None = None, precision=None) -> LUFactor:
    """A factor for use inside this shard_map: its methods take and return local shards."""
    common = _options.common(None, tile_size, overwrite_a=False)
    a, plan = shard_plan(a, axis_name, precision)
    return lu_factor_planned(a, plan, **common)


def cholesky(
    a,
    axis_name,
    *,
    upper: bool = False,
    symmetrize_input: bool = True,
    tile_size: int | None = None,
    precision=None,
):
    """This device's rows of L, or of U."""
    fill = _options.cholesky_fill(upper, symmetrize_input)
    common = _options.common(fill, tile_size, overwrite_a=False)
    a, plan = shard_plan(a, axis_name, precision)
    return cholesky_planned(a, plan, upper=upper, **common)


def eigh(
    a,
    axis_name,
    UPLO: str | None = None,
    symmetrize_input: bool = True,
    *,
    tile_size: int | None = None,
    return_info: bool = False,
    gap_tol: float | None = None,
):
    """Eigenvalues, equal on all devices, and this device's rows of the eigenvectors."""
    routine = functools.partial(eigh_planned, gap_tol=_options.check_gap_tol(gap_tol))
    return _eigen(routine, a, axis_name, UPLO, symmetrize_input, tile_size, return_info)


def eigvalsh(
    a,
    axis_name,
    UPLO: str | None = None,
    *,
    symmetrize_input: bool = True,
    tile_size: int | None = None,
    return_info: bool = False,
):
    """Eigenvalues, equal on all devices."""
    return _eigen(eigvalsh_planned, a, axis_name, UPLO, symmetrize_input, tile_size, return_info)


def _eigen(routine, a, axis_name, UPLO, symmetrize_input, tile_size, return_info):
    fill = _options.eigh_fill(UPLO, symmetrize_input)
    common = _options.common(fill, tile_size, overwrite_a=False, return_info=return_info)
    a, plan = shard_plan(a, axis_name)
    return routine(a, plan, **common)

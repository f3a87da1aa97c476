# SPDX-License-Identifier: Apache-2.0
"""Eigenvalues and eigenvectors of Hermitian matrices."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp

from . import _ffi, _ops, _options, _rules
from ._ops import Call
from ._sharding import Plan, overwriting, plan_of, run


class EighResult(NamedTuple):
    """Eigenvalues, and eigenvectors as columns."""

    eigenvalues: Any
    eigenvectors: Any


def _vectors(call: Call, a):
    w, v, info, *kept = _rules.syevd(call, _ops.rows_of(call, a))
    return *kept, w, _ops.deliver(call, v), info


def _values(call: Call, a):
    w, info, *kept = _rules.syevd_values(call, _ops.rows_of(call, a))
    return *kept, w, info


def eigh_planned(a, plan: Plan, *, nb, fill, overwrite_a, return_info, gap_tol):
    """`eigh` for a matrix whose plan is made."""
    if plan.n == 0:
        w, v, info = jnp.zeros(0, _ffi.real_dtype(a.dtype)), a, jnp.int32(0)
    else:
        call = Call(plan, nb, fill, keep=overwrite_a, gap_tol=gap_tol)
        *_, w, v, info = run(_vectors, call, a, **overwriting(plan, overwrite_a))
    result = EighResult(w, v)
    return (result, info) if return_info else result


def eigvalsh_planned(a, plan: Plan, *, nb, fill, overwrite_a, return_info):
    """`eigvalsh` for a matrix whose plan is made."""
    if plan.n == 0:
        w, info = jnp.zeros(0, _ffi.real_dtype(a.dtype)), jnp.int32(0)
    else:
        call = Call(plan, nb, fill, keep=overwrite_a)
        *_, w, info = run(_values, call, a, **overwriting(plan, overwrite_a))
    return (w, info) if return_info else w


def eigh(
    a,
    UPLO: str | None = None,
    symmetrize_input: bool = True,
    *,
    overwrite_a: bool = False,
    mesh=None,
    spec=None,
    tile_size: int | None = None,
    engine: str = "auto",
    return_info: bool = False,
    gap_tol: float | None = None,
):
    """Eigenvalues and eigenvectors of a Hermitian matrix, as ``jax.numpy.linalg.eigh``.

    Args:
      a: (n, n), float32, float64, complex64 or complex128, with any sharding.
      UPLO: which triangle is read if `symmetrize_input` is False: ``"L"`` (default) or ``"U"``.
      symmetrize_input: diagonalise (A + A^H) / 2.
      overwrite_a, mesh, spec, tile_size, engine: as in `solve`.
      return_info: also return LAPACK's ``info``.
      gap_tol: for derivatives alone. The derivative of V has terms 1 / (w_j - w_i), as in JAX:
        Inf or NaN where eigenvalues are equal. With a number, eigenvalues no further apart than
        gap_tol max|w| count as equal, and their terms are left out: the derivative of all that
        depends on the eigenspaces and not on the basis in them (a projector, a density) is
        right, and everything is finite. About n eps is a good choice.

    Returns:
      EighResult(eigenvalues, eigenvectors): (n,), real, ascending, on every device; and (n, n),
      column j belongs to eigenvalue j, with the sharding of `a`. With `return_info` the tuple
      (result, info): info > 0, and NaN, if the iteration failed or `a` has NaN or Inf.

    Raises:
      TypeError, ValueError: when traced, naming the argument, its value and what was expected.
    """
    common = _options.common(
        _options.eigh_fill(UPLO, symmetrize_input),
        tile_size,
        overwrite_a=overwrite_a,
        return_info=return_info,
    )
    gap_tol = _options.check_gap_tol(gap_tol)
    a, plan = plan_of(a, mesh, spec, engine=engine)
    return eigh_planned(a, plan, gap_tol=gap_tol, **common)


def eigvalsh(
    a,
    UPLO: str | None = None,
    *,
    symmetrize_input: bool = True,
    overwrite_a: bool = False,
    mesh=None,
    spec=None,
    tile_size: int | None = None,
    engine: str = "auto",
    return_info: bool = False,
):
    """Eigenvalues of a Hermitian matrix, ascending, without vectors: faster than `eigh`.

    Args:
      As in `eigh`.

    Returns:
      (n,), real, on every device; with `return_info` the tuple (eigenvalues, info).
    """
    common = _options.common(
        _options.eigh_fill(UPLO, symmetrize_input),
        tile_size,
        overwrite_a=overwrite_a,
        return_info=return_info,
    )
    a, plan = plan_of(a, mesh, spec, engine=engine)
    return eigvalsh_planned(a, plan, **common)

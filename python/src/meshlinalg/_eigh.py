# SPDX-License-Identifier: Apache-2.0
"""Eigenvalues and eigenvectors of Hermitian matrices."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from . import _ffi, _ops, _options, _rules
from . import _jax_compat as compat
from ._ops import Call
from ._sharding import Plan, beside, check_matrix, overwriting, plan_of, run


class EighResult(NamedTuple):
    """Eigenvalues, and eigenvectors as columns."""

    eigenvalues: Any
    eigenvectors: Any


def _vectors(call: Call, a):
    w, v, info, *kept = _rules.syevd(call, _ops.rows_of(call, a))
    return *kept, w, _ops.deliver(call, v), info


def _some_vectors(call: Call, a):
    w, v, info, *kept = _rules.syevx(call, _ops.rows_of(call, a))
    first, count = call.some
    return *kept, w[first : first + count], _ops.deliver_rows(call, v), info


def _pencil(call: Call, a, b):
    """A V = B V diag(w), all of V or some."""
    c, x = _rules.reduced(call, _ops.rows_of(call, a), _ops.rows_of(call, b))
    if call.some is None:
        w, y, info = _rules.syevd(call, c)
        return w, _ops.deliver(call, _rules.restored(call, x, y)), info
    w, y, info = _rules.syevx(call, c)
    first, count = call.some
    return w[first : first + count], _ops.deliver_rows(call, _rules.restored(call, x, y)), info


def _pencil_values(call: Call, a, b):
    c, _ = _rules.reduced(call, _ops.rows_of(call, a), _ops.rows_of(call, b))
    return _rules.syevd_values(call, c)


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


def _pencil_planned(a, b, plan: Plan, some, *, nb, fill, overwrite_a, return_info, gap_tol):
    """`eigh` for a pair with n > 0."""
    del overwrite_a  # A is copied from
    w, v, info = run(_pencil, Call(plan, nb, fill, gap_tol=gap_tol, some=some), a, b)
    result = EighResult(w, v)
    return (result, info) if return_info else result


def _pencil_values_planned(a, b, plan: Plan, *, nb, fill, overwrite_a, return_info):
    """`eigvalsh` for a pair with n > 0."""
    del overwrite_a
    w, info = run(_pencil_values, Call(plan, nb, fill), a, b)
    return (w, info) if return_info else w


def _pair(a, b, mesh, spec, engine):
    """(A, B or None, A's plan), of one type."""
    if b is None:
        a, plan = plan_of(a, mesh, spec, engine=engine)
        return a, None, plan
    a, b = check_matrix(a), check_matrix(b, "b")
    if a.shape != b.shape:
        raise ValueError(f"b has shape {b.shape}, expected that of a, {a.shape}")
    dtype = jnp.result_type(a, b)
    a, plan = plan_of(a.astype(dtype), mesh, spec, engine=engine)
    return a, beside(b.astype(dtype), plan, "b"), plan


def _some_planned(a, plan: Plan, some, *, nb, fill, overwrite_a, return_info, gap_tol):
    """`eigh` for eigenvectors some[0] .. some[0] + some[1] - 1 of a matrix with n > 0."""
    call = Call(plan, nb, fill, keep=overwrite_a, gap_tol=gap_tol, some=some)
    *_, w, v, info = run(_some_vectors, call, a, **overwriting(plan, overwrite_a))
    result = EighResult(w, v)
    return (result, info) if return_info else result


def _subset(a, b, plan: Plan, by_index, by_value, common) -> tuple[int, int] | None:
    """First eigenvector and number of them; None: all."""
    if by_index is not None and by_value is not None:
        raise ValueError("subset_by_index and subset_by_value: expected one of them")
    if by_index is not None:
        return _options.check_range(by_index, plan.n)
    if by_value is None:
        return None
    low, high = _options.check_interval(by_value)
    if isinstance(a, compat.Tracer):
        raise TypeError(
            "subset_by_value inside a traced function: the number of eigenvalues in the interval "
            "is the shape of the result; use subset_by_index"
        )
    options = common | {"overwrite_a": False, "return_info": False}
    if b is None:
        w = np.asarray(eigvalsh_planned(a, plan, **options))
    else:
        w = np.asarray(_pencil_values_planned(a, b, plan, **options))
    first = int(np.searchsorted(w, low, side="right"))
    return first, max(0, int(np.searchsorted(w, high, side="right")) - first)


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
    subset_by_index: tuple[int, int] | None = None,
    subset_by_value: tuple[float, float] | None = None,
    b=None,
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
      subset_by_index: (first, last), both counted from 0 and both wanted, as in
        ``scipy.linalg.eigh``: only these eigenvalues and eigenvectors. What follows the
        reduction to tridiagonal form then costs the wanted part alone. Derivatives still need
        all eigenvectors.
      subset_by_value: (low, high): those with low < w <= high. Not inside `jax.jit`, and it
        takes the eigenvalues alone first, to count.
      b: (n, n), Hermitian positive definite, with any sharding: the generalised problem
        A V = B V diag(w), V^H B V = I, as in ``scipy.linalg.eigh(a, b)``. By Cholesky of B:
        errors grow with its condition. NaN if it is not positive definite. A, B and a few
        matrices more are in memory at a time; overwrite_a saves nothing.

    Returns:
      EighResult(eigenvalues, eigenvectors): (n,), real, ascending, on every device; and (n, n),
      column j belongs to eigenvalue j, with the sharding of `a` (a subset: sharded by rows, or on
      every device if `a` is). With `return_info` the tuple
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
    a, b, plan = _pair(a, b, mesh, spec, engine)
    some = _subset(a, b, plan, subset_by_index, subset_by_value, common)
    if b is not None and plan.n > 0:
        return _pencil_planned(a, b, plan, some, gap_tol=gap_tol, **common)
    if some is None or plan.n == 0:
        return eigh_planned(a, plan, gap_tol=gap_tol, **common)
    return _some_planned(a, plan, some, gap_tol=gap_tol, **common)


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
    b=None,
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
    a, b, plan = _pair(a, b, mesh, spec, engine)
    if b is not None and plan.n > 0:
        return _pencil_values_planned(a, b, plan, **common)
    return eigvalsh_planned(a, plan, **common)

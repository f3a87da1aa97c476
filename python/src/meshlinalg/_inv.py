# SPDX-License-Identifier: Apache-2.0
"""Inverse and determinant."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp

from . import _ffi, _ops, _options, _rules
from ._ops import Call
from ._sharding import Plan, overwriting, plan_of, run


class SlogdetResult(NamedTuple):
    """Sign and logarithm of the absolute value of a determinant."""

    sign: Any
    logabsdet: Any


def _logdet(call: Call, a):
    logdet, info, *kept = _rules.logdet(call, _ops.rows_of(call, a))
    return *kept, logdet, info


def _poinv(call: Call, a):
    inverse, info = _rules.poinv(call, _ops.rows_of(call, a))
    return _ops.deliver(call, inverse, hermitian=True), info


def inv_planned(a, plan: Plan, *, nb, fill, overwrite_a, return_info):
    """`inv` for a matrix whose plan is made."""
    if plan.n == 0:
        inverse, info = a, jnp.int32(0)
    else:
        how = overwriting(plan, overwrite_a)
        inverse, info = run(_poinv, Call(plan, nb, fill), a, **how)
    return (inverse, info) if return_info else inverse


def slogdet_planned(a, plan: Plan, *, nb, fill, overwrite_a, return_info):
    """`slogdet` for a matrix whose plan is made."""
    if plan.n == 0:
        logdet, info = jnp.zeros((), _ffi.real_dtype(a.dtype)), jnp.int32(0)
    else:
        call = Call(plan, nb, fill, keep=overwrite_a)
        *_, logdet, info = run(_logdet, call, a, **overwriting(plan, overwrite_a))
    sign = jnp.where(jnp.isnan(logdet), jnp.nan, 1.0).astype(a.dtype)
    result = SlogdetResult(sign, logdet)
    return (result, info) if return_info else result


def inv(
    a,
    *,
    assume_a: str = "pos",
    lower: bool | None = None,
    overwrite_a: bool = False,
    mesh=None,
    spec=None,
    tile_size: int | None = None,
    engine: str = "auto",
    precision=None,
    return_info: bool = False,
):
    """Inverse of a Hermitian positive definite matrix (LAPACK ``potrf`` + ``potri``).

    Args:
      a, assume_a, lower, overwrite_a, mesh, spec, tile_size, precision: as in `solve`. With
        `overwrite_a` (or when an outer jit donates `a`) the inverse takes the memory of `a`.
      return_info: also return LAPACK's ``info``.

    Returns:
      The inverse, in full, with the shape, type and sharding of `a`; with `return_info` the
      tuple (inverse, info). A matrix that is not positive definite gives NaN and info > 0.

    Raises:
      TypeError, ValueError: when traced, naming the argument, its value and what was expected.

    Cost: n^3 multiply-add pairs, shared by the devices; memory: the shards, plus 20 %.
    """
    _options.check_assume_a(assume_a)
    common = _options.common(
        _options.triangle(lower),
        tile_size,
        overwrite_a=overwrite_a,
        return_info=return_info,
    )
    a, plan = plan_of(a, mesh, spec, engine=engine, precision=precision)
    return inv_planned(a, plan, **common)


def slogdet(
    a,
    *,
    assume_a: str = "pos",
    lower: bool | None = None,
    overwrite_a: bool = False,
    mesh=None,
    spec=None,
    tile_size: int | None = None,
    engine: str = "auto",
    precision=None,
    return_info: bool = False,
):
    """Sign and logarithm of the determinant of a Hermitian positive definite matrix.

    Args:
      As in `solve`.

    Returns:
      SlogdetResult(sign, logabsdet): scalars on every device, the sign in the type of `a`
      (1), the logarithm in its real type. A matrix that is not positive definite gives
      NaN for both. With `return_info` the tuple (result, info).

    The logarithm is summed in float64. Cost: n^3/3 multiply-add pairs, shared by the devices.
    """
    _options.check_assume_a(assume_a)
    common = _options.common(
        _options.triangle(lower),
        tile_size,
        overwrite_a=overwrite_a,
        return_info=return_info,
    )
    a, plan = plan_of(a, mesh, spec, engine=engine, precision=precision)
    return slogdet_planned(a, plan, **common)


def det(a, *, return_info: bool = False, **options):
    """Determinant of a Hermitian positive definite matrix, in its real type: exp of `slogdet`.

    Takes the options of `slogdet`. Overflows and underflows where the determinant does.
    """
    result, info = slogdet(a, return_info=True, **options)
    value = jnp.exp(result.logabsdet)
    return (value, info) if _options.check_bool(return_info, "return_info") else value

# SPDX-License-Identifier: Apache-2.0
"""Inverse and determinant."""

from __future__ import annotations

import jax.numpy as jnp

from . import _ffi, _ops, _options, _rules, _rules_lu
from ._lu import SlogdetResult, sign_of
from ._ops import Call
from ._sharding import Plan, overwriting, plan_of, run

STRUCTURES = "gen", "sym", "her", "pos"


def _logdet(call: Call, a):
    logdet, info, *kept = _rules.logdet(call, _ops.rows_of(call, a))
    return *kept, logdet, info


def _poinv(call: Call, a):
    inverse, info = _rules.poinv(call, _ops.rows_of(call, a))
    return _ops.deliver(call, inverse, hermitian=True), info


def _slogdet(call: Call, a):
    sign, size, info, *kept = _rules_lu.slogdet(call, _ops.rows_of(call, a))
    return *kept, sign_of(call.plan, sign), size, info


def _geinv(call: Call, a):
    inverse, info = _rules_lu.geinv(call, _ops.rows_of(call, a))
    return _ops.deliver(call, inverse, hermitian=True), info


def inv_planned(a, plan: Plan, *, assume_a, nb, fill, overwrite_a, return_info):
    """`inv` for a matrix whose plan is made."""
    if plan.n == 0:
        inverse, info = a, jnp.int32(0)
    else:
        how = overwriting(plan, overwrite_a)
        body = _poinv if assume_a == "pos" else _geinv
        inverse, info = run(body, Call(plan, nb, fill), a, **how)
    return (inverse, info) if return_info else inverse


def slogdet_planned(a, plan: Plan, *, assume_a, nb, fill, overwrite_a, return_info):
    """`slogdet` for a matrix whose plan is made."""
    call, how = Call(plan, nb, fill, keep=overwrite_a), overwriting(plan, overwrite_a)
    if plan.n == 0:
        sign, logdet = jnp.ones((), a.dtype), jnp.zeros((), _ffi.real_dtype(a.dtype))
        info = jnp.int32(0)
    elif assume_a == "pos":
        *_, logdet, info = run(_logdet, call, a, **how)
        sign = jnp.where(jnp.isnan(logdet), jnp.nan, 1.0).astype(a.dtype)
    else:
        *_, sign, logdet, info = run(_slogdet, call, a, **how)
    result = SlogdetResult(sign, logdet)
    return (result, info) if return_info else result


def inv(
    a,
    *,
    assume_a: str = "gen",
    lower: bool | None = None,
    overwrite_a: bool = False,
    mesh=None,
    spec=None,
    tile_size: int | None = None,
    engine: str = "auto",
    precision=None,
    return_info: bool = False,
):
    """Inverse of a matrix (LAPACK ``getrf`` + ``getri``, or ``potrf`` + ``potri``).

    Args:
      a, assume_a, lower, overwrite_a, mesh, spec, tile_size, precision: as in `solve`. With
        `overwrite_a` (or when an outer jit donates `a`) the inverse takes the memory of `a`.
        Structures: ``"gen"``, ``"sym"``, ``"her"``, ``"pos"``.
      return_info: also return LAPACK's ``info``.

    Returns:
      The inverse, in full, with the shape, type and sharding of `a`; with `return_info` the
      tuple (inverse, info). A singular matrix, or with ``"pos"`` one that is not positive
      definite, gives NaN and info > 0.

    Raises:
      TypeError, ValueError: when traced, naming the argument, its value and what was expected.

    Cost: n^3 multiply-add pairs (``"pos"``: half), shared by the devices; memory: the shards,
    plus 20 %.
    """
    assume_a = _options.check_assume_a(assume_a, *STRUCTURES)
    common = _options.common(
        _options.structure_fill(assume_a, lower),
        tile_size,
        overwrite_a=overwrite_a,
        return_info=return_info,
    )
    a, plan = plan_of(a, mesh, spec, engine=engine, precision=precision)
    return inv_planned(a, plan, assume_a=assume_a, **common)


def slogdet(
    a,
    *,
    assume_a: str = "gen",
    lower: bool | None = None,
    overwrite_a: bool = False,
    mesh=None,
    spec=None,
    tile_size: int | None = None,
    engine: str = "auto",
    precision=None,
    return_info: bool = False,
):
    """Sign and logarithm of the absolute value of a determinant.

    Args:
      As in `inv`.

    Returns:
      SlogdetResult(sign, logabsdet): scalars on every device, the sign (complex: the phase) in
      the type of `a`, the logarithm in its real type. A singular matrix gives (0, -inf). With
      ``assume_a="pos"`` a matrix that is not positive definite gives NaN for both. With
      `return_info` the tuple (result, info).

    The logarithm is summed in float64. Cost: n^3/3 multiply-add pairs (``"pos"``: half), shared
    by the devices.
    """
    assume_a = _options.check_assume_a(assume_a, *STRUCTURES)
    common = _options.common(
        _options.structure_fill(assume_a, lower),
        tile_size,
        overwrite_a=overwrite_a,
        return_info=return_info,
    )
    a, plan = plan_of(a, mesh, spec, engine=engine, precision=precision)
    return slogdet_planned(a, plan, assume_a=assume_a, **common)


def det_of(result: SlogdetResult, assume_a: str):
    """The determinant: real for a positive definite matrix."""
    size = jnp.exp(result.logabsdet)
    return size if assume_a == "pos" else result.sign * size.astype(result.sign.dtype)


def det(a, *, assume_a: str = "gen", return_info: bool = False, **options):
    """Determinant: sign and exponential of `slogdet`.

    Takes the options of `slogdet`; in the type of `a`, with ``assume_a="pos"`` in its real type.
    Overflows and underflows where the determinant does.
    """
    result, info = slogdet(a, assume_a=assume_a, return_info=True, **options)
    value = det_of(result, _options.check_assume_a(assume_a, *STRUCTURES))
    return (value, info) if _options.check_bool(return_info, "return_info") else value

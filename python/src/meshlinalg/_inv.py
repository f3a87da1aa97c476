# SPDX-License-Identifier: Apache-2.0
"""Inverse and determinant."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax.sharding import PartitionSpec as P

from . import _ffi, _options
from ._sharding import Plan, plan_of, run


class SlogdetResult(NamedTuple):
    """Sign and logarithm of the absolute value of a determinant."""

    sign: Any
    logabsdet: Any


@dataclasses.dataclass(frozen=True)
class _Static:
    plan: Plan
    nb: int
    lower: bool | None
    keep: bool = False


def _poinv(s: _Static, a):
    plan = s.plan
    a = plan.enter(_options.complete(a, plan, s.lower))

    def local(a):
        inverse, _, info = _ffi.poinv(plan.local_rows(a), plan.group, n=plan.n, nb=s.nb)
        return plan.local_result(inverse), info

    inverse, info = plan.map(local, (plan.in_spec,), (plan.out_spec, P()))(a)
    return plan.leave(inverse), info


def _potrf_logdet(s: _Static, a):
    plan = s.plan
    a = plan.enter(_options.complete(a, plan, s.lower))

    def local(a):
        f, logdet, info = _ffi.potrf(plan.local_rows(a), plan.group, n=plan.n, nb=s.nb)
        return (logdet, info, f) if s.keep else (logdet, info)

    out_specs = (P(), P(), plan.rows_spec) if s.keep else (P(), P())
    return plan.map(local, (plan.in_spec,), out_specs)(a)


def inv(
    a,
    *,
    assume_a: str = "pos",
    lower: bool | None = None,
    overwrite_a: bool = False,
    mesh=None,
    spec=None,
    tile_size: int | None = None,
    precision=None,
    return_info: bool = False,
):
    """Inverse of a Hermitian positive definite matrix (LAPACK ``potrf`` + ``potri``, one sweep).

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
    _options.check_precision(precision)
    nb = _options.check_tile(tile_size)
    lower = _options.check_flag(lower, "lower")
    a, plan = plan_of(a, mesh, spec)
    if plan.n == 0:
        inverse, info = a, jnp.int32(0)
    else:
        donate = (0,) if overwrite_a else ()
        inverse, info = run(_poinv, _Static(plan, nb, lower), a, donate=donate)
    return (inverse, info) if return_info else inverse


def slogdet(
    a,
    *,
    assume_a: str = "pos",
    lower: bool | None = None,
    overwrite_a: bool = False,
    mesh=None,
    spec=None,
    tile_size: int | None = None,
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
    _options.check_precision(precision)
    nb = _options.check_tile(tile_size)
    lower = _options.check_flag(lower, "lower")
    a, plan = plan_of(a, mesh, spec)
    if plan.n == 0:
        logdet, info = jnp.zeros((), _ffi.real_dtype(a.dtype)), jnp.int32(0)
    else:
        donate = (0,) if overwrite_a else ()
        static = _Static(plan, nb, lower, keep=bool(overwrite_a))
        logdet, info, *_ = run(_potrf_logdet, static, a, donate=donate)
    sign = jnp.where(jnp.isnan(logdet), jnp.nan, 1.0).astype(a.dtype)
    result = SlogdetResult(sign, logdet)
    return (result, info) if return_info else result


def det(a, **options):
    """Determinant of a Hermitian positive definite matrix, in its real type: exp of `slogdet`.

    Takes the options of `slogdet`. Overflows and underflows where the determinant does.
    """
    if options.get("return_info"):
        result, info = slogdet(a, **options)
        return jnp.exp(result.logabsdet), info
    return jnp.exp(slogdet(a, **options).logabsdet)

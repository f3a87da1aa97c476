# SPDX-License-Identifier: Apache-2.0
"""Linear systems."""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
from jax.sharding import PartitionSpec as P

from . import _ffi, _options
from ._sharding import Plan, Sides, plan_of, run, sides_of


@dataclasses.dataclass(frozen=True)
class _Static:
    plan: Plan
    sides: Sides
    nb: int
    lower: bool | None
    keep: bool  # also return the factor: what a donated A becomes


def _posv(s: _Static, a, b):
    plan, sides = s.plan, s.sides
    a = plan.enter(_options.complete(a, plan, s.lower))
    b = sides.enter(b, plan)
    rhs = _ffi.RHS_ROWS if sides.rows else _ffi.RHS_REPLICATED

    def local(a, b):
        f, x, _, info = _ffi.posv(plan.local_rows(a), b, plan.group, n=plan.n, nb=s.nb, rhs=rhs)
        return (x, info, f) if s.keep else (x, info)

    b_spec = sides.in_spec(plan)
    out_specs = (b_spec, P(), plan.rows_spec) if s.keep else (b_spec, P())
    x, info, *rest = plan.map(local, (plan.in_spec, b_spec), out_specs)(a, b)
    return (sides.leave(x, plan), info, *rest)


def solve(
    a,
    b,
    *,
    assume_a: str = "pos",
    lower: bool | None = None,
    overwrite_a: bool = False,
    overwrite_b: bool = False,
    mesh=None,
    spec=None,
    tile_size: int | None = None,
    precision=None,
    return_info: bool = False,
):
    """Solves A x = b for a Hermitian positive definite matrix (LAPACK ``posv``).

    Args:
      a: (n, n), float32, float64, complex64 or complex128: Hermitian, in full (see `lower`).
        Any sharding; ``P("x", None)`` and ``P(None, "x")`` are used as they lie, others are
        resharded inside the same program. Without a mesh: one device.
      b: (n,) or (n, k): right-hand sides, sharded along rows or replicated. Promoted with `a`
        to a common type.
      assume_a: ``"pos"``, the only structure available.
      lower: None reads all of `a`. True or False reads only the lower or the upper triangle
        and completes the matrix from it (one transposition across the devices).
      overwrite_a, overwrite_b: donate the argument: its memory becomes the work space and the
        array is deleted. Outside of ``jax.jit`` only; inside, the outer jit decides.
      mesh, spec: mesh and PartitionSpec of `a` where they cannot be seen: in a program with
        automatic axes, or for an array that is on no mesh yet.
      tile_size: width of the tiles; None: chosen from n, the devices and the type.
      precision: as in ``jax.lax``; None is the full accuracy of the type.
      return_info: also return LAPACK's ``info``.

    Returns:
      x, with the shape and sharding of `b`; with `return_info` the tuple (x, info): info is an
      int32 scalar, 0, or i > 0 if the leading minor of order i is not positive definite; x is
      NaN then. There is no exception for numerical failure.

    Raises:
      TypeError, ValueError: when traced, naming the argument, its value and what was expected.

    Accuracy: backward stable, the residual of a float64 system is a few units of rounding
    times ||A|| ||x||. Cost: n^3/3 + 2 n^2 k multiply-adds pairs, shared by the devices (complex:
    four times as many); memory: the shards, plus 20 %.
    """
    _options.check_assume_a(assume_a)
    _options.check_precision(precision)
    nb = _options.check_tile(tile_size)
    lower = _options.check_flag(lower, "lower")
    a, plan = plan_of(a, mesh, spec)
    b, sides = sides_of(b, plan)
    dtype = jnp.promote_types(a.dtype, b.dtype)
    info = jnp.int32(0)
    if b.size == 0:
        x = b.astype(dtype)
    else:
        donate = (0,) * bool(overwrite_a) + (1,) * bool(overwrite_b)
        keep = bool(overwrite_a)
        static = _Static(plan, sides, nb, lower, keep)
        x, info, *_ = run(_posv, static, a.astype(dtype), b.astype(dtype), donate=donate)
    return (x, info) if return_info else x

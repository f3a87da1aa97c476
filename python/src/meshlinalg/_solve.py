# SPDX-License-Identifier: Apache-2.0
"""Linear systems."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp

from . import _ops, _options, _rules
from ._ops import Call
from ._sharding import Plan, as_array, overwriting, plan_of, run, sides_of


def _posv(call: Call, a, b):
    rows, b = _ops.rows_of(call, a), call.sides.enter(b, call.plan)
    x, info, *kept = _rules.posv(call, rows, b)
    return *kept, call.sides.leave(x, call.plan), info


def _info(call: Call, a):
    _, info, *kept = _ops.logdet(call, _ops.rows_of(call, a))
    return *kept, info


def solve_planned(a, b, plan: Plan, *, nb, fill, overwrite_a, overwrite_b, return_info):
    """`solve` for a matrix whose plan is made."""
    if b.ndim > 2:  # a stack becomes columns
        options = {"nb": nb, "fill": fill, "return_info": return_info}
        kept = {"overwrite_a": False, "overwrite_b": False}
        one = functools.partial(solve_planned, a, plan=plan, **options, **kept)
        return jax.vmap(one, out_axes=(0, None) if return_info else 0)(b)
    a, b, sides = sides_of(a, b, plan)
    call = Call(plan, nb, fill, sides, keep=overwrite_a)
    if b.size > 0:
        how = overwriting(plan, overwrite_a, overwrite_b)
        *_, x, info = run(_posv, call, a, b, **how)
        return (x, info) if return_info else x
    if not return_info:
        return b
    # No right-hand sides: there is still an info.
    info = jnp.int32(0)
    if plan.n > 0:
        *_, info = run(_info, call, a, **overwriting(plan, overwrite_a))
    return b, info


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
    engine: str = "auto",
    precision=None,
    return_info: bool = False,
):
    """Solves A x = b for a Hermitian positive definite matrix (LAPACK ``posv``).

    Args:
      a: (n, n), float32, float64, complex64 or complex128: Hermitian, in full (see `lower`).
        Any sharding; ``P("x", None)`` and ``P(None, "x")`` are used as they lie, others are
        resharded inside the same program. Without a mesh: one device.
      b: (n,), (n, k) or a stack (..., n, k): right-hand sides, sharded along rows or
        replicated. Promoted with `a` to a common type.
      assume_a: ``"pos"``, the only structure available.
      lower: None reads all of `a`. True or False reads only the lower or the upper triangle
        and completes the matrix from it (one transposition across the devices).
      overwrite_a, overwrite_b: donate the argument: its memory becomes the work space and the
        array is deleted, unless it has to be converted to another type. Outside of ``jax.jit``
        only; inside, the outer jit decides (and can use a donated `a` only if it returns an
        array like it: see `cho_factor`).
      mesh, spec: mesh and PartitionSpec of `a` where they cannot be seen: in a program with
        automatic axes, or for an array that is on no mesh yet.
      tile_size: width of the tiles; None: chosen from n, the devices and the type.
      engine: ``"native"``: the library's own algorithms; ``"cusolvermg"``: NVIDIA's library for the
        GPUs of one process; ``"auto"``: whichever is known to be faster (docs/engines.md).
      precision: as in ``jax.lax``; None is the full accuracy of the type.
      return_info: also return LAPACK's ``info``.

    Returns:
      x, with the shape and sharding of `b`; with `return_info` the tuple (x, info): info is an
      int32 scalar, 0, or i > 0 if the leading minor of order i is not positive definite; x is
      NaN then. There is no exception for numerical failure.

    Raises:
      TypeError, ValueError: when traced, naming the argument, its value and what was expected.

    Accuracy: backward stable, the residual of a float64 system is a few units of rounding
    times ||A|| ||x||. Cost: n^3/3 + 2 n^2 k multiply-add pairs, shared by the devices (complex:
    four times as many); memory: the shards, plus 20 %.
    """
    _options.check_assume_a(assume_a)
    common = _options.common(
        _options.triangle(lower),
        tile_size,
        precision,
        overwrite_a=overwrite_a,
        overwrite_b=overwrite_b,
        return_info=return_info,
    )
    b = as_array(b, "b")
    a, plan = plan_of(a, mesh, spec, near=b, engine=engine)
    return solve_planned(a, b, plan, **common)

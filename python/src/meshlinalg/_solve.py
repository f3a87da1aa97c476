# SPDX-License-Identifier: Apache-2.0
"""Linear systems."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp

from . import _ops, _options, _refine, _rules
from ._ops import Call
from ._sharding import Plan, as_array, overwriting, plan_of, run, sides_of


def _posv(call: Call, a, b):
    rows, b = _ops.rows_of(call, a), call.sides.enter(b, call.plan)
    x, info, *kept = _rules.posv(call, rows, b)
    return *kept, call.sides.leave(x, call.plan), info


def _info(call: Call, a):
    _, info, *kept = _ops.logdet(call, _ops.rows_of(call, a))
    return *kept, info


def _refine_stack(a, b, plan: Plan, *, return_info, **options):
    """All columns of a stack together: one factor, one RefineInfo."""
    n, k = b.shape[-2:]
    columns = jnp.moveaxis(b, -2, 0).reshape(n, -1)
    kept = {"overwrite_a": False, "overwrite_b": False}
    x, how = solve_planned(a, columns, plan, return_info=True, refine=True, **options, **kept)
    x = jnp.moveaxis(x.reshape(n, *b.shape[:-2], k), 0, -2)
    return (x, how) if return_info else x


def solve_planned(
    a, b, plan: Plan, *, nb, fill, overwrite_a, overwrite_b, return_info, refine=False
):
    """`solve` for a matrix whose plan is made."""
    if b.ndim > 2:  # a stack becomes columns
        if refine:
            return _refine_stack(a, b, plan, nb=nb, fill=fill, return_info=return_info)
        options = {"nb": nb, "fill": fill, "return_info": return_info}
        kept = {"overwrite_a": False, "overwrite_b": False}
        one = functools.partial(solve_planned, a, plan=plan, **options, **kept)
        return jax.vmap(one, out_axes=(0, None) if return_info else 0)(b)
    a, b, sides = sides_of(a, b, plan)
    if refine:
        x, how = b, _refine.nothing_to_do(b.dtype)
        if b.size > 0:
            x, how = run(_refine.refined, Call(plan, nb, fill, sides), a, b)
        return (x, how) if return_info else x
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
    refine: bool = False,
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
      precision: of the products in float32 and complex64 on GPUs, in the words of ``jax.lax``: None
        or ``"highest"`` is the full accuracy of the type (six products of bfloat16 pieces on tensor
        cores where that is faster), ``"high"`` three (16 bits), ``"default"`` one (8 bits).
      refine: factor in lower precision and refine the solution by conjugate gradients to the
        residual of a backward stable solver (docs/refinement.md): float64 from a float32 factor,
        float32 from one bfloat16 product. If that does not converge, the full precision follows.
        Takes memory for the smaller factor beside `a`, which is kept (overwrite_a does nothing).
      return_info: also return LAPACK's ``info``; with `refine` a `RefineInfo`.

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
        overwrite_a=overwrite_a,
        overwrite_b=overwrite_b,
        return_info=return_info,
        refine=refine,
    )
    b = as_array(b, "b")
    a, plan = plan_of(a, mesh, spec, near=b, engine=engine, precision=precision)
    return solve_planned(a, b, plan, **common)

# SPDX-License-Identifier: Apache-2.0
"""Linear systems."""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp

from . import _ffi, _ops, _options, _refine, _rules, _rules_lu
from ._lu import system
from ._ops import Call
from ._sharding import Plan, as_array, overwriting, plan_of, run, sides_of


def _posv(call: Call, a, b):
    rows, b = _ops.rows_of(call, a), call.sides.enter(b, call.plan)
    x, info, *kept = _rules.posv(call, rows, b)
    return *kept, call.sides.leave(x, call.plan), info


def _potrf_info(call: Call, a):
    _, info, *kept = _ops.logdet(call, _ops.rows_of(call, a))
    return *kept, info


def _gesv(call: Call, a, b):
    op, _ = system(call.plan, 0)
    call = dataclasses.replace(call, op=op)
    rows, b = _ops.rows_of(call, a), call.sides.enter(b, call.plan)
    x, info, *kept = _rules_lu.gesv(call, rows, b)
    return *kept, call.sides.leave(x, call.plan), info


def _getrf_info(call: Call, a):
    _, _, info, *kept = _ops.slogdet(call, _ops.rows_of(call, a))
    return *kept, info


def _triangle(call: Call, a, lower: bool):
    """Rows of a lower triangular matrix, zeros above: A or A^H, and the op that makes A of it."""
    plan = call.plan
    turned = lower == (plan.kind == "columns")

    def local(rows):
        rows = plan.turn(rows) if turned else rows
        row, col = plan.indices(rows)
        return jnp.where(row >= col, rows, 0)

    rows = plan.map(local, (plan.rows_spec,), plan.rows_spec)(_ops.rows_of(call, a))
    return rows, _ffi.OP_N if lower else _ffi.OP_C


def _diagonal(call: Call, a):
    """The diagonal of A, laid out as right-hand sides are."""
    plan = call.plan

    def local(rows):
        row, col = plan.indices(rows)
        d = jnp.sum(jnp.where(row == col, rows, 0), axis=1)
        d = jnp.conj(d) if plan.kind == "columns" else d
        return d if call.sides.rows else _rules._share(plan, d)

    spec = call.sides_spec
    return plan.map(local, (plan.rows_spec,), type(spec)(spec[0]))(_ops.rows_of(call, a))


def _first_zero(plan: Plan, d):
    """LAPACK's info of a triangular matrix with this diagonal."""
    d = d[: plan.n]
    bad = ~(jnp.abs(d) > 0)
    return jnp.where(jnp.any(bad), jnp.argmax(bad) + 1, 0).astype(jnp.int32)


def _trsv(call: Call, a, b, lower: bool):
    rows, op = _triangle(call, a, lower)
    x = _rules_lu.trtrs(dataclasses.replace(call, op=op), rows, call.sides.enter(b, call.plan))
    return _checked(call, a, x)


def _lower(call: Call, a, b):
    return _trsv(call, a, b, lower=True)


def _upper(call: Call, a, b):
    return _trsv(call, a, b, lower=False)


def _scale(call: Call, a, b):
    b = call.sides.enter(b, call.plan)
    return _checked(call, a, b / _diagonal(call, a)[:, None])


def _checked(call: Call, a, x):
    """x, NaN if the diagonal of A has a zero; info."""
    whole = dataclasses.replace(call, sides=dataclasses.replace(call.sides, rows=False))
    info = _first_zero(call.plan, _diagonal(whole, a))
    return call.sides.leave(jnp.where(info == 0, x, jnp.nan), call.plan), info


def _diagonal_info(call: Call, a):
    whole = dataclasses.replace(call, sides=dataclasses.replace(call.sides, rows=False))
    return (_first_zero(call.plan, _diagonal(whole, a)),)


# What solves, and what gives info where there is nothing to solve.
_BODIES = {
    "gen": (_gesv, _getrf_info),
    "pos": (_posv, _potrf_info),
    "lower triangular": (_lower, _diagonal_info),
    "upper triangular": (_upper, _diagonal_info),
    "diagonal": (_scale, _diagonal_info),
}


def _refine_stack(a, b, plan: Plan, *, return_info, **options):
    """All columns of a stack together: one factor, one RefineInfo."""
    n, k = b.shape[-2:]
    columns = jnp.moveaxis(b, -2, 0).reshape(n, -1)
    kept = {"overwrite_a": False, "overwrite_b": False}
    x, how = solve_planned(a, columns, plan, return_info=True, refine=True, **options, **kept)
    x = jnp.moveaxis(x.reshape(n, *b.shape[:-2], k), 0, -2)
    return (x, how) if return_info else x


def solve_planned(
    a,
    b,
    plan: Plan,
    *,
    assume_a,
    nb,
    fill,
    overwrite_a,
    overwrite_b,
    return_info,
    refine=False,
):
    """`solve` for a matrix whose plan is made."""
    if b.ndim > 2:  # a stack becomes columns
        options = {"assume_a": assume_a, "nb": nb, "fill": fill, "return_info": return_info}
        if refine:
            return _refine_stack(a, b, plan, **options)
        kept = {"overwrite_a": False, "overwrite_b": False}
        one = functools.partial(solve_planned, a, plan=plan, **options, **kept)
        return jax.vmap(one, out_axes=(0, None) if return_info else 0)(b)
    a, b, sides = sides_of(a, b, plan)
    if refine:
        x, how = b, _refine.nothing_to_do(b.dtype)
        if b.size > 0:
            x, how = run(_refine.refined, Call(plan, nb, fill, sides), a, b)
        return (x, how) if return_info else x
    body, info_alone = _BODIES.get(assume_a, _BODIES["gen"])
    factors = assume_a not in ("lower triangular", "upper triangular", "diagonal")
    call = Call(plan, nb, fill, sides, keep=overwrite_a and factors)
    how = overwriting(plan, overwrite_a and factors, overwrite_b)
    if b.size > 0:
        *_, x, info = run(body, call, a, b, **how)
        return (x, info) if return_info else x
    if not return_info:
        return b
    # No right-hand sides: there is still an info.
    info = jnp.int32(0)
    if plan.n > 0:
        *_, info = run(info_alone, call, a, **overwriting(plan, overwrite_a and factors))
    return b, info


def solve(
    a,
    b,
    *,
    assume_a: str = "gen",
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
    """Solves A x = b (LAPACK ``gesv`` or, for a positive definite matrix, ``posv``).

    Args:
      a: (n, n), float32, float64, complex64 or complex128. Any sharding; ``P("x", None)`` and
        ``P(None, "x")`` are used as they lie, others are resharded inside the same program.
        Without a mesh: one device.
      b: (n,), (n, k) or a stack (..., n, k): right-hand sides, sharded along rows or
        replicated. Promoted with `a` to a common type.
      assume_a: the structure of `a`:
        ``"gen"``: none; LU with partial pivoting.
        ``"sym"``, ``"her"``: symmetric, Hermitian, not known to be definite; by LU as well.
        ``"pos"``: Hermitian positive definite; Cholesky, in half the time.
        ``"lower triangular"``, ``"upper triangular"``, ``"diagonal"``: substitution, division;
        what lies outside is not read.
      lower: of a Hermitian matrix (``"pos"``, ``"her"``). None reads all of `a`. True or False
        reads only the lower or the upper triangle and completes the matrix from it (one
        transposition across the devices).
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
      refine: with ``"pos"`` alone: factor in lower precision and refine the solution by conjugate
        gradients to the residual of a backward stable solver (docs/refinement.md): float64 from a
        float32 factor, float32 from one bfloat16 product. If that does not converge, the full
        precision follows. Takes memory for the smaller factor beside `a`, which is kept
        (overwrite_a does nothing).
      return_info: also return LAPACK's ``info``; with `refine` a `RefineInfo`.

    Returns:
      x, with the shape and sharding of `b`; with `return_info` the tuple (x, info): info is an
      int32 scalar, 0, or i > 0 if a pivot is zero or NaN (that of row i - 1 of `a`) or, with
      ``"pos"``, if the leading minor of order i is not positive definite; x is NaN then. There
      is no exception for numerical failure.

    Raises:
      TypeError, ValueError: when traced, naming the argument, its value and what was expected.

    Accuracy: backward stable, the residual of a float64 system is a few units of rounding
    times ||A|| ||x|| (by LU: times the growth of the pivots, which is small but for rare
    matrices). Cost: n^3/3 + n^2 k multiply-add pairs (``"pos"``: n^3/6), shared by the devices
    (complex: four times as many); memory: the shards, plus 20 %.
    """
    assume_a = _options.check_assume_a(assume_a)
    common = _options.common(
        _options.structure_fill(assume_a, lower),
        tile_size,
        overwrite_a=overwrite_a,
        overwrite_b=overwrite_b,
        return_info=return_info,
        refine=refine,
    )
    if refine and assume_a != "pos":
        raise ValueError(f"refine=True is for assume_a='pos', got assume_a={assume_a!r}")
    b = as_array(b, "b")
    a, plan = plan_of(a, mesh, spec, near=b, engine=engine, precision=precision)
    return solve_planned(a, b, plan, assume_a=assume_a, **common)

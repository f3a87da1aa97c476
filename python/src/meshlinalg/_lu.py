# SPDX-License-Identifier: Apache-2.0
"""LU factors: one to work with, and the triangular matrices themselves."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from . import _ffi, _ops, _options, _rules_lu
from . import _jax_compat as compat
from ._ops import Call
from ._sharding import Plan, overwriting, plan_of, run, sides_of


class SlogdetResult(NamedTuple):
    """Sign and logarithm of the absolute value of a determinant."""

    sign: Any
    logabsdet: Any


class LUResult(NamedTuple):
    """A = P L U."""

    P: Any
    L: Any
    U: Any


def system(plan: Plan, trans: int) -> tuple[int, bool]:
    """(op, conjugate) with which the row shards of M give the solution of A x = b, A^T x = b or
    A^H x = b. They are rows of A, or of A^H where A is cut by columns; op is of M, and conjugate
    asks for conj(x) from conj(b)."""
    if plan.kind != "columns":
        return (_ffi.OP_N, _ffi.OP_T, _ffi.OP_C)[trans], False
    return (_ffi.OP_C, _ffi.OP_N, _ffi.OP_N)[trans], trans == 1


def sign_of(plan: Plan, sign):
    """The sign of det A from that of det M."""
    return jnp.conj(sign) if plan.kind == "columns" else sign


def check_trans(trans) -> int:
    if isinstance(trans, bool) or trans not in (0, 1, 2):
        raise ValueError(f"trans={trans!r}, expected 0 (A x = b), 1 (A^T x = b) or 2 (A^H x = b)")
    return int(trans)


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=("rows", "order", "sign", "logabsdet", "info"),
    meta_fields=("plan", "nb"),
)
@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class LUFactor:
    """LU factor with partial pivoting of a matrix A, made by `lu_factor`.

    A pytree: it may be an argument or a result of jax.jit, a carry of scan, donated, kept. If A
    is singular or holds NaN, `solve` and `inv` return NaN.

    Attributes:
      info: int32 scalar, 0, or i > 0 if the pivot of row i - 1 of A is zero or NaN.
      shape, dtype: of A.
      rows, order: the factor and its pivots, in the library's order of elimination: not the
        triangular matrices (`lu` makes them).
    """

    rows: Any
    order: Any
    sign: Any
    logabsdet: Any
    info: Any
    plan: Plan
    nb: int

    @property
    def shape(self) -> tuple[int, int]:
        return self.plan.n, self.plan.n

    @property
    def dtype(self):
        return self.rows.dtype

    def __repr__(self) -> str:
        dtype = getattr(self.rows, "dtype", None)
        return f"LUFactor(shape={self.shape}, dtype={dtype}, {self.plan.kind})"

    def solve(self, b, trans: int = 0, *, overwrite_b: bool = False):
        """x with A x = b (trans=0), A^T x = b (1) or A^H x = b (2), for b (n,) or (n, k)."""
        _options.check_bool(overwrite_b, "overwrite_b")
        op, conjugate = system(self._plan(), check_trans(trans))
        plan = self._plan()
        rows, b, sides = sides_of(self.rows, b, plan)
        if rows.dtype != self.dtype:
            raise TypeError(f"b has dtype {b.dtype.name}, the factor {self.dtype.name}: too narrow")
        if b.size == 0:
            return b
        call = Call(plan, self.nb, sides=sides, op=op)
        body = _getrs_conj if conjugate else _getrs
        return run(body, call, rows, self.order, self.info, b, donate=(3,) * overwrite_b)

    def slogdet(self) -> SlogdetResult:
        """Sign and logarithm of |det A|."""
        plan = self._plan()
        if plan.n == 0:
            return SlogdetResult(self.sign, self.logabsdet)
        call = Call(plan, self.nb)
        out = run(_factor_slogdet, call, self.rows, self.order, self.sign, self.logabsdet)
        return SlogdetResult(*out)

    def det(self):
        """det A, in the type of A."""
        sign, size = self.slogdet()
        return sign * jnp.exp(size).astype(sign.dtype)

    def inv(self):
        """The inverse of A, sharded as A was."""
        plan = self._plan()
        if plan.n == 0:
            return self.rows
        return run(_getri, Call(plan, self.nb), self.rows, self.order, self.info)

    def _plan(self) -> Plan:
        """The plan, on the mesh where the factor is now: with its devices if they are known."""
        if not self.plan.mapped:
            return self.plan
        if isinstance(self.rows, compat.Tracer):
            return self.plan.on(jax.typeof(self.rows).sharding.mesh)
        sharding = self.rows.sharding
        return self.plan.on(sharding.mesh if isinstance(sharding, NamedSharding) else None)


def _getrs(call: Call, rows, order, info, b):
    x = _rules_lu.getrs(call, rows, order, call.sides.enter(b, call.plan))
    return call.sides.leave(jnp.where(info == 0, x, jnp.nan), call.plan)


def _getrs_conj(call: Call, rows, order, info, b):
    return jnp.conj(_getrs(call, rows, order, info, jnp.conj(b)))


def _factor_slogdet(call: Call, rows, order, sign, size):
    sign, size = _rules_lu.factor_slogdet(call, rows, order, sign_of(call.plan, sign), size)
    return sign_of(call.plan, sign), size


def _getri(call: Call, rows, order, info):
    inverse = _rules_lu.getri(call, rows, order)
    return _ops.deliver(call, jnp.where(info == 0, inverse, jnp.nan), hermitian=True)


def _getrf(call: Call, a):
    rows, order, sign, size, info = _rules_lu.factor(call, _ops.rows_of(call, a))
    return rows, order, sign_of(call.plan, sign), size, info


def lu_factor_planned(a, plan: Plan, *, nb, fill, overwrite_a) -> LUFactor:
    """`lu_factor` for a matrix whose plan is made."""
    if plan.n == 0:
        sign, size = jnp.ones((), a.dtype), jnp.zeros((), _ffi.real_dtype(a.dtype))
        parts = a, jnp.zeros(0, jnp.int32), sign, size, jnp.int32(0)
    else:
        parts = run(_getrf, Call(plan, nb, fill), a, **overwriting(plan, overwrite_a))
    # Without devices: factors that are made in and out of a program have one structure.
    if plan.mapped:
        plan = plan.on(compat.abstract_mesh(plan.mesh))
    return LUFactor(*parts, plan, nb)


def lu_factor(
    a,
    *,
    overwrite_a: bool = False,
    mesh=None,
    spec=None,
    tile_size: int | None = None,
    precision=None,
) -> LUFactor:
    """Factors a matrix once, with partial pivoting, to solve with it many times.

    Args:
      As in `solve`. With `overwrite_a` (or when an outer jit donates `a`) the factor takes the
      memory of `a`, if `a` is sharded by rows.

    Returns:
      An `LUFactor` F: ``F.solve(b)``, ``F.solve(b, trans=1)``, ``F.slogdet()``, ``F.det()``,
      ``F.inv()``, ``F.info``. Not the tuple of SciPy: the pivots are among the columns of `a`.

    Cost: 2/3 n^3 multiply-add pairs, shared by the devices; each solution 2 n^2 a column.
    """
    common = _options.common(None, tile_size, overwrite_a=overwrite_a)
    a, plan = plan_of(a, mesh, spec, precision=precision)
    return lu_factor_planned(a, plan, **common)


def lu_solve(factor: LUFactor, b, trans: int = 0, *, overwrite_b: bool = False):
    """x with A x = b, A^T x = b (trans=1) or A^H x = b (trans=2), given `lu_factor` of A."""
    if not isinstance(factor, LUFactor):
        raise TypeError(
            f"factor must be an LUFactor, from meshlinalg.lu_factor, got {factor!r:.100}"
        )
    return factor.solve(b, trans, overwrite_b=overwrite_b)


# ---- P, L, U -----------------------------------------------------------------------------------


def _lu(call: Call, a, permute_l=False):
    plan = call.plan
    rows = _ops.rows_of(call, a)
    if plan.kind != "columns":  # rows of A^H: columns of conj(A) are what is eliminated
        rows = _ops.turn(call, rows)
    low, up, order = _ops.lu(call, rows, permute_l)
    if plan.kind != "columns":
        low, up = _ops.turn(call, low), _ops.turn(call, up)
    deliver = functools.partial(_ops.deliver, call, hermitian=True)
    return order, deliver(low), deliver(up)


def _lu_permuted(call: Call, a):
    return _lu(call, a, permute_l=True)


def _permutation(call: Call, order):
    """P with P[order[i], i] = 1, laid out like A."""
    plan = call.plan

    def local(order):
        rows = jnp.zeros((plan.lc, plan.n), jnp.int32)
        row, _ = plan.indices(rows)
        if plan.kind == "columns":  # rows of P^T
            return (jnp.take(order, row[:, 0], mode="clip")[:, None] == jnp.arange(plan.n)).T
        return plan.local_matrix(row == order)

    return plan.leave(plan.map(local, (P(None),), plan.matrix_spec)(order))


def lu(
    a,
    permute_l: bool = False,
    *,
    p_indices: bool = False,
    overwrite_a: bool = False,
    mesh=None,
    spec=None,
    tile_size: int | None = None,
    precision=None,
):
    """LU factorisation A = P L U of a square matrix, as ``scipy.linalg.lu``.

    Args:
      a, overwrite_a, mesh, spec, tile_size, precision: as in `solve`.
      permute_l: return (P L, U) instead of (P, L, U).
      p_indices: P as int32 indices p with A = L[p] U.

    Returns:
      `LUResult` (P, L, U), or (P L, U): L unit lower triangular, U upper triangular, P a
      permutation, in the type and with the sharding of `a`. NaN in `a` gives NaN.

    To solve systems, `lu_factor` is faster: it balances the work among the devices, which the
    natural order of L and U does not allow, and need not move anything between them.
    """
    _options.check_bool(permute_l, "permute_l")
    _options.check_bool(p_indices, "p_indices")
    common = _options.common(None, tile_size, overwrite_a=overwrite_a)
    a, plan = plan_of(a, mesh, spec, precision=precision)
    call = Call(plan, common["nb"])
    if plan.n == 0:
        order, low, up = jnp.zeros(0, jnp.int32), a, a
    else:
        body = _lu_permuted if permute_l else _lu
        order, low, up = run(body, call, a, **overwriting(plan, overwrite_a))
    if permute_l:
        return low, up
    if p_indices:
        return LUResult(jnp.argsort(order), low, up)
    p = run(_permutation, call, order).astype(a.dtype) if plan.n else a
    return LUResult(p, low, up)

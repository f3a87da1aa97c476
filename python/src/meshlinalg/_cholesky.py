# SPDX-License-Identifier: Apache-2.0
"""Cholesky factors: one to work with, and the triangular matrix itself."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from . import _ffi, _ops, _options, _rules
from . import _jax_compat as compat
from ._ops import Call
from ._sharding import Plan, as_array, overwriting, plan_of, run, sides_of


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=("rows", "log_determinant", "info"),
    meta_fields=("plan", "nb"),
)
@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class CholeskyFactor:
    """Cholesky factor of a Hermitian positive definite matrix A, made by `cho_factor`.

    A pytree: it may be an argument or a result of jax.jit, a carry of scan, donated, saved (see
    `to`). Its methods have derivatives with respect to A, through `cho_factor`. If A is not
    positive definite its methods return NaN.

    Attributes:
      info: int32 scalar, 0, or i > 0 if the leading minor of order i is not positive definite.
      shape, dtype: of A.
      rows: the factor in the library's order of elimination, sharded by rows: not a triangular
        matrix (`cholesky` makes one).
    """

    rows: Any
    log_determinant: Any
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
        return f"CholeskyFactor(shape={self.shape}, dtype={dtype}, {self.plan.kind})"

    def solve(self, b, *, overwrite_b: bool = False):
        """x with A x = b, for b (n,), (n, k) or (..., n, k): as `meshlinalg.solve`."""
        _options.check_bool(overwrite_b, "overwrite_b")
        b = as_array(b, "b")
        if b.ndim > 2:
            return jax.vmap(self.solve)(b)
        plan = self._plan()
        rows, b, sides = sides_of(self.rows, b, plan)
        if rows.dtype != self.dtype:
            raise TypeError(f"b has dtype {b.dtype.name}, the factor {self.dtype.name}: too narrow")
        if b.size == 0:
            return b
        call = Call(plan, self.nb, sides=sides)
        return run(_potrs, call, rows, b, donate=(1,) * overwrite_b)

    def logdet(self):
        """log det A, a scalar of A's real type."""
        plan = self._plan()
        if plan.n == 0:
            return self.log_determinant
        return run(_factor_logdet, Call(plan, self.nb), self.rows, self.log_determinant)

    def inv(self):
        """The inverse of A, in full, sharded as A was."""
        plan = self._plan()
        return self.rows if plan.n == 0 else run(_potri, Call(plan, self.nb), self.rows)

    def diag_inv(self):
        """The diagonal of the inverse, (n,), real, on every device.

        Memory: a copy of the factor, in which the inverse is formed; none if an outer jit
        donates the factor.
        """
        plan = self._plan()
        if plan.n == 0:
            return jnp.zeros(0, _ffi.real_dtype(self.dtype))
        return run(_diag_inv, Call(plan, self.nb), self.rows)

    def to(self, mesh: Mesh) -> CholeskyFactor:
        """The factor on `mesh`, as after it was saved and read: its leaves may be NumPy arrays.

        The mesh needs the axes that the factor was made on, with the same sizes, for the order
        of elimination depends on them; its devices may be others.
        """
        if not isinstance(mesh, Mesh):
            raise TypeError(f"mesh must be a jax.sharding.Mesh, got {mesh!r}")
        plan, sizes = self.plan, dict(mesh.shape)
        if not plan.mapped or plan.group.sizes != tuple(sizes.get(x) for x in plan.axes):
            made = dict(zip(plan.axes, plan.group.sizes, strict=True)) or "no mesh"
            raise ValueError(f"mesh has the axes {sizes}, but the factor was made on {made}")
        specs = (plan.rows_spec, P(), P())
        arrays = (self.rows, self.log_determinant, self.info)
        placed = (
            jax.device_put(x, NamedSharding(mesh, spec))
            for x, spec in zip(arrays, specs, strict=True)
        )
        return CholeskyFactor(*placed, plan.on(compat.abstract_mesh(mesh)), self.nb)

    def _plan(self) -> Plan:
        """The plan, on the mesh where the factor is now: with its devices if they are known."""
        if not self.plan.mapped:
            return self.plan
        if isinstance(self.rows, compat.Tracer):
            return self.plan.on(jax.typeof(self.rows).sharding.mesh)
        sharding = getattr(self.rows, "sharding", None)
        if not isinstance(sharding, NamedSharding):
            raise ValueError(
                f"the factor was made on a mesh with axes {self.plan.axes} and is not on one "
                "now; use factor.to(mesh)"
            )
        return self.plan.on(sharding.mesh)


def _potrs(call: Call, f, b):
    x = _rules.potrs(call, f, call.sides.enter(b, call.plan))
    return call.sides.leave(x, call.plan)


def _potri(call: Call, f):
    return _ops.deliver(call, _rules.potri(call, f), hermitian=True)


def _diag_inv(call: Call, f):
    return _rules.diagonal_of_inverse(call, f)


def _factor_logdet(call: Call, f, value):
    return _rules.factor_logdet(call, f, value)


def _potrf(call: Call, a):
    logdet, info, f = _rules.factor(call, _ops.rows_of(call, a))
    return f, logdet, info


def cho_factor_planned(a, plan: Plan, *, nb, fill, overwrite_a) -> CholeskyFactor:
    """`cho_factor` for a matrix whose plan is made."""
    if plan.n == 0:
        f, logdet, info = a, jnp.zeros((), _ffi.real_dtype(a.dtype)), jnp.int32(0)
    else:
        call = Call(plan, nb, fill, keep=True)
        f, logdet, info = run(_potrf, call, a, **overwriting(plan, overwrite_a))
    # Without devices: factors that are made in and out of a program have one structure.
    if plan.mapped:
        plan = plan.on(compat.abstract_mesh(plan.mesh))
    return CholeskyFactor(f, logdet, info, plan, nb)


def cho_factor(
    a,
    *,
    lower: bool | None = None,
    overwrite_a: bool = False,
    mesh=None,
    spec=None,
    tile_size: int | None = None,
    engine: str = "auto",
    precision=None,
) -> CholeskyFactor:
    """Factors a Hermitian positive definite matrix once, to solve with it many times.

    Args:
      As in `solve`. With `overwrite_a` (or when an outer jit donates `a`) the factor takes the
      memory of `a`, if `a` is sharded by rows.

    Returns:
      A `CholeskyFactor` F: ``F.solve(b)``, ``F.logdet()``, ``F.inv()``, ``F.diag_inv()``,
      ``F.info``.

    Cost: n^3/3 multiply-add pairs, shared by the devices; each solution 2 n^2 a column.
    """
    fill = _options.triangle(lower)
    common = _options.common(fill, tile_size, overwrite_a=overwrite_a)
    a, plan = plan_of(a, mesh, spec, engine=engine, precision=precision)
    return cho_factor_planned(a, plan, **common)


def cho_solve(factor: CholeskyFactor, b, *, overwrite_b: bool = False):
    """x with A x = b, given `cho_factor` of A: the same as ``factor.solve(b)``."""
    if not isinstance(factor, CholeskyFactor):
        raise TypeError(
            f"factor must be a CholeskyFactor, from meshlinalg.cho_factor, got {factor!r:.100}"
        )
    return factor.solve(b, overwrite_b=overwrite_b)


def _upper(call: Call, a):
    return _ops.deliver(call, _rules.cholesky(call, _ops.rows_of(call, a)))


def _lower(call: Call, a):
    u = _rules.cholesky(call, _ops.rows_of(call, a))
    if call.plan.kind == "columns":  # columns of L are rows of U, conjugated
        return _ops.deliver(call, u, hermitian=True)
    return _ops.deliver(call, _ops.turn(call, u))


def cholesky_planned(a, plan: Plan, *, upper, nb, fill, overwrite_a):
    """`cholesky` for a matrix whose plan is made."""
    if plan.n == 0:
        return a
    call = Call(plan, nb, fill)
    return run(_upper if upper else _lower, call, a, **overwriting(plan, overwrite_a))


def cholesky(
    a,
    *,
    upper: bool = False,
    symmetrize_input: bool = True,
    overwrite_a: bool = False,
    mesh=None,
    spec=None,
    tile_size: int | None = None,
    engine: str = "auto",
    precision=None,
):
    """Cholesky factor of a Hermitian positive definite matrix, as ``jax.numpy.linalg.cholesky``.

    Args:
      upper: return U with A = U^H U instead of L with A = L L^H.
      symmetrize_input: factor (A + A^H) / 2. False: read only the lower triangle (the upper one
        with `upper`).
      Others as in `solve`.

    Returns:
      L or U, zero on the other side of the diagonal, with the sharding of `a`; NaN if `a` is not
      positive definite.

    To solve systems, `cho_factor` is faster: it balances the work among the devices, which the
    natural order of L does not allow, and need not move anything between them.
    """
    fill = _options.cholesky_fill(upper, symmetrize_input)
    common = _options.common(fill, tile_size, overwrite_a=overwrite_a)
    a, plan = plan_of(a, mesh, spec, engine=engine, precision=precision)
    return cholesky_planned(a, plan, upper=upper, **common)

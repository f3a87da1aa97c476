# SPDX-License-Identifier: Apache-2.0
"""Arguments that several functions share, checked."""

from __future__ import annotations

import operator

import jax
import jax.numpy as jnp

from . import _jax_compat as compat
from ._sharding import Plan

_PRECISIONS = (None, "default", "high", "highest")


def check_assume_a(assume_a) -> None:
    if assume_a not in ("pos", "positive definite"):
        raise ValueError(
            f"assume_a={assume_a!r} is not available; expected 'pos' (Hermitian positive definite)"
        )


def check_precision(precision) -> None:
    if precision in _PRECISIONS or isinstance(precision, jax.lax.Precision):
        return
    raise ValueError(f"precision={precision!r}, expected one of {_PRECISIONS}")


def check_tile(tile_size) -> int:
    """Tile width for the library; 0: automatic."""
    if tile_size is None:
        return 0
    try:
        value = operator.index(tile_size)
    except TypeError:
        raise TypeError(f"tile_size must be an integer or None, got {tile_size!r}") from None
    if value < 1:
        raise ValueError(f"tile_size={value}, expected a positive integer or None")
    return value


def check_flag(value, name: str) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    raise TypeError(f"{name} must be True, False or None, got {value!r}")


def complete(a, plan: Plan, lower: bool | None):
    """The Hermitian matrix of which one triangle is given; None: a is full as it is."""
    if lower is None:
        return a
    row, col = jnp.indices(a.shape, sparse=True)
    return jnp.where(row >= col if lower else row <= col, a, mirror(a, plan))


def symmetrize(a, plan: Plan):
    """(A + A^H) / 2, as jnp.linalg does."""
    return (a + mirror(a, plan)) / 2


def mirror(a, plan: Plan):
    """A^H, laid out like a: no device gets more than its shard."""
    turned = jnp.conj(a.T)
    if plan.mesh is None:
        return turned
    return compat.reshard(turned, plan.mesh, plan.spec if plan.spec is not None else plan.in_spec)

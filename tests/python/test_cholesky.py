# SPDX-License-Identifier: Apache-2.0
"""cho_factor, CholeskyFactor, cho_solve and cholesky."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

import meshlinalg as ml
from support import (
    COLUMNS4,
    DTYPES,
    LIMIT,
    ROWS3,
    ROWS4,
    ROWS8,
    cholesky_residual,
    indefinite,
    inverse_residual,
    kinds,
    logdet_error,
    normal,
    solve_residual,
    spd,
)


@pytest.mark.parametrize("layout", [ROWS8, ROWS3, COLUMNS4, None], ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_factor(dtype, layout):
    n = 72
    b = normal((n, 3), dtype, 1)
    for kind in kinds(dtype):
        a = spd(n, dtype, kind)
        factor = ml.cho_factor(a if layout is None else layout.put(a))
        assert factor.shape == (n, n) and factor.dtype == dtype and int(factor.info) == 0
        assert solve_residual(a, factor.solve(b), b) < LIMIT, kind
        assert solve_residual(a, ml.cho_solve(factor, b[:, 0]), b[:, 0]) < LIMIT, kind
        assert inverse_residual(a, factor.inv()) < LIMIT, kind
        assert logdet_error(a, factor.logdet()) < LIMIT, kind
        assert solve_residual(a, factor.solve(b), b) < LIMIT  # it is still there


def test_factor_keeps_layouts():
    a = spd(64)
    factor = ml.cho_factor(ROWS8.put(a))
    assert factor.rows.sharding.is_equivalent_to(ROWS8.put(a).sharding, 2)
    b = ROWS8.put(normal(64, seed=1), spec=P("x"))
    assert factor.solve(b).sharding.is_equivalent_to(b.sharding, 1)
    assert factor.inv().sharding.is_equivalent_to(ROWS8.put(a).sharding, 2)
    factor = ml.cho_factor(COLUMNS4.put(a))
    assert factor.inv().sharding.is_equivalent_to(COLUMNS4.put(a).sharding, 2)


@pytest.mark.parametrize("types", ["explicit", "auto"])
def test_factor_is_a_pytree(types):
    a, b = spd(64), normal((64, 2), seed=1)
    factor = ml.cho_factor(ROWS8.put(a, types))
    leaves, structure = jax.tree.flatten(factor)
    assert len(leaves) == 3
    again = jax.tree.unflatten(structure, leaves)
    assert solve_residual(a, again.solve(b), b) < LIMIT
    jax.tree.map(lambda x: None, factor)  # leaves of any kind
    assert "64" in repr(factor)

    x, same = jax.jit(lambda f, b: (f.solve(b), f))(factor, b)
    assert solve_residual(a, x, b) < LIMIT
    assert solve_residual(a, same.solve(b), b) < LIMIT
    assert logdet_error(a, jax.jit(lambda f: f.logdet())(factor)) < LIMIT


@pytest.mark.parametrize("types", ["explicit", "auto"])
def test_factor_has_one_structure(types):
    """A factor made in a program may take the place of one made outside."""
    a = ROWS8.put(spd(64), types)
    outside, inside = ml.cho_factor(a), jax.jit(ml.cho_factor)(a)
    assert jax.tree.structure(outside) == jax.tree.structure(inside)

    def step(factor, b):
        return ml.cho_factor(a * 2), factor.solve(b)

    b = normal((3, 64), seed=1)
    last, x = jax.jit(lambda f, b: jax.lax.scan(step, f, b))(outside, b)
    assert solve_residual(spd(64), x[0], b[0]) < LIMIT
    assert solve_residual(2 * spd(64), x[2], b[2]) < LIMIT
    assert solve_residual(2 * spd(64), last.solve(b[0]), b[0]) < LIMIT


def test_factor_of_complex_right_hand_sides():
    """A real factor solves for complex b; a narrow one refuses what it cannot give."""
    a, b = spd(48), normal((48, 2), "complex128", 1)
    x = ml.cho_factor(ROWS4.put(a)).solve(b)
    assert x.dtype == jnp.complex128
    assert solve_residual(a, x, b) < LIMIT
    with pytest.raises(TypeError, match=r"float64.*float32"):
        ml.cho_factor(ROWS4.put(spd(48, "float32"))).solve(np.ones(48))


@pytest.mark.parametrize("layout", [ROWS8, ROWS3, COLUMNS4], ids=str)
def test_failed_factor(layout):
    n = 48
    factor = ml.cho_factor(layout.put(indefinite(n, "float64", n // 2)), tile_size=4)
    assert 1 <= int(factor.info) <= n
    assert np.isnan(factor.logdet())
    assert np.isnan(np.asarray(factor.solve(np.ones(n)))).all()
    assert np.isnan(np.asarray(factor.inv())).all()


@pytest.mark.parametrize("n", [0, 1, 3, 7])
def test_small_factor(n):
    a, b = spd(n), normal((n, 2), seed=1)
    for factor in (ml.cho_factor(a), ml.cho_factor(a, mesh=ROWS8.mesh())):
        assert solve_residual(a, factor.solve(b), b) < LIMIT
        assert factor.inv().shape == (n, n)
        assert n == 0 or inverse_residual(a, factor.inv()) < LIMIT
        np.testing.assert_allclose(factor.logdet(), np.linalg.slogdet(a)[1], atol=1e-13)


def test_frozen():
    factor = ml.cho_factor(np.eye(3))
    with pytest.raises(dataclasses.FrozenInstanceError):
        factor.info = 0


# ---- the triangular matrix ---------------------------------------------------------------------


@pytest.mark.parametrize("layout", [ROWS8, ROWS3, COLUMNS4, None], ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_cholesky(dtype, layout):
    for kind in kinds(dtype):
        a = spd(72, dtype, kind)
        placed = a if layout is None else layout.put(a)
        lower = np.asarray(ml.cholesky(placed))
        upper = np.asarray(ml.cholesky(placed, upper=True))
        assert lower.dtype == dtype and not np.triu(lower, 1).any() and not np.tril(upper, -1).any()
        assert cholesky_residual(a, lower) < LIMIT, kind
        np.testing.assert_array_equal(upper, lower.conj().T)
        assert (np.diag(lower).real > 0).all() and not np.diag(lower).imag.any()


@pytest.mark.parametrize("tile_size", [1, 3, 8, 9, 1000])
def test_cholesky_tile_size(tile_size):
    a = spd(72, "complex128")
    assert cholesky_residual(a, ml.cholesky(ROWS8.put(a), tile_size=tile_size)) < LIMIT


@pytest.mark.parametrize("layout", [ROWS4, COLUMNS4, None], ids=str)
def test_symmetrize_input(layout):
    """As in JAX: the mean with the transpose, or the one triangle."""
    n = 40
    skew = normal((n, n), "complex128", 3)
    skew = 0.1 * (skew - skew.conj().T)
    a = spd(n, "complex128")
    put = (lambda x: x) if layout is None else layout.put
    assert cholesky_residual(a, ml.cholesky(put(a + skew))) < LIMIT
    low = np.where(np.tril(np.ones((n, n))) > 0, a, np.nan)
    assert cholesky_residual(a, ml.cholesky(put(low), symmetrize_input=False)) < LIMIT
    up = ml.cholesky(put(low.conj().T), symmetrize_input=False, upper=True)
    assert cholesky_residual(a, np.asarray(up).conj().T) < LIMIT


@pytest.mark.parametrize("at", [0, 20, 39])
def test_cholesky_fails_as_in_jax(at):
    a = indefinite(40, "float64", at)
    ours, theirs = np.asarray(ml.cholesky(ROWS4.put(a))), np.asarray(jnp.linalg.cholesky(a))
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(theirs))

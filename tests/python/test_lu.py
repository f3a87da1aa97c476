# SPDX-License-Identifier: Apache-2.0
"""LU: general systems, transposed ones, inverses, determinants, the factors themselves."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
from jax.sharding import PartitionSpec as P

import meshlinalg as ml
from meshlinalg import shard
from support import (
    COLUMNS4,
    DTYPES,
    LAYOUTS,
    LIMIT,
    ROWS2,
    ROWS3,
    ROWS4,
    ROWS8,
    inverse_residual,
    normal,
    same_layout,
    solve_residual,
)

GRID = next(x for x in LAYOUTS if x.name == "grid")
REPLICATED = next(x for x in LAYOUTS if x.name == "replicated")
SUBMESH = next(x for x in LAYOUTS if x.name == "submesh")
N = 24  # every mesh divides it


def eps(dtype) -> float:
    return float(np.finfo(dtype).eps)


def close(got, want, dtype, factor=1e3):
    np.testing.assert_allclose(got, want, rtol=factor * eps(dtype), atol=factor * eps(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", [ROWS8, ROWS3, COLUMNS4, GRID, REPLICATED, SUBMESH], ids=str)
def test_general(layout, dtype):
    """One program: systems, the inverse, the determinant, a factor and all that it can do."""
    a, b = normal((N, N), dtype), normal((N, 3), dtype, 1)

    @jax.jit
    def everything(a, b):
        f = ml.lu_factor(a, tile_size=2)
        x, info = ml.solve(a, b, return_info=True)
        solved = [ml.lu_solve(f, b, trans) for trans in (0, 1, 2)]
        return x, info, solved, ml.inv(a), f.inv(), ml.slogdet(a), f.slogdet(), ml.det(a), f.det()

    A, B = layout.put(a, "auto"), layout.put(b, "auto", P(None, None))
    with jax.set_mesh(layout.mesh("auto")):
        where = functools.partial(jax.jit, out_shardings=A.sharding)
        x, info, solved, *inverses, s, fs, det, fdet = everything(A, B)
        assert same_layout(where(ml.inv)(A), layout, "auto")
    assert info == 0
    assert solve_residual(a, x, b) < LIMIT
    for op, y in zip((a, a.T, a.conj().T), solved, strict=True):
        assert solve_residual(op, y, b) < LIMIT
    for inverse in inverses:
        assert inverse_residual(a, inverse) < LIMIT
    sign, size = np.linalg.slogdet(a.astype("complex128"))
    for got in (s, fs):
        close(got.sign, sign, dtype)
        close(got.logabsdet, size, dtype)
    for got in (det, fdet):
        close(got / np.exp(size), sign, dtype)
        assert got.dtype == np.dtype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "complex128"])
@pytest.mark.parametrize("layout", [ROWS8, COLUMNS4, GRID, REPLICATED], ids=str)
def test_factors(layout, dtype):
    """P, L and U are SciPy's, and lie as A does."""
    a = normal((N, N), dtype, 2)
    A = layout.put(a)
    want = scipy.linalg.lu(a)
    got = ml.lu(A)
    for x, y in zip(got, want, strict=True):
        assert x.dtype == a.dtype and same_layout(x, layout)
        close(x, y, dtype)
    left, upper = ml.lu(A, permute_l=True)
    close(np.asarray(left) @ np.asarray(upper), a, dtype)
    order, low, upper = ml.lu(A, p_indices=True)
    close(np.asarray(low)[np.asarray(order)] @ np.asarray(upper), a, dtype)


@pytest.mark.parametrize("dtype", ["float32", "complex128"])
@pytest.mark.parametrize("layout", [ROWS8, COLUMNS4], ids=str)
@pytest.mark.parametrize("structure", ["lower triangular", "upper triangular", "diagonal"])
def test_triangular_and_diagonal(structure, layout, dtype):
    """What lies outside is not read."""
    a, b = normal((N, N), dtype) / N + np.eye(N, dtype=dtype), normal((N, 2), dtype, 1)
    part = {"l": np.tril, "u": np.triu, "d": lambda x: np.diag(np.diag(x))}[structure[0]]
    dirty = np.where(part(np.ones_like(a)) != 0, a, np.nan)
    x, info = ml.solve(layout.put(dirty), b, assume_a=structure, return_info=True)
    assert info == 0
    assert solve_residual(part(a), x, b) < LIMIT
    dirty[3, 3] = 0
    x, info = ml.solve(layout.put(dirty), b[:, 0], assume_a=structure, return_info=True)
    assert info == 4 and np.isnan(x).all()


@pytest.mark.parametrize("layout", [ROWS3, COLUMNS4], ids=str)
def test_singular(layout):
    """NaN for what is solved, (0, -inf) for the determinant; and NaN in A is NaN in all."""
    a, b = normal((N, N)), normal(N, seed=1)
    a[:, 5] = 0 if layout is COLUMNS4 else a[:, 5]
    a[5] = 0
    factor = ml.lu_factor(layout.put(a))
    x, info = ml.solve(layout.put(a), b, return_info=True)
    inverse, inverse_info = ml.inv(layout.put(a), return_info=True)
    assert info == inverse_info == factor.info == 6
    for y in (x, inverse, factor.solve(b), factor.inv()):
        assert np.isnan(y).all()
    for got in (ml.slogdet(layout.put(a)), factor.slogdet()):
        assert got.sign == 0 and got.logabsdet == -np.inf
    assert ml.det(layout.put(a)) == 0
    _, low, upper = ml.lu(layout.put(a), p_indices=True)
    assert np.isfinite(low).all() and np.isfinite(upper).all()
    a = normal((N, N))
    a[7, 3] = np.nan
    x, info = ml.solve(layout.put(a), b, return_info=True)
    assert info > 0 and np.isnan(x).all()
    assert np.isnan(ml.det(layout.put(a)))


def test_hermitian_by_one_triangle():
    """Indefinite: LU of the matrix that the triangle stands for."""
    a, b = normal((N, N), "complex128"), normal(N, "complex128", 1)
    a = a + a.conj().T
    for lower in (True, False):
        half = np.tril(a) if lower else np.triu(a)
        x = ml.solve(ROWS4.put(half), b, assume_a="her", lower=lower)
        assert solve_residual(a, x, b) < LIMIT
    symmetric = a.real + 1j * a.real[::-1]
    symmetric = symmetric + symmetric.T
    x = ml.solve(ROWS4.put(symmetric), b, assume_a="sym")
    assert solve_residual(symmetric, x, b) < LIMIT


@pytest.mark.parametrize("n", [0, 1, 7, 13])
def test_sizes(n):
    """Sizes that the mesh does not divide, on all devices and on one."""
    a, b = normal((n, n)), normal((n, 2), seed=1)
    for A in (a, jax.device_put(a, jax.NamedSharding(ROWS8.mesh(), P(None, None)))):
        assert solve_residual(a, ml.solve(A, b), b) < LIMIT
        assert n == 0 or inverse_residual(a, ml.inv(A)) < LIMIT
        close(ml.slogdet(A).logabsdet, np.linalg.slogdet(a)[1], "float64")
        p, low, upper = ml.lu(A)
        close(np.asarray(p) @ np.asarray(low) @ np.asarray(upper), a, "float64")
        factor = ml.lu_factor(A)
        assert factor.shape == (n, n) and factor.dtype == a.dtype
        close(factor.det(), np.linalg.det(a), "float64")


def test_complex_sides_of_a_real_matrix():
    a, b = normal((N, N)), normal((N, 2), "complex128", 1)
    factor = ml.lu_factor(ROWS4.put(a))
    assert solve_residual(a, ml.solve(ROWS4.put(a), b), b) < LIMIT
    assert solve_residual(a.T, factor.solve(b, 1), b) < LIMIT


def test_in_a_shard_map():
    a, b = normal((N, N), "complex64"), normal((N, 2), "complex64", 1)
    mesh = ROWS4.mesh()

    @functools.partial(
        jax.shard_map,
        mesh=mesh,
        in_specs=(P("x", None), P("x", None)),
        out_specs=(P("x", None), P("x", None), P("x", None), P(), P()),
        check_vma=False,
    )
    def f(a, b):
        factor = shard.lu_factor(a, "x")
        sign, size = shard.slogdet(a, "x")
        return shard.solve(a, b, "x"), shard.inv(a, "x"), factor.solve(b, 1), sign, size

    x, inverse, turned, sign, size = jax.jit(f)(ROWS4.put(a), ROWS4.put(b))
    assert solve_residual(a, x, b) < LIMIT
    assert solve_residual(a.T, turned, b) < LIMIT
    assert inverse_residual(a, inverse) < LIMIT
    close(sign * np.exp(size), np.linalg.det(a), "complex64")


def test_batches():
    """A batch of right-hand sides becomes columns; one of matrices runs one after another."""
    a, b = normal((3, N, N)), normal((3, N), seed=1)
    factor = ml.lu_factor(ROWS2.put(a[0], "auto"))
    x = jax.jit(jax.vmap(factor.solve))(b)
    for k in range(3):
        assert solve_residual(a[0], x[k], b[k]) < LIMIT
    where = {"mesh": ROWS2.mesh("auto"), "spec": P("x", None)}
    x = jax.jit(jax.vmap(functools.partial(ml.solve, **where)))(a, b)
    for k in range(3):
        assert solve_residual(a[k], x[k], b[k]) < LIMIT


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("layout", [ROWS3, COLUMNS4], ids=str)
def test_derivatives(layout, dtype):
    """Gradients of a function of all routines, beside those of jax.numpy."""
    a, b, w = normal((12, 12), dtype), normal((12, 2), dtype, 1), normal((12, 12), dtype, 2)
    A, B, W = layout.put(a, "auto"), layout.put(b, "auto", P()), layout.put(w, "auto")

    def value(solve, inv, slogdet, a, b, w):
        sign, size = slogdet(a)
        x, y = solve(a, b), solve(a, b, 1)
        total = jnp.sum(jnp.real(inv(a) * w)) + size + jnp.real(sign) + 2 * jnp.imag(sign)
        return total + jnp.sum(jnp.abs(x) ** 2 + jnp.abs(y - x) ** 2)

    def ours(a, b, w):
        factor = ml.lu_factor(a)

        def solve(a, b, trans=0):
            return ml.lu_solve(factor, b, 1) if trans else ml.solve(a, b)

        return value(solve, ml.inv, ml.slogdet, a, b, w)

    def theirs(a, b, w):
        def solve(a, b, trans=0):
            return jnp.linalg.solve(a.T if trans else a, b)

        return value(solve, jnp.linalg.inv, jnp.linalg.slogdet, a, b, w)

    with jax.set_mesh(layout.mesh("auto")):
        got = jax.jit(jax.grad(ours, (0, 1)))(A, B, W)
        _, tangent = jax.jit(lambda a, b, w: jax.jvp(ours, (a, b, w), (w, b, w)))(A, B, W)
    for x, y in zip(got, jax.grad(theirs, (0, 1))(a, b, w), strict=True):
        close(x / np.abs(y).max(), y / np.abs(y).max(), "float64", 1e5)
    want = jax.jvp(theirs, (a, b, w), (w, b, w))[1]
    close(tangent / want, 1, "float64", 1e6)


def test_derivatives_of_a_triangular_system():
    a, b = normal((12, 12)) + 4 * np.eye(12), normal(12, seed=1)
    A = ROWS2.put(a, "auto")
    where = {"mesh": ROWS2.mesh("auto"), "spec": P("x", None)}
    for name, lower in (("lower triangular", True), ("upper triangular", False)):
        f = functools.partial(ml.solve, b=b, assume_a=name, **where)
        got = jax.jit(jax.grad(lambda a, f=f: jnp.sum(f(a) ** 2)))(A)
        want = jax.grad(
            lambda a, lower=lower: jnp.sum(
                jax.scipy.linalg.solve_triangular(a, b, lower=lower) ** 2
            )
        )(a)
        close(got, want, "float64", 1e6)


def test_donation():
    """The factor and the inverse take A's memory."""
    a = normal((N, N))
    A = ROWS4.put(a)
    inverse = ml.inv(A, overwrite_a=True)
    assert A.is_deleted() and inverse_residual(a, inverse) < LIMIT
    A = ROWS4.put(a)
    factor = ml.lu_factor(A, overwrite_a=True)
    assert A.is_deleted() and solve_residual(a, factor.solve(a[0]), a[0]) < LIMIT

# SPDX-License-Identifier: Apache-2.0
"""jit, loops, branches, vmap, several calls at once, ahead-of-time compilation, threads."""

import concurrent.futures
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

import meshlinalg as ml
from support import (
    COLUMNS4,
    LIMIT,
    ROWS4,
    ROWS8,
    TYPES,
    eigen_residual,
    inverse_residual,
    normal,
    solve_residual,
    spd,
)

N = 48
A, B = spd(N), normal((N, 2), seed=1)


@pytest.fixture(params=TYPES)
def types(request):
    return request.param


@pytest.fixture
def a(types):
    return ROWS8.put(A, types)


def times(x, k):
    """The k-th power of A^-1 times x."""
    for _ in range(k):
        x = np.linalg.solve(A, x)
    return x


def test_scan(a):
    x, sums = jax.jit(
        lambda b: jax.lax.scan(lambda x, _: (ml.solve(a, x, assume_a="pos"), x.sum()), b, length=4)
    )(B)
    np.testing.assert_allclose(x, times(B, 4), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(sums[1], times(B, 1).sum(), rtol=1e-9)


def test_scan_carries_the_matrix(a):
    x, _ = jax.jit(
        lambda a: jax.lax.scan(lambda x, _: (ml.inv(x, assume_a="pos"), None), a, length=2)
    )(a)
    np.testing.assert_allclose(x, A, rtol=1e-9, atol=1e-10)


def test_while_and_fori(a):
    def far(state):
        return state[0] < 3

    def step(state):
        return state[0] + 1, ml.solve(a, state[1], assume_a="pos")

    _, x = jax.jit(lambda b: jax.lax.while_loop(far, step, (0, b)))(B)
    np.testing.assert_allclose(x, times(B, 3), rtol=1e-9, atol=1e-12)
    x = jax.jit(lambda b: jax.lax.fori_loop(0, 3, lambda i, x: ml.solve(a, x, assume_a="pos"), b))(
        B
    )
    np.testing.assert_allclose(x, times(B, 3), rtol=1e-9, atol=1e-12)


def test_cond(a):
    f = jax.jit(
        lambda p, b: jax.lax.cond(
            p, lambda b: ml.solve(a, b, assume_a="pos"), lambda b: ml.cho_factor(2 * a).solve(b), b
        )
    )
    np.testing.assert_allclose(f(True, B), times(B, 1), rtol=1e-9)
    np.testing.assert_allclose(f(False, B), times(B, 1) / 2, rtol=1e-9)


# ---- several calls in one program ----------------------------------------------------------------


@pytest.mark.parametrize("count", [2, 12])
def test_independent_calls(a, count):
    """Devices may run them at once, and in different order."""

    @jax.jit
    def f(a, b):
        return [ml.solve(a, (i + 1) * b, assume_a="pos") for i in range(count)]

    for _ in range(3):
        out = jax.block_until_ready(f(a, B))
        for i, x in enumerate(out):
            assert solve_residual(A, x, (i + 1) * B) < LIMIT


def test_one_jitted_function_twice(a):
    """XLA sees one function with two calls: one call site, two copies."""
    inner = jax.jit(ml.solve)
    x, y = jax.jit(lambda a, b: (inner(a, b), inner(a, 2 * b)))(a, B)
    assert solve_residual(A, x, B) < LIMIT and solve_residual(A, y, 2 * B) < LIMIT


def test_beside_other_collectives(a):
    """Sums over the devices before, between and after."""

    @jax.jit
    def f(a, b):
        b = b / jnp.trace(a)
        x = ml.solve(a, b, assume_a="pos")
        y = ml.solve(a + jnp.eye(N) * (x * b).sum(), b, assume_a="pos")
        return x, y, (x * y).sum() + jnp.sum(a)

    x, y, _ = f(a, B)
    b = B / np.trace(A)
    assert solve_residual(A, x, b) < LIMIT
    assert solve_residual(A + np.eye(N) * (np.asarray(x) * b).sum(), y, b) < LIMIT


def test_different_routines_at_once(a):
    x, inverse, (w, v) = jax.jit(
        lambda a, b: (ml.solve(a, b, assume_a="pos"), ml.inv(a, assume_a="pos"), ml.eigh(a))
    )(a, B)
    assert solve_residual(A, x, B) < LIMIT
    assert inverse_residual(A, inverse) < LIMIT
    assert eigen_residual(A, w, v) < LIMIT


def test_two_meshes_in_one_session():
    x = ml.solve(ROWS8.put(A), B, assume_a="pos")
    y = ml.solve(ROWS4.put(A), B, assume_a="pos")
    z = ml.solve(A, B, assume_a="pos")
    for solution in (x, y, z):
        assert solve_residual(A, solution, B) < LIMIT


def test_threads():
    """Two Python threads, the same programs at the same time."""
    a = ROWS4.put(A)
    f = jax.jit(ml.solve)
    f(a, B).block_until_ready()

    def work(k):
        for _ in range(5):
            x = f(a, (k + 1) * B).block_until_ready()
            y = ml.inv(a, assume_a="pos").block_until_ready()
        return x, y

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for k, (x, y) in enumerate(pool.map(work, range(2))):
            assert solve_residual(A, x, (k + 1) * B) < LIMIT
            assert inverse_residual(A, y) < LIMIT


# ---- vmap ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("jit", [False, True], ids=["eager", "jit"])
def test_vmap_of_right_hand_sides(a, jit):
    """One factorisation: the batch becomes more columns."""
    b = normal((3, N, 2), seed=2)
    for solve in (functools.partial(ml.solve, a), ml.cho_factor(a).solve):
        f = jax.vmap(solve)
        x = (jax.jit(f) if jit else f)(b)
        for i in range(3):
            assert solve_residual(A, x[i], b[i]) < LIMIT
    assert jax.vmap(functools.partial(ml.solve, a), 1, 1)(B).shape == (N, 2)


def calls(f, *arguments) -> int:
    """Calls of the library in the program of f."""
    return str(jax.make_jaxpr(f)(*arguments)).count("ffi_call[")


def test_vmap_of_right_hand_sides_is_one_call(a):
    b = np.ones((5, N))
    assert calls(jax.vmap(lambda b: ml.solve(a, b, assume_a="pos")), b) == 1
    text = jax.jit(jax.vmap(lambda b: ml.solve(a, b, assume_a="pos"))).lower(b).as_text()
    assert "while" not in text and "tensor<48x5xf64>" in text


@pytest.mark.parametrize("jit", [False, True], ids=["eager", "jit"])
def test_vmap_of_matrices(types, jit):
    """One after another on the mesh."""
    stack = np.stack([spd(N, seed=i) for i in range(3)])
    placed = ROWS8.put(stack, types, P(None, "x", None))
    wrap = jax.jit if jit else (lambda f: f)
    x = wrap(jax.vmap(lambda a: ml.solve(a, B, assume_a="pos")))(placed)
    inverse = wrap(jax.vmap(ml.inv))(placed)
    w, v = wrap(jax.vmap(ml.eigh))(placed)
    lower = wrap(jax.vmap(ml.cholesky))(placed)
    logdet = wrap(jax.vmap(lambda a: ml.slogdet(a, assume_a="pos").logabsdet))(placed)
    for i in range(3):
        assert solve_residual(stack[i], x[i], B) < LIMIT
        assert inverse_residual(stack[i], inverse[i]) < LIMIT
        assert eigen_residual(stack[i], w[i], v[i]) < LIMIT
        np.testing.assert_allclose(lower[i], np.linalg.cholesky(stack[i]), atol=1e-12)
        np.testing.assert_allclose(logdet[i], np.linalg.slogdet(stack[i])[1], rtol=1e-12)


def test_vmap_of_both():
    stack, b = np.stack([spd(N, seed=i) for i in range(3)]), normal((3, N), seed=5)
    x = jax.vmap(ml.solve)(stack, b)
    for i in range(3):
        assert solve_residual(stack[i], x[i], b[i]) < LIMIT


def test_lax_map(types):
    stack = ROWS4.put(np.stack([spd(N, seed=i) for i in range(3)]), types, P(None, "x", None))
    inverse = jax.jit(lambda s: jax.lax.map(ml.inv, s))(stack)
    for i in range(3):
        assert inverse_residual(spd(N, seed=i), inverse[i]) < LIMIT


# ---- ahead of time -------------------------------------------------------------------------------


def test_lower_and_compile(a):
    compiled = jax.jit(ml.solve).lower(a, B).compile()
    for _ in range(2):
        assert solve_residual(A, compiled(a, B), B) < LIMIT


@pytest.mark.parametrize("layout", [ROWS4, COLUMNS4], ids=str)
def test_eval_shape(layout):
    a = jax.ShapeDtypeStruct((N, N), jnp.complex64, sharding=layout.put(np.eye(N)).sharding)
    b = jax.ShapeDtypeStruct((N,), jnp.complex64)
    x = jax.eval_shape(ml.solve, a, b)
    assert x.shape == (N,) and x.dtype == jnp.complex64
    w, v = jax.eval_shape(ml.eigh, a)
    assert w.shape == (N,) and w.dtype == jnp.float32 and v.shape == (N, N)


def test_compiled_without_arrays():
    """Compiled from shapes and a mesh alone, run later."""
    a = jax.ShapeDtypeStruct((N, N), jnp.float64, sharding=ROWS4.put(A).sharding)
    b = jax.ShapeDtypeStruct((N, 2), jnp.float64)
    compiled = jax.jit(ml.solve).lower(a, b).compile()
    assert solve_residual(A, compiled(ROWS4.put(A), B), B) < LIMIT

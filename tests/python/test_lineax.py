# SPDX-License-Identifier: Apache-2.0
"""meshlinalg.lineax with lineax.linear_solve: values, derivatives, batches."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from support import DTYPES, LIMIT, ROWS4, normal, solve_residual, spd

lineax = pytest.importorskip("lineax")

from meshlinalg.lineax import LU, AutoShardedLinearSolver, Cholesky  # noqa: E402

N = 24
ROWS = P("x", None)
POSITIVE = lineax.positive_semidefinite_tag
NEGATIVE = lineax.negative_semidefinite_tag


def put(x, *spec):
    """lineax wants automatic axes."""
    return ROWS4.put(x, "auto", P(*spec))


def sharded(solver=Cholesky):
    return solver(mesh=ROWS4.mesh("auto"), spec=ROWS)


def solve(a, b, solver, tag=POSITIVE, **options):
    operator = lineax.MatrixLinearOperator(a, tag)
    return lineax.linear_solve(operator, b, solver, throw=False, **options)


def value(a, b, solver=None, tag=POSITIVE):
    return solve(a, b, solver or sharded(), tag).value


@pytest.mark.parametrize("dtype", DTYPES)
def test_values(dtype):
    a, b = spd(N, dtype), normal(N, dtype, 1)
    for solver, spec in ((sharded(), ()), (sharded(AutoShardedLinearSolver), ("x",))):
        solution = solve(put(a, "x"), put(b, *spec), solver)
        assert solution.result == lineax.RESULTS.successful
        assert solve_residual(a, solution.value, b) < LIMIT
    x = value(put(-a, "x"), put(b), tag=NEGATIVE)
    assert solve_residual(-a, x, b) < LIMIT


def test_on_the_mesh():
    """Of the program, all devices work on the matrix, and nothing comes back to Python."""
    a, b = spd(N), normal(N, seed=1)
    text = jax.jit(value).lower(put(a, "x"), b).as_text()
    assert "ranks = 4 : i64" in text and "callback" not in text


def test_without_a_mesh():
    a, b = spd(N), normal(N, seed=1)
    assert solve_residual(a, value(a, b, Cholesky()), b) < LIMIT
    with pytest.raises(ValueError, match="automatic axes"):
        solve(ROWS4.put(a), b, Cholesky())


def test_pytree_of_vectors():
    a, b = spd(N), normal(N, seed=1)
    parts = {"first": jnp.asarray(b[:4]).reshape(2, 2), "rest": jnp.asarray(b[4:])}

    def apply(x):
        flat = jnp.concatenate([x["first"].ravel(), x["rest"]])
        y = jnp.asarray(a) @ flat
        return {"first": y[:4].reshape(2, 2), "rest": y[4:]}

    operator = lineax.FunctionLinearOperator(apply, jax.eval_shape(lambda: parts), POSITIVE)
    x = lineax.linear_solve(operator, parts, Cholesky()).value
    flat = np.concatenate([np.ravel(x["first"]), x["rest"]])
    assert solve_residual(a, flat, b) < LIMIT


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_derivatives(dtype):
    a, b = spd(N, dtype), normal(N, dtype, 1)
    da, db = spd(N, dtype, seed=2), normal(N, dtype, 3)
    placed = put(a, "x"), put(b)
    tangents = put(da, "x"), put(db)
    _, dx = jax.jit(lambda p, t: jax.jvp(value, p, t))(placed, tangents)
    x = np.linalg.solve(a, b)
    np.testing.assert_allclose(dx, np.linalg.solve(a, db - da @ x), rtol=1e-9, atol=1e-11)

    def energy(solve, a, b):
        return jnp.real(jnp.vdot(b, solve(a, b)))

    got = jax.grad(functools.partial(energy, value), argnums=(0, 1))(*placed)
    want = jax.grad(functools.partial(energy, jnp.linalg.solve), argnums=(0, 1))(a, b)
    for g, w in zip(got, want, strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-8, atol=1e-10)


def test_one_factorisation_for_the_derivative():
    """Of the solution and its derivative, and none with a state that was kept."""
    a, b = put(spd(N), "x"), put(normal(N, seed=1))
    text = jax.jit(jax.grad(lambda b, a: jnp.vdot(b, value(a, b)))).lower(b, a).as_text()
    assert text.count("@meshlinalg_0_potrf(") == 1
    solver = sharded()
    state = solver.init(lineax.MatrixLinearOperator(a, POSITIVE), {})
    f = jax.jit(lambda b, s: solve(a, b, solver, state=s).value)
    assert "potrf" not in f.lower(b, state).as_text()
    assert solve_residual(np.asarray(a), f(b, state), np.asarray(b)) < LIMIT


def test_vmap():
    a, b = spd(N), normal((3, N), seed=1)
    x = jax.jit(jax.vmap(value, (None, 0)))(put(a, "x"), put(b))
    stack = np.stack([spd(N, seed=i) for i in range(3)])
    y = jax.jit(jax.vmap(value))(put(stack, None, "x"), put(b))
    for i in range(3):
        assert solve_residual(a, x[i], b[i]) < LIMIT
        assert solve_residual(stack[i], y[i], b[i]) < LIMIT


def test_not_definite():
    solution = solve(put(-np.eye(N), "x"), np.ones(N), sharded())
    assert solution.result == lineax.RESULTS.singular
    with pytest.raises(ValueError, match="positive_semidefinite_tag"):
        lineax.linear_solve(lineax.MatrixLinearOperator(jnp.eye(3)), jnp.ones(3), Cholesky())


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_lu(dtype):
    """A general operator: values, both modes, A^T, conj(A) and A^H with one factor."""
    a, b = normal((N, N), dtype), normal(N, dtype, 1)
    placed, tag = put(a, "x"), ()
    f = functools.partial(value, solver=sharded(LU), tag=tag)
    assert solve_residual(a, f(placed, put(b)), b) < LIMIT
    da, db = normal((N, N), dtype, 2), normal(N, dtype, 3)
    _, dx = jax.jvp(f, (placed, put(b)), (put(da, "x"), put(db)))
    want = np.linalg.solve(a, db - da @ np.linalg.solve(a, b))
    np.testing.assert_allclose(dx, want, rtol=1e-7, atol=1e-9)

    def energy(solve, a, b):
        return jnp.real(jnp.sum(jnp.sin(solve(a, b))))

    got = jax.jit(jax.grad(functools.partial(energy, f), argnums=(0, 1)))(placed, put(b))
    want = jax.grad(functools.partial(energy, jnp.linalg.solve), argnums=(0, 1))(a, b)
    for g, w in zip(got, want, strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-6, atol=1e-7)
    solver = sharded(LU)
    state = solver.init(lineax.MatrixLinearOperator(placed), {})
    turned, _ = solver.transpose(state, {})
    both, _ = solver.conj(turned, {})
    other, _ = solver.transpose(both, {})
    for s, m in ((state, a), (turned, a.T), (both, a.conj().T), (other, a.conj())):
        assert solve_residual(m, solver.compute(s, put(b), {})[0], b) < LIMIT


def test_other_structures_of_solution_and_right_hand_side():
    a, b = normal((N, N)), normal(N, seed=1)

    def apply(x):
        return jnp.asarray(a) @ jnp.concatenate([x[0].ravel(), x[1]])

    x = jax.ShapeDtypeStruct((2, 3), jnp.float64), jax.ShapeDtypeStruct((N - 6,), jnp.float64)
    operator = lineax.FunctionLinearOperator(apply, x)
    x = lineax.linear_solve(operator, jnp.asarray(b), LU()).value
    assert solve_residual(a, np.concatenate([np.ravel(x[0]), x[1]]), b) < LIMIT


def test_what_the_choice_is():
    auto = AutoShardedLinearSolver()
    definite = lineax.MatrixLinearOperator(jnp.eye(3), POSITIVE)
    general = lineax.MatrixLinearOperator(jnp.eye(3) + jnp.eye(3, k=2))
    diagonal = lineax.DiagonalLinearOperator(jnp.ones(3))
    assert isinstance(auto.select_solver(definite), Cholesky)
    assert isinstance(auto.select_solver(general), LU)
    assert isinstance(auto.select_solver(diagonal), lineax.AutoLinearSolver)
    for operator in (definite, general, diagonal):
        x = lineax.linear_solve(operator, jnp.ones(3), auto).value
        np.testing.assert_allclose(operator.mv(x), 1.0)

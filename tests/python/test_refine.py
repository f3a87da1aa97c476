# SPDX-License-Identifier: Apache-2.0
"""solve(refine=True): the residual of a backward stable solver out of a factor of less precision.

On CPU devices the factor's products are exact to its type, whatever its `precision`: what is seen
here is the shift and the change of type; tests of the library see the products.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

import meshlinalg as ml
from support import COLUMNS4, DTYPES, ROWS3, ROWS4, ROWS8, indefinite, normal, spd


def with_condition(n, dtype, condition, seed=0):
    q, _ = np.linalg.qr(normal((n, n), np.result_type(dtype, "float64"), seed))
    a = (q * np.geomspace(1, 1 / condition, n)) @ q.conj().T
    return ((a + a.conj().T) / 2).astype(dtype)


def backward_error(a, x, b):
    """In units of LAPACK's criterion, sqrt(n) u ||A|| ||x||; the largest of all columns."""
    x = np.asarray(x)
    twice = np.result_type(x.dtype, "float64")
    r = np.abs(b.astype(twice) - a.astype(twice) @ x.astype(twice)).max(axis=0)
    unit = np.finfo(x.dtype).eps / 2
    return (r / (len(a) ** 0.5 * unit * np.abs(a).sum(axis=1).max() * np.abs(x).max(axis=0))).max()


@pytest.mark.parametrize(
    ("dtype", "layout"),
    [*((dtype, ROWS3) for dtype in DTYPES), ("float64", ROWS8), ("complex64", COLUMNS4)],
    ids=str,
)
def test_residual(dtype, layout):
    n = 72
    solve = jax.jit(lambda a, b: ml.solve(a, b, refine=True, return_info=True, assume_a="pos"))
    for condition in (10, 1e5):
        a = with_condition(n, dtype, condition)
        b = (a @ normal((n, 3), dtype, 1)).astype(dtype)
        x, how = solve(layout.put(a), b)
        assert x.dtype == dtype and int(how.info) == 0 and not bool(how.full)
        # The residual of the last step is formed in the working precision itself.
        assert backward_error(a, x, b) < 2
        assert 0 < float(how.residual) < np.finfo(dtype).eps * n**0.5
        assert int(how.steps) <= 40


def test_columns_of_very_different_size():
    """Each column converges by itself, and none leaves the range of float32."""
    n = 60
    a = with_condition(n, "float64", 1e4)
    b = normal((n, 4), "float64", 2) * [1.0, 1e-200, 1e200, 0.0]
    x, how = ml.solve(ROWS4.put(a), b, refine=True, return_info=True, assume_a="pos")
    assert backward_error(a, x[:, :3], b[:, :3]) < 2 and not bool(how.full)
    np.testing.assert_array_equal(np.asarray(x)[:, 3], 0)


@pytest.mark.parametrize("power", [-200, 200])
def test_badly_scaled(power):
    """Rows and columns that float32 cannot hold: the diagonal scaling takes them back."""
    n = 48
    d = 2.0 ** np.linspace(0, power, n).round()
    a = with_condition(n, "float64", 1e3) * d[:, None] * d
    b = a @ (1 / d)
    x, how = ml.solve(ROWS4.put(a), b, refine=True, return_info=True, assume_a="pos")
    assert backward_error(a, x[:, None], b[:, None]) < 2
    assert int(how.info) == 0


def test_full_precision_follows():
    """Condition 1e13: no float32 factor is of use, and the answer is that of `solve`."""
    n = 64
    a = with_condition(n, "float64", 1e13)
    b = normal((n, 2), "float64", 3)
    x, how = ml.solve(ROWS8.put(a), b, refine=True, return_info=True, assume_a="pos")
    assert bool(how.full) and int(how.info) == 0
    np.testing.assert_array_equal(x, ml.solve(ROWS8.put(a), b, assume_a="pos"))
    assert backward_error(a, x, b) < 2


@pytest.mark.parametrize("dtype", ["float32", "complex128"])
def test_failure_is_data(dtype):
    n = 40
    a, b = indefinite(n, dtype, 5), normal(n, dtype, 1)
    x, how = ml.solve(ROWS4.put(a), b, refine=True, return_info=True, assume_a="pos")
    _, info = ml.solve(ROWS4.put(a), b, return_info=True, assume_a="pos")
    assert bool(how.full) and int(how.info) == int(info) > 0
    assert np.isnan(np.asarray(x)).all() and np.isnan(float(how.residual))


def test_nan():
    a = spd(30, "float64")
    a[7, 7] = np.nan
    x, how = ml.solve(
        ROWS3.put(a), normal(30, "float64"), refine=True, return_info=True, assume_a="pos"
    )
    assert int(how.info) > 0 and np.isnan(np.asarray(x)).all()


def test_right_hand_sides():
    n = 32
    a = spd(n, "float64")
    on = ROWS4.put(a)
    want = np.linalg.solve(a, normal((n, 6), "float64", 1))
    b = normal((n, 6), "float64", 1)
    wide = ROWS4.put(np.tile(b, 3))  # more columns than a device has rows
    x = ml.solve(on, wide, refine=True, assume_a="pos")
    assert x.sharding.spec == P("x", None)
    np.testing.assert_allclose(x, np.tile(want, 3), atol=1e-11)
    stack = np.stack([b[:, :2], b[:, 2:4]])
    x, how = ml.solve(on, stack, refine=True, return_info=True, assume_a="pos")
    assert x.shape == stack.shape and how.steps.shape == ()
    np.testing.assert_allclose(x[1], want[:, 2:4], atol=1e-11)
    x = ml.solve(on, b[:, 0] + 1j * b[:, 1], refine=True, assume_a="pos")  # real A, complex b
    np.testing.assert_allclose(x, want[:, 0] + 1j * want[:, 1], atol=1e-11)
    x, how = ml.solve(on, np.zeros((n, 0)), refine=True, return_info=True, assume_a="pos")
    assert x.shape == (n, 0) and int(how.info) == 0


def test_derivatives():
    """As of `solve` without refinement, in both modes."""
    n, dtype = 24, "complex128"
    a, b, t = spd(n, dtype), normal((n, 2), dtype, 1), normal((n, n), dtype, 2)
    t = t + t.conj().T

    def value(refine, a, b):
        x = ml.solve(a, b, refine=refine, assume_a="pos")
        return jnp.sum(jnp.real(x * normal((n, 2), dtype, 3)) ** 2)

    for what in (
        lambda refine, a: jax.grad(value, (1, 2))(refine, a, b),
        lambda refine, a: jax.jvp(lambda a: value(refine, a, b), (a,), (ROWS4.put(t),)),
    ):
        on = ROWS4.put(a)
        got, want = (jax.jit(what, static_argnums=0)(refine, on) for refine in (True, False))
        for x, y in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-8, atol=1e-8 * np.abs(y).max())


def test_one_factorisation():
    """What the program holds: one factor of the lower type, and one that is not run."""
    a = ROWS4.put(spd(16, "float64"))
    text = (
        jax.jit(lambda a: ml.solve(a, jnp.ones(16), refine=True, assume_a="pos")).lower(a).as_text()
    )
    calls = [line for line in text.splitlines() if "custom_call" in line]
    (factor,) = [line for line in calls if "_potrf(" in line]
    assert "f32>" in factor
    assert sum("_posv(" in line for line in calls) == 1


def test_misuse():
    with pytest.raises(TypeError, match="refine must be True or False"):
        ml.solve(np.eye(3), np.ones(3), refine="yes", assume_a="pos")
    with pytest.raises(ValueError, match="precision='low'"):
        ml.solve(np.eye(3), np.ones(3), precision="low", assume_a="pos")

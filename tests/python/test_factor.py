# SPDX-License-Identifier: Apache-2.0
"""A Cholesky factor as a value: through transformations, into a file and back, for many right-hand
sides. Why: a factor is dear, and whoever has one wants to keep it and carry it through programs."""

import io
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

import meshlinalg as ml
from support import COLUMNS4, ROWS2, ROWS3, ROWS4, TYPES, Layout, normal, spd

N = 12
A, B = spd(N), normal((N, 2), seed=1)
INVERSE = np.linalg.inv(A)


def near(got, want, rtol=1e-9):
    np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol * np.abs(want).max())


def test_transformations():
    """One program with a factor as argument, result, constant and carry of a loop, operand of a
    branch, and in a checkpoint; with a gradient through all of it."""

    def body(factor, a, b, again):
        def step(carry, b):
            factor, total = carry
            total = total + jnp.sum(factor.solve(b))
            return (ml.cho_factor(2 * a), total), None

        (last, total), _ = jax.lax.scan(step, (factor, 0.0), jnp.stack([b, b]))
        chosen = jax.lax.cond(again, lambda f: f, lambda f: ml.cho_factor(3 * a), last)
        return total + chosen.logdet(), chosen

    @jax.jit
    def run(factor, a, b, again):
        value, chosen = body(factor, a, b, again)

        def loss(a):
            return body(ml.cho_factor(a), a, b, again)[0]

        return value, chosen, jax.grad(jax.checkpoint(loss))(a)

    a = ROWS2.put(A)
    for again, scale in ((True, 2), (False, 3)):
        value, chosen, gradient = run(ml.cho_factor(a), a, B, again)
        x, ones = INVERSE @ B, np.ones_like(B)
        near(value, 1.5 * x.sum() + np.linalg.slogdet(scale * A)[1])
        near(chosen.solve(B), x / scale)
        y = INVERSE @ ones
        near(gradient, -0.75 * (x @ y.T + y @ x.T) + INVERSE)


@pytest.mark.parametrize("types", TYPES)
def test_right_hand_sides_of_any_shape(types):
    """A stack becomes more columns, with one call."""
    a = ROWS4.put(A, types)
    factor = ml.cho_factor(a)
    several = {k: normal(k, seed=len(k)) for k in [(N,), (N, 3), (2, N, 3), (2, 3, N, 1)]}

    @jax.jit
    def run(factor, a):
        return [(factor.solve(b), ml.solve(a, b, assume_a="pos")) for b in several.values()]

    for b, pair in zip(several.values(), run(factor, a), strict=True):
        for x in (*pair, factor.solve(b)):
            near(x, np.linalg.solve(A, b))
    x, info = ml.solve(a, several[2, N, 3], return_info=True, assume_a="pos")
    assert x.shape == (2, N, 3) and info.shape == ()
    assert factor.solve(np.ones((0, N, 2))).shape == (0, N, 2)
    assert str(jax.make_jaxpr(factor.solve)(several[2, 3, N, 1])).count("ffi_call[") == 1


@pytest.mark.parametrize(
    "layout", [ROWS4, COLUMNS4, Layout("replicated", (3,), P()), None], ids=str
)
@pytest.mark.parametrize("dtype", ["float32", "complex128"])
def test_diagonal_of_the_inverse(layout, dtype):
    a = spd(N, dtype)
    factor = ml.cho_factor(a if layout is None else layout.put(a))
    for diagonal in (factor.diag_inv(), jax.jit(lambda f: f.diag_inv())(factor)):
        assert diagonal.dtype == np.finfo(dtype).dtype
        near(diagonal, np.linalg.inv(a).diagonal().real, 1e-4 if dtype == "float32" else 1e-9)
    assert ml.cho_factor(np.ones((0, 0), dtype)).diag_inv().shape == (0,)


def test_donated():
    """The inverse takes the memory of a factor that is given away."""
    factor = ml.cho_factor(ROWS4.put(A))
    near(jax.jit(lambda f: f.inv(), donate_argnums=0)(factor), INVERSE)
    assert factor.rows.is_deleted()


@pytest.mark.parametrize("layout", [ROWS3, Layout("grid", (2, 2), P("x", "y"))], ids=str)
def test_saved(layout):
    """As NumPy arrays in a file, with the structure from shapes alone; and as a pickle."""
    a = layout.put(A)
    factor = ml.cho_factor(a)
    file = io.BytesIO()
    np.savez(file, *jax.tree.leaves(factor))
    file.seek(0)
    saved = np.load(file)
    like = jax.eval_shape(
        ml.cho_factor, jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=a.sharding)
    )
    read = jax.tree.unflatten(jax.tree.structure(like), [saved[k] for k in saved.files])
    for again in (read, pickle.loads(pickle.dumps(factor))):
        with pytest.raises(ValueError, match=r"is not on one now; use factor.to\(mesh\)"):
            again.solve(B)
        again = again.to(layout.mesh())
        assert jax.tree.structure(again) == jax.tree.structure(factor)
        assert again.rows.sharding.is_equivalent_to(factor.rows.sharding, 2)
        near(again.solve(B), INVERSE @ B)
        near(again.logdet(), np.linalg.slogdet(A)[1])
    near(read.to(layout.mesh("auto")).solve(B), INVERSE @ B)
    with pytest.raises(ValueError, match=r"mesh has the axes \{'x': 4\}, but the factor was made"):
        factor.to(ROWS4.mesh())
    with pytest.raises(TypeError, match="mesh must be"):
        factor.to("x")

# SPDX-License-Identifier: Apache-2.0
"""Forward and reverse derivatives against those of JAX for the dense, symmetrised matrix.

Most of the time goes into XLA's compiler: a test puts what it can into one program.
"""

import functools
import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

import meshlinalg as ml
from meshlinalg import shard
from support import COLUMNS4, ROWS2, ROWS3, ROWS4, ROWS8, Layout, normal, spd

GRID = Layout("grid", (2, 2), P("x", "y"))
REPLICATED = Layout("replicated", (3,), P())


def mean(a):
    return (a + jnp.conj(a.T)) / 2


def lower(a):
    low = jnp.tril(a, -1)
    return low + jnp.conj(low.T) + jnp.diag(jnp.real(jnp.diag(a)))


def densities(w, v):
    """Eigenvalues, and what of the eigenvectors does not depend on their phases."""
    return w, jnp.real(v * jnp.conj(v))


# ---- groups of routines: ours, and the same by JAX for a dense matrix ----------------------------


def positive(a, b, **where):
    factor = ml.cho_factor(a, **where)
    return (
        ml.solve(a, b, **where),
        ml.slogdet(a, **where).logabsdet,
        ml.det(a, **where),
        ml.inv(a, **where),
        factor.solve(b),
        factor.logdet(),
        factor.inv(),
    )


def positive_dense(a, b):
    a = mean(a)
    x, inverse = jnp.linalg.solve(a, b), jnp.linalg.inv(a)
    _, logdet = jnp.linalg.slogdet(a)
    return x, logdet, jnp.exp(logdet), inverse, x, logdet, inverse


def triangular(a, b, **where):
    return (
        ml.cholesky(a, **where),
        ml.cholesky(a, upper=True, **where),
        ml.solve(a, b, lower=True, **where),
    )


def triangular_dense(a, b):
    low = jnp.linalg.cholesky(a)
    return low, jnp.conj(low.T), jnp.linalg.solve(lower(a), b)


def eigen(a, b, **where):
    w, v = ml.eigh(a, **where)
    return *densities(w, v), ml.eigvalsh(a, **where), b


def eigen_dense(a, b):
    w, v = jnp.linalg.eigh(a)
    return *densities(w, v), w, b


GROUPS = {
    "positive": (positive, positive_dense),
    "triangular": (triangular, triangular_dense),
    "eigen": (eigen, eigen_dense),
}


def scalar(leaves):
    """Of all results, with weights that are the same for all routines."""
    leaves = [jnp.asarray(x) for x in jax.tree.leaves(leaves)]
    return sum(jnp.sum(jnp.real(x * (1 + jnp.arange(x.size).reshape(x.shape) % 7))) for x in leaves)


def both_modes(f):
    """a, b, a', b' -> f, its tangent, and a gradient."""

    @jax.jit
    def run(a, b, da, db):
        out, tangent = jax.jvp(f, (a, b), (da, db))
        return out, tangent, jax.grad(lambda a, b: scalar(f(a, b)), (0, 1))(a, b)

    return run


def compare(got, want, rtol=1e-8):
    for x, y in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        np.testing.assert_allclose(x, y, rtol=rtol, atol=rtol * np.abs(y).max())


@pytest.mark.parametrize(
    ("layout", "dtype", "n"),
    [
        (ROWS4, "float64", 12),
        (ROWS3, "complex128", 12),
        (COLUMNS4, "complex64", 12),
        (GRID, "float32", 12),
        (REPLICATED, "float64", 13),  # rows below the last one, on rank 2
        (REPLICATED, "complex128", 13),
        (None, "complex128", 5),  # one device
    ],
    ids=str,
)
@pytest.mark.parametrize("name", GROUPS)
def test_first(name, layout, dtype, n):
    """Each rule in both modes, each type, each way that a matrix may lie."""
    ours, theirs = GROUPS[name]
    a, da = spd(n, dtype, "cond1e2"), normal((n, n), dtype, 1)  # a tangent need not be Hermitian
    b, db = normal((n, 2), dtype, 2), normal((n, 2), dtype, 3)
    wide = np.result_type(dtype, np.float64)
    want = both_modes(theirs)(*(x.astype(wide) for x in (a, b, da, db)))
    if layout is None:
        got = both_modes(ours)(a, b, da, db)
    else:
        f = functools.partial(ours, mesh=layout.mesh("auto"), spec=layout.spec)
        put = functools.partial(layout.put, types="auto")
        everywhere = functools.partial(put, spec=P())
        got = both_modes(f)(put(a), everywhere(b), put(da), everywhere(db))
    compare(got, want, 1e-8 if dtype == wide else 2e-3)


@pytest.mark.parametrize("name", GROUPS)
def test_second(name):
    """Forward over reverse: the rules have derivatives themselves."""
    ours, theirs = GROUPS[name]
    n = 7  # odd, on two devices
    a, da, b = spd(n), normal((n, n), seed=1), normal((n, 2), seed=2)

    def second(f):
        def gradient(a, b):
            return jax.grad(lambda a: scalar(jax.tree.map(jnp.sin, f(a, b))))(a)

        return jax.jit(lambda a, b, da: jax.jvp(lambda a: gradient(a, b), (a,), (da,)))(a, b, da)

    f = functools.partial(ours, mesh=ROWS2.mesh("auto"), spec=P())
    compare(second(f), second(theirs), 1e-6)


@pytest.mark.parametrize("b_spec", [P("x", None), P(None, "x")], ids=str)
def test_explicit_axes(b_spec):
    """Gradients are laid out like their arguments."""
    a, b = spd(12), normal((12, 2), seed=2)

    def f(a, b):
        factor = ml.cho_factor(a)
        x = ml.solve(a, b) + factor.solve(b)
        return jnp.sum(x * x) + factor.logdet() + ml.slogdet(a).logabsdet + jnp.sum(ml.eigvalsh(a))

    def dense(a, b):
        a = mean(a)
        x = 2 * jnp.linalg.solve(a, b)
        return jnp.sum(x * x) + 2 * jnp.linalg.slogdet(a).logabsdet + jnp.trace(a)

    pa, pb = ROWS2.put(a), ROWS2.put(b, spec=b_spec)
    ga, gb = jax.jit(jax.grad(f, (0, 1)))(pa, pb)
    compare((ga, gb), jax.grad(dense, (0, 1))(a, b))
    assert ga.sharding.is_equivalent_to(pa.sharding, 2)
    assert gb.sharding.is_equivalent_to(pb.sharding, 2)


def test_eager():
    a, b = ROWS2.put(spd(8), "auto"), normal(8, seed=1)
    inverse = np.linalg.inv(spd(8))
    compare(
        jax.grad(lambda b: jnp.sum(ml.solve(a, b) ** 2))(jnp.asarray(b)), 2 * inverse @ inverse @ b
    )
    compare(jax.grad(lambda a: ml.slogdet(a).logabsdet)(a), inverse)


# ---- what is done, and where --------------------------------------------------------------------


def handler_calls(program) -> list[str]:
    """Calls of the library in the HLO of a compiled program."""
    return re.findall(r'custom_call_target="meshlinalg_\d+_(\w+)"', program.as_text())


def test_gaussian_process():
    """The gradient of a log likelihood takes one factorisation; gradient and Hessian are right."""
    n = 16
    x, y = normal((n, 2), seed=4), normal(n, seed=5)
    theta = jnp.array([0.3, -0.5, -1.0])

    def kernel(theta):
        d2 = jnp.sum((x[:, None] - x[None]) ** 2, axis=-1)
        return jnp.exp(theta[0] - d2 * jnp.exp(theta[1])) + jnp.exp(theta[2]) * jnp.eye(n)

    def ours(theta):
        factor = ml.cho_factor(kernel(theta), mesh=ROWS4.mesh("auto"))
        return y @ factor.solve(y) / 2 + factor.logdet() / 2

    def theirs(theta):
        k = kernel(theta)
        return y @ jnp.linalg.solve(k, y) / 2 + jnp.linalg.slogdet(k).logabsdet / 2

    gradient = jax.jit(jax.value_and_grad(ours)).lower(theta).compile()
    calls = handler_calls(gradient)
    assert calls.count("potrf") == 1 and calls.count("potri") == 1
    assert set(calls) == {"potrf", "potri", "potrs"}
    compare(gradient(theta), jax.value_and_grad(theirs)(theta))
    compare(jax.jit(jax.hessian(ours))(theta), jax.hessian(theirs)(theta), 1e-6)


@pytest.mark.parametrize("name", GROUPS)
def test_memory(name):
    """Neither mode makes a device hold the matrix."""
    n = 96
    ours, _ = GROUPS[name]
    a, b = ROWS8.put(np.eye(n), "auto"), ROWS8.put(np.ones((n, 1)), "auto", P())
    f = functools.partial(ours, mesh=ROWS8.mesh("auto"), spec=P("x", None))
    text = both_modes(f).lower(a, b, a, b).compile().as_text()
    shapes = re.findall(r"\bf64\[([0-9,]+)\]", text)
    assert max(math.prod(map(int, shape.split(","))) for shape in shapes) <= n * n // 4


def test_factor_is_made_once():
    """x and its tangent share one factorisation, and so do log det and its tangent."""
    a, b = ROWS4.put(spd(12), "auto"), normal(12, seed=1)

    def f(a):
        return ml.solve(a, b), ml.slogdet(a).logabsdet

    calls = handler_calls(jax.jit(lambda a: jax.jvp(f, (a,), (a,))).lower(a).compile())
    assert calls.count("potrf") == 2 and set(calls) == {"potrf", "potrs", "potri"}


# ---- in other transformations --------------------------------------------------------------------


def test_jacobian_is_one_solve():
    """A batch of tangents of b becomes columns."""
    a, b = ROWS2.put(spd(8), "auto"), jnp.ones(8)
    program = jax.jit(jax.jacfwd(lambda b: ml.solve(a, b))).lower(b).compile()
    compare(program(b), np.linalg.inv(spd(8)))
    assert "while" not in program.as_text()


def test_scan():
    a, b = ROWS2.put(spd(8, kind="cond1e2"), "auto"), normal(8, seed=1)

    def f(a, solve):
        return jnp.sum(jax.lax.scan(lambda x, _: (solve(a, x), None), b, length=3)[0])

    got = jax.jit(jax.grad(functools.partial(f, solve=ml.solve)))(a)
    want = jax.grad(functools.partial(f, solve=lambda a, b: jnp.linalg.solve(mean(a), b)))
    compare(got, want(np.asarray(a)), 1e-7)


@pytest.mark.parametrize("check_vma", [True, False])
def test_inside_a_map(check_vma):
    """The functions on local shards: tangents inside of the map, gradients through it."""
    n = 12
    a, da, b, db = spd(n), normal((n, n), seed=1), normal(n, seed=2), normal(n, seed=3)
    rows = P("x", None)

    def f(a, b):
        factor = shard.cho_factor(a, "x")
        x = shard.solve(a, b, "x") + factor.solve(b)
        return x, shard.slogdet(a, "x").logabsdet + factor.logdet(), shard.inv(a, "x")

    def dense(a, b):
        a = mean(a)
        x, logdet = jnp.linalg.solve(a, b), jnp.linalg.slogdet(a).logabsdet
        return 2 * x, 2 * logdet, jnp.linalg.inv(a)

    mapped = functools.partial(
        jax.shard_map, mesh=ROWS3.mesh(), out_specs=(P(), P(), rows), check_vma=check_vma
    )
    tangents = mapped(lambda *xs: jax.jvp(f, xs[:2], xs[2:])[1], in_specs=(rows, P(), rows, P()))

    @jax.jit
    def run(a, b, da, db):
        whole = mapped(f, in_specs=(rows, P()))
        return tangents(a, b, da, db), jax.grad(lambda a, b: scalar(whole(a, b)), (0, 1))(a, b)

    put, everywhere = ROWS3.put, functools.partial(ROWS3.put, spec=P())
    got = run(put(a), everywhere(b), put(da), everywhere(db))
    _, *want = both_modes(dense)(a, b, da, db)
    compare(got, want)


def test_failure_gives_nan():
    a = ROWS2.put(-np.eye(8), "auto")
    value, gradient = jax.jit(jax.value_and_grad(lambda a: ml.slogdet(a).logabsdet))(a)
    assert np.isnan(value) and np.isnan(np.asarray(gradient)).all()

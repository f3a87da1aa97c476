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
from jax.test_util import check_grads

import meshlinalg as ml
from meshlinalg import shard
from support import ROWS2, ROWS3, ROWS4, ROWS8, Layout, normal, spd, with_spectrum

GRID = Layout("grid", (2, 2), P("x", "y"))
COLUMNS2 = Layout("columns2", (2,), P(None, "x"))
UNEVEN = Layout("replicated5", (5,), P())


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
        ml.solve(a, b, **where, assume_a="pos"),
        ml.det(a, **where, assume_a="pos"),  # by slogdet
        ml.inv(a, **where, assume_a="pos"),
        factor.solve(b),
        factor.logdet(),
        factor.inv(),
        factor.diag_inv(),
    )


def positive_dense(a, b):
    a = mean(a)
    x, inverse = jnp.linalg.solve(a, b), jnp.linalg.inv(a)
    _, logdet = jnp.linalg.slogdet(a)
    diagonal = jnp.real(jnp.diagonal(inverse))
    return x, jnp.exp(logdet), inverse, x, logdet, inverse, diagonal


def triangular(a, b, **where):
    return ml.cholesky(a, **where), ml.solve(a, b, lower=True, **where, assume_a="pos")


def triangular_dense(a, b):
    return jnp.linalg.cholesky(a), jnp.linalg.solve(lower(a), b)


def upper(a, b, **where):
    return ml.cholesky(a, upper=True, **where), b


def upper_dense(a, b):
    return jnp.linalg.cholesky(a, upper=True), b


def eigen(a, b, **where):
    w, v = ml.eigh(a, **where)
    return *densities(w, v), ml.eigvalsh(a, **where), b


def eigen_dense(a, b):
    w, v = jnp.linalg.eigh(a)
    return *densities(w, v), w, b


GROUPS = {
    "positive": (positive, positive_dense),
    "triangular": (triangular, triangular_dense),
    "upper": (upper, upper_dense),
    "eigen": (eigen, eigen_dense),
}
EVERY = pytest.mark.parametrize("name", ["positive", "triangular", "eigen"])


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


@functools.cache
def case(name, n, dtype):
    """Arguments, and what JAX makes of them with twice the digits."""
    a, da = spd(n, dtype, "cond1e2"), normal((n, n), dtype, 1)  # a tangent need not be Hermitian
    b, db = normal((n, 2), dtype, 2), normal((n, 2), dtype, 3)
    wide = np.result_type(dtype, np.float64)
    want = both_modes(GROUPS[name][1])(*(x.astype(wide) for x in (a, b, da, db)))
    return (a, b, da, db), want


def check_first(name, layout, dtype, n) -> str:
    """Both modes are right; the program."""
    arguments, want = case(name, n, dtype)
    f, _ = GROUPS[name]
    if layout is not None:
        f = functools.partial(f, mesh=layout.mesh("auto"), spec=layout.spec)
        specs = (layout.spec, P()) * 2
        arguments = [layout.put(x, "auto", s) for x, s in zip(arguments, specs, strict=True)]
    program = both_modes(f).lower(*arguments).compile()
    compare(program(*arguments), want, 1e-8 if np.finfo(dtype).bits == 64 else 2e-3)
    return program.as_text()


@EVERY
@pytest.mark.parametrize(
    ("layout", "dtype"),
    [
        (ROWS3, "complex128"),
        (UNEVEN, "complex128"),  # four ranks have three rows, the last has none
    ],
    ids=str,
)
def test_first(name, layout, dtype):
    """Each rule in both modes: complex, where a conjugate would be missed, and where a shard has
    rows that are none of the matrix's."""
    check_first(name, layout, dtype, 12)


@pytest.mark.parametrize(
    ("name", "layout", "dtype"),
    [
        ("triangular", COLUMNS2, "complex64"),
        ("eigen", COLUMNS2, "complex64"),
        ("upper", GRID, "float32"),
        ("positive", None, "float64"),
    ],
    ids=str,
)
def test_other_layouts(name, layout, dtype):
    """What differs is how a matrix comes to rows and leaves them, alike for all rules."""
    check_first(name, layout, dtype, 12)


@pytest.mark.parametrize(
    ("name", "layout"), [("positive", ROWS4), ("triangular", ROWS4), ("eigen", ROWS8)], ids=str
)
def test_nothing_is_gathered(name, layout):
    """In neither mode has a device more than two shards in one array."""
    n, (ranks,) = 48, layout.shape
    text = check_first(name, layout, "float64", n)
    shapes = re.findall(r"\bf64\[([0-9,]+)\]", text)
    assert max(math.prod(map(int, shape.split(","))) for shape in shapes) <= 2 * n * n // ranks


@EVERY
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


def test_explicit_axes():
    """Gradients are laid out like their arguments. Eight columns are more than a shard has."""
    a, b, c = spd(12), normal((12, 8), seed=2), normal((12, 2), seed=3)

    def f(a, b, c):
        factor = ml.cho_factor(a)
        x, y = factor.solve(b), ml.solve(a, c, assume_a="pos")
        return jnp.sum(x * x) + jnp.sum(y * y) + factor.logdet() + jnp.sum(ml.eigvalsh(a))

    def dense(a, b, c):
        a = mean(a)
        x, y = jnp.linalg.solve(a, b), jnp.linalg.solve(a, c)
        return jnp.sum(x * x) + jnp.sum(y * y) + jnp.linalg.slogdet(a)[1] + jnp.trace(a)

    specs = P("x", None), P("x", None), P(None, "x")
    placed = [ROWS2.put(x, spec=s) for x, s in zip((a, b, c), specs, strict=True)]
    gradients = jax.jit(jax.grad(f, (0, 1, 2)))(*placed)
    compare(gradients, jax.grad(dense, (0, 1, 2))(a, b, c))
    for gradient, x in zip(gradients, placed, strict=True):
        assert gradient.sharding.is_equivalent_to(x.sharding, 2)


def test_eager():
    a, b = ROWS2.put(spd(8), "auto"), normal(8, seed=1)
    inverse = np.linalg.inv(spd(8))
    compare(
        jax.grad(lambda b: jnp.sum(ml.solve(a, b, assume_a="pos") ** 2))(jnp.asarray(b)),
        2 * inverse @ inverse @ b,
    )
    compare(jax.grad(lambda a: ml.slogdet(a, assume_a="pos").logabsdet)(a), inverse)


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
        factor = ml.cho_factor(kernel(theta), mesh=ROWS2.mesh("auto"))
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


def test_factor_is_made_once():
    """A routine and its tangent share one factorisation, and so do eigenvalues and theirs."""
    a, b = ROWS2.put(spd(12), "auto"), normal(12, seed=1)

    def calls(f):
        return handler_calls(jax.jit(lambda a: jax.jvp(f, (a,), (a,))).lower(a).compile())

    assert sorted(calls(lambda a: ml.solve(a, b, assume_a="pos"))) == ["potrf", "potrs", "potrs"]
    assert sorted(calls(lambda a: ml.slogdet(a, assume_a="pos").logabsdet)) == ["potrf", "potri"]
    assert sorted(calls(ml.cholesky)) == ["potrf", "potrs"]
    assert calls(functools.partial(ml.inv, assume_a="pos")) == ["poinv"]
    assert calls(ml.eigvalsh) == calls(ml.eigh) == ["syevd"]


def test_what_does_not_move_costs_nothing():
    """The derivative with respect to b alone has no product with a tangent of A."""
    a, b = ROWS2.put(spd(12), "auto"), normal(12, seed=1)
    factor = ml.cho_factor(a)
    for solve in (functools.partial(ml.solve, a, assume_a="pos"), factor.solve):
        text = jax.jit(jax.grad(lambda b, s=solve: jnp.sum(s(b) ** 2))).lower(b).as_text()
        assert "all_to_all" not in text and "dot_general" not in text


# ---- in other transformations --------------------------------------------------------------------


def test_jacobian_is_one_solve():
    """A batch of tangents or cotangents of b becomes columns."""
    a, b = ROWS2.put(spd(8), "auto"), jnp.ones(8)
    for jacobian in (jax.jacfwd, jax.jacrev):
        program = jax.jit(jacobian(lambda b: ml.solve(a, b, assume_a="pos"))).lower(b).compile()
        compare(program(b), np.linalg.inv(spd(8)))
        assert "while" not in program.as_text()


def test_scan():
    a, b = ROWS2.put(spd(8, kind="cond1e2"), "auto"), normal(8, seed=1)

    def f(a, solve):
        return jnp.sum(jax.lax.scan(lambda x, _: (solve(a, x), None), b, length=3)[0])

    got = jax.jit(
        jax.grad(functools.partial(f, solve=functools.partial(ml.solve, assume_a="pos")))
    )(a)
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
        x = shard.solve(a, b, "x", assume_a="pos") + factor.solve(b)
        return (
            x,
            shard.slogdet(a, "x", assume_a="pos").logabsdet + factor.logdet(),
            shard.inv(a, "x", assume_a="pos"),
        )

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


def test_degenerate_eigenvalues():
    """With gap_tol= a projector onto eigenspaces has its right derivative in both modes; without,
    there is no number, as in JAX."""
    values, dtype = np.array([1.0, 1, 1, 2, 2, 3, 4, 4]), "complex128"
    a, da = with_spectrum(values, dtype), mean(normal((8, 8), dtype, 1))
    weight = mean(normal((8, 8), dtype, 2))

    def projector(a, tol):  # onto the two lowest eigenspaces
        v = ml.eigh(a, mesh=ROWS3.mesh("auto"), gap_tol=tol)[1][:, :5]
        return v @ jnp.conj(v.T)

    @jax.jit
    def run(a, da):
        f = functools.partial(projector, tol=1e-10)
        gradient = jax.grad(lambda a: jnp.sum(jnp.real(weight * f(a))))(a)
        exact = jax.grad(lambda d: jnp.sum(projector(jnp.diag(d), None)))(jnp.ones(8))
        return *jax.jvp(f, (a,), (da,)), gradient, exact

    p, dp, gradient, exact = run(a, da)
    w, v = np.linalg.eigh(a)
    m = v.conj().T @ da @ v
    low = np.arange(8) < 5
    gap = np.where(low & ~low[:, None], w - w[:, None], 1)  # row above, column below
    mixed = np.where(low & ~low[:, None], m / gap, 0)
    want = v @ (mixed + mixed.conj().T) @ v.conj().T
    compare((p, dp), (v[:, low] @ v[:, low].conj().T, want))
    np.testing.assert_allclose(
        np.sum(np.real(np.conj(gradient) * np.conj(da))), np.sum(np.real(weight * want)), rtol=1e-8
    )
    assert not np.isfinite(exact).any()


def qr(a, b, **where):
    return *ml.qr(a, **where), ml.qr(a, "r", **where), b


def qr_dense(a, b):
    q, r = jnp.linalg.qr(a)
    return q, r, r, b


def test_qr():
    """Both modes; and no rank has more than two shards in one array, but for LAPACK's T."""
    n, layout = 48, ROWS4
    arguments = [normal((n, k), seed=i) for i, k in enumerate((n, 2, n, 2))]
    f = functools.partial(qr, mesh=layout.mesh("auto"), spec=layout.spec)
    placed = [layout.put(x, "auto") for x in arguments]
    program = both_modes(f).lower(*placed).compile()
    compare(program(*placed), both_modes(qr_dense)(*arguments))
    shapes = set(re.findall(r"\bf64\[([0-9,]+)\]", program.as_text())) - {f"{n},128"}
    assert max(math.prod(map(int, x.split(","))) for x in shapes) <= n * n // 2


def test_qr_second():
    """Complex and tall, on devices that divide neither m nor n."""
    a, da, b = normal((12, 4), "complex128"), normal((12, 4), "complex128", 1), np.ones(1)
    f = functools.partial(qr, mesh=UNEVEN.mesh("auto"), spec=P())
    compare(second_of(f)((a, b), (da, b)), second_of(qr_dense)((a, b), (da, b)), 1e-6)


def second_of(f):
    """A tangent of a gradient."""

    def value(*xs):
        return scalar(jax.tree.map(jnp.sin, f(*xs)))

    def gradient(*xs):
        return jax.grad(value, tuple(range(len(xs))))(*xs)

    return jax.jit(lambda xs, dxs: jax.jvp(gradient, xs, dxs))


def test_least_squares():
    """x and the sum of squares. A second derivative is that of qr, which has its own test."""
    layout, dtype = UNEVEN, "complex128"
    a, da = normal((12, 4), dtype), normal((12, 4), dtype, 1)
    b, db = normal((12, 2), dtype, 2), normal((12, 2), dtype, 3)

    def ours(a, b):
        return ml.lstsq(a, b, full_rank=True, mesh=layout.mesh("auto"), spec=layout.spec)[:2]

    def theirs(a, b):
        x = jnp.linalg.solve(jnp.conj(a.T) @ a, jnp.conj(a.T) @ b)
        return x, jnp.sum(jnp.abs(b - a @ x) ** 2, axis=0)

    compare(both_modes(ours)(a, b, da, db), both_modes(theirs)(a, b, da, db))


@pytest.mark.parametrize(
    ("layout", "shape", "dtype"),
    [(UNEVEN, (5, 9), "complex128"), (ROWS3, (9, 5), "float64")],
    ids=str,
)
def test_singular_values(layout, shape, dtype):
    """What does not depend on phases; tall in the forward and wide in the reverse mode."""
    a, da = normal(shape, dtype), normal(shape, dtype, 1)

    def invariants(svd):
        def f(a):
            u, s, vh = svd(a, full_matrices=False)
            density = jnp.real(u * jnp.conj(u)), jnp.real(vh * jnp.conj(vh))
            return *density, s, u @ (s[:, None] ** 2 * vh), svd(a, compute_uv=False)

        if shape[0] > shape[1]:
            return jax.jit(lambda a: jax.jvp(f, (a,), (da,)))(a)
        return jax.jit(lambda a: (f(a), jax.grad(lambda a: scalar(f(a)))(a)))(a)

    ours = functools.partial(ml.svd, mesh=layout.mesh("auto"), spec=layout.spec)
    compare(invariants(ours), invariants(jnp.linalg.svd))


def test_qr_without_derivative():
    """What JAX has no derivative of either."""
    for a, mode in ((np.ones((4, 6)), "reduced"), (np.ones((6, 4)), "complete")):
        with pytest.raises(NotImplementedError, match="has no derivative: expected at least"):
            jax.jvp(functools.partial(ml.qr, mode=mode), (a,), (a,))


def test_finite_differences():
    """Nothing of JAX's linear algebra in the comparison."""
    where = {"mesh": ROWS2.mesh("auto")}

    @jax.jit
    def f(a):
        a = jnp.eye(5) * 3 + mean(a)
        factor = ml.cho_factor(a, **where)
        x = factor.solve(jnp.arange(5.0))
        w, v = ml.eigh(a, **where)
        return x, factor.logdet(), ml.cholesky(a, **where), w, v * v

    check_grads(f, (normal((5, 5)) / 4,), 1, modes=["rev"], atol=1e-6, rtol=1e-6, eps=1e-5)


def test_failure_gives_nan():
    a = ROWS2.put(-np.eye(8), "auto")
    value, gradient = jax.jit(
        jax.value_and_grad(lambda a: ml.slogdet(a, assume_a="pos").logabsdet)
    )(a)
    assert np.isnan(value) and np.isnan(np.asarray(gradient)).all()

# SPDX-License-Identifier: Apache-2.0
"""meshlinalg.shard: the routines on local shards inside the caller's shard_map."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from meshlinalg import shard
from support import (
    LIMIT,
    ROWS3,
    ROWS4,
    ROWS8,
    TYPES,
    Layout,
    cholesky_residual,
    eigen_residual,
    inverse_residual,
    logdet_error,
    normal,
    solve_residual,
    spd,
)

ROWS = P("x", None)


def mapped(f, layout, in_specs, out_specs, *arrays, types="explicit", check_vma=True, jit=True):
    mesh = layout.mesh(types)
    f = jax.shard_map(f, mesh=mesh, in_specs=in_specs, out_specs=out_specs, check_vma=check_vma)
    placed = [layout.put(x, types, spec) for x, spec in zip(arrays, in_specs, strict=True)]
    return (jax.jit(f) if jit else f)(*placed)


@pytest.mark.parametrize("check_vma", [True, False])
@pytest.mark.parametrize("types", TYPES)
@pytest.mark.parametrize("layout", [ROWS8, ROWS3], ids=str)
@pytest.mark.parametrize("b_spec", [P(None, None), ROWS], ids=["replicated", "rows"])
def test_solve(layout, b_spec, types, check_vma):
    a, b = spd(48, "complex64"), normal((48, 2), "complex64", 1)

    def f(a, b):
        factor = shard.cho_factor(a, "x")
        x, info = shard.solve(a, b, "x", return_info=True, assume_a="pos")
        y = shard.solve(a, b[:, 0], "x", lower=True, assume_a="pos")
        return x, info, y, factor.solve(b), factor.logdet(), shard.cho_solve(factor, b)

    specs = (b_spec, P(), P(b_spec[0]), b_spec, P(), b_spec)
    x, info, y, z, logdet, u = mapped(
        f, layout, (ROWS, b_spec), specs, a, b, types=types, check_vma=check_vma
    )
    assert int(info) == 0 and logdet_error(a, logdet) < LIMIT
    for solution in (x, z, u):
        assert solve_residual(a, solution, b) < LIMIT
    assert solve_residual(a, y, b[:, 0]) < LIMIT


@pytest.mark.parametrize("check_vma", [True, False])
@pytest.mark.parametrize("jit", [True, False], ids=["jit", "eager"])
def test_matrices(jit, check_vma):
    a = spd(48, "complex64")

    def f(a):
        w, v = shard.eigh(a, "x")
        return (
            shard.inv(a, "x", assume_a="pos"),
            shard.cho_factor(a, "x").inv(),
            shard.cholesky(a, "x"),
            shard.cholesky(a, "x", upper=True),
            v,
            w,
            shard.eigvalsh(a, "x"),
            shard.slogdet(a, "x", assume_a="pos").logabsdet,
            shard.det(a, "x", assume_a="pos"),
        )

    specs = (ROWS,) * 5 + (P(), P(), P(), P())
    out = mapped(f, ROWS4, (ROWS,), specs, a, check_vma=check_vma, jit=jit)
    inverse, again, lower, upper, v, w, values, logdet, det = out
    assert inverse_residual(a, inverse) < LIMIT and inverse_residual(a, again) < LIMIT
    assert cholesky_residual(a, lower) < LIMIT
    np.testing.assert_array_equal(upper, np.asarray(lower).conj().T)
    assert eigen_residual(a, w, v) < LIMIT
    np.testing.assert_allclose(values, w, rtol=1e-5)
    assert logdet_error(a, logdet) < LIMIT
    np.testing.assert_allclose(det, np.exp(logdet), rtol=1e-6)


def test_other_collectives():
    """psum, all_gather and our calls in one map, in turn."""
    a, b = spd(48), normal(48, seed=1)

    def f(a, b):
        b = b / jnp.sqrt(jax.lax.psum(jnp.sum(b * b), "x"))
        x = shard.solve(a, b, "x", assume_a="pos")
        x = x / jnp.sqrt(jax.lax.psum(jnp.sum(x * x), "x"))
        y = shard.solve(a, x, "x", assume_a="pos")
        return jax.lax.psum(jnp.sum(x * y), "x"), jax.lax.all_gather(y, "x", tiled=True)

    energy, y = mapped(f, ROWS8, (ROWS, P("x")), (P(), P()), a, b, check_vma=False)
    x = np.linalg.solve(a, b / np.linalg.norm(b))
    x /= np.linalg.norm(x)
    np.testing.assert_allclose(y, np.linalg.solve(a, x), rtol=1e-12)
    np.testing.assert_allclose(energy, x @ np.linalg.solve(a, x), rtol=1e-12)


@pytest.mark.parametrize("check_vma", [True, False])
def test_groups(check_vma):
    """Each row of the mesh solves a system of its own."""
    layout = Layout("groups", (2, 4), P("x", "y", None))
    n = 24
    a = np.stack([spd(n, seed=1), spd(n, seed=2)])
    b = normal((2, n), seed=3)

    def f(a, b):
        x, info = shard.solve(a[0], b[0], "y", return_info=True, assume_a="pos")
        return x[None], info[None]

    x, info = mapped(
        f,
        layout,
        (P("x", "y", None), P("x", None)),
        (P("x", None), P("x")),
        a,
        b,
        check_vma=check_vma,
    )
    assert not np.asarray(info).any()
    for i in range(2):
        assert solve_residual(a[i], np.asarray(x)[i], b[i]) < LIMIT


def test_two_axes():
    layout = Layout("both", (2, 4), P(("y", "x"), None))
    a, b = spd(48), normal(48, seed=1)
    x = mapped(
        lambda a, b: shard.solve(a, b, ("y", "x"), assume_a="pos"),
        layout,
        (P(("y", "x"), None), P(("y", "x"))),
        P(("y", "x")),
        a,
        b,
    )
    assert solve_residual(a, x, b) < LIMIT


def test_rows_that_fill_up():
    """50 rows on 8 devices: the caller has 7 on each, 6 too many."""
    n, padded = 50, 56
    a = spd(n, "complex64")
    full = np.full((padded, n), np.nan, "complex64")
    full[:n] = a
    b = normal((n, 2), "complex64", 1)

    def f(a, b):
        w, v = shard.eigh(a, "x")
        return (
            shard.solve(a, b, "x", assume_a="pos"),
            shard.inv(a, "x", assume_a="pos"),
            shard.cholesky(a, "x"),
            w,
            v,
        )

    specs = (P(), ROWS, ROWS, P(), ROWS)
    x, inverse, lower, w, v = mapped(f, ROWS8, (ROWS, P()), specs, full, b)
    assert solve_residual(a, x, b) < LIMIT
    assert inverse_residual(a, np.asarray(inverse)[:n]) < LIMIT
    assert cholesky_residual(a, np.asarray(lower)[:n]) < LIMIT
    assert eigen_residual(a, w, np.asarray(v)[:n]) < LIMIT


def test_vmap_inside():
    a, b = spd(48), normal((3, 48), seed=1)
    x = mapped(
        lambda a, b: jax.vmap(lambda c: shard.solve(a, c, "x", assume_a="pos"))(b),
        ROWS4,
        (ROWS, P()),
        P(),
        a,
        b,
    )
    for i in range(3):
        assert solve_residual(a, x[i], b[i]) < LIMIT


def test_scan_inside():
    a, b = spd(48), normal(48, seed=1)

    def f(a, b):
        def step(x, _):
            x = shard.solve(a, x, "x", assume_a="pos")
            return x, jax.lax.psum(jnp.sum(x), "x")

        return jax.lax.scan(step, b, length=3)

    x, _ = mapped(f, ROWS4, (ROWS, P("x")), (P("x"), P()), a, b, check_vma=False)
    want = b
    for _ in range(3):
        want = np.linalg.solve(a, want)
    np.testing.assert_allclose(x, want, rtol=1e-10)


def test_failure():
    a = spd(48)
    a[20, 20] = -1

    def f(a):
        inverse, info = shard.inv(a, "x", return_info=True, tile_size=4, assume_a="pos")
        return inverse, info

    inverse, info = mapped(f, ROWS4, (ROWS,), (ROWS, P()), a)
    assert 1 <= int(info) <= 48 and np.isnan(np.asarray(inverse)).all()


# ---- misuse ------------------------------------------------------------------------------------


def refuse(f, match, error=ValueError, layout=ROWS4, spec=ROWS, n=8):
    with pytest.raises(error, match=match):
        mapped(f, layout, (spec,), spec, np.eye(n))


def test_axis_name():
    refuse(lambda a: shard.inv(a, "z", assume_a="pos"), r"axis_name='z'.*\('x',\)")
    refuse(lambda a: shard.inv(a, 0, assume_a="pos"), "axis_name must be a name", TypeError)
    refuse(lambda a: shard.inv(a, (), assume_a="pos"), "axis_name must be a name", TypeError)
    with pytest.raises(ValueError, match=r"axis_name='x'.*none"):
        shard.inv(np.eye(4), "x", assume_a="pos")
    with pytest.raises(ValueError, match=r"axis_name='x'.*none"):
        jax.jit(functools.partial(shard.inv, axis_name="x"))(ROWS4.put(np.eye(8)))


def test_too_few_rows():
    refuse(lambda a: shard.inv(a[:1], "x", assume_a="pos"), r"\(1, 8\).*4 devices.*expected 8")


def test_b_does_not_fit():
    refuse(
        lambda a: shard.solve(a, jnp.ones(5), "x", assume_a="pos"), r"8 rows \(replicated\) or 2"
    )


def test_automatic_axes_are_left():
    layout = Layout("", (2, 2), ROWS)
    mesh = layout.mesh("auto")
    f = jax.shard_map(
        lambda a: shard.inv(a, "x", assume_a="pos"),
        mesh=mesh,
        in_specs=ROWS,
        out_specs=ROWS,
        axis_names={"x"},
    )
    with pytest.raises(ValueError, match=r"\['y'\]"):
        jax.jit(f)(layout.put(np.eye(8), "auto"))

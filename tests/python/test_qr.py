# SPDX-License-Identifier: Apache-2.0
"""qr: against the definition and against JAX, for every shape, layout and kind of matrix."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

import meshlinalg as ml
from support import COLUMNS4, DTYPES, LAYOUTS, LIMIT, ROWS3, ROWS4, ROWS8, normal, spec_of


def matrix(m, n, dtype="float64", kind="random"):
    a = normal((m, n), dtype)
    if kind == "rank":
        return (normal((m, 3), dtype) @ normal((3, n), dtype, 1)).astype(dtype)
    if kind == "graded":  # squares of the last columns underflow
        low = -18 if np.finfo(dtype).dtype == np.float32 else -150
        return (a * np.logspace(0, low, n)).astype(dtype)
    if kind == "zeros":
        return a * (np.arange(n) % 3 != 1)
    if kind == "zero":
        return 0 * a
    if kind == "identity":
        return np.eye(m, n, dtype=dtype)
    if kind == "kahan":
        k = np.arange(m)[:, None], np.arange(n)
        return (0.8 ** k[0] * ((k[0] == k[1]) - 0.6 * (k[0] < k[1]))).astype(dtype)
    if kind == "hilbert":
        return (1 / (np.arange(m)[:, None] + np.arange(n) + 1)).astype(dtype)
    assert kind == "random"
    return a


def residuals(a, q, r):
    """(each column of A - Q R against that of A, Q^H Q - I), in units of eps max(m, n)."""
    q, r = np.asarray(q), np.asarray(r)
    unit = np.finfo(a.dtype).eps * max(a.shape)
    wide = np.result_type(a.dtype, "float64")
    scale = np.abs(a).max(axis=0, initial=0)
    scale = np.where(scale == 0, 1, scale).astype("float64")
    wrong = np.abs(a / scale - q.astype(wide) @ (r / scale)).max(initial=0)
    identity = np.abs(q.conj().T.astype(wide) @ q - np.eye(q.shape[1])).max(initial=0)
    return wrong / unit, identity / unit


@pytest.mark.parametrize("layout", [ROWS8, ROWS3, COLUMNS4, None], ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_residual(dtype, layout):
    for shape in ((72, 24), (48, 48), (24, 72)):
        a = matrix(*shape, dtype)
        want = np.linalg.qr(a)
        q, r = ml.qr(a if layout is None else layout.put(a))
        assert q.dtype == r.dtype == dtype and (q.shape, r.shape) == (want.Q.shape, want.R.shape)
        assert max(residuals(a, q, r)) < LIMIT, shape
        assert np.array_equal(np.triu(r), r)
        # R is determined by A, signs included.
        limit = (
            1e3 * np.finfo(dtype).eps * np.abs(want.R).max() * np.linalg.cond(a[:, : a.shape[0]])
        )
        assert np.abs(r - want.R).max() < limit, shape


@pytest.mark.parametrize(
    "kind", ["rank", "graded", "zeros", "zero", "identity", "kahan", "hilbert"]
)
def test_special(kind):
    for dtype, shape in (("float64", (64, 64)), ("complex64", (96, 40)), ("float32", (40, 64))):
        a = matrix(*shape, dtype, kind)
        q, r = ml.qr(ROWS4.put(a))
        assert max(residuals(a, q, r)) < LIMIT, shape
        if kind == "identity":
            assert np.array_equal(r, np.eye(*r.shape))


def test_modes():
    a = matrix(64, 24)
    placed = ROWS8.put(a)
    full = ml.qr(placed, mode="complete")
    assert full.Q.shape == (64, 64) and full.R.shape == (64, 24)
    assert max(residuals(a, full.Q, full.R)) < LIMIT
    thin = ml.qr(placed)
    r = np.asarray(full.R)
    assert np.array_equal(r[:24], thin.R) and not r[24:].any()
    assert np.array_equal(ml.qr(placed, mode="r"), thin.R)
    assert ml.qr(ROWS4.put(a.T), mode="complete").Q.shape == (24, 24)
    with pytest.raises(ValueError, match="mode='economic'"):
        ml.qr(placed, mode="economic")
    with pytest.raises(ValueError, match="tile_size=129"):
        ml.qr(placed, tile_size=129)
    with pytest.raises(ValueError, match="must be a matrix"):
        ml.qr(a[None])


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_layouts(layout):
    a = matrix(48, 16)
    want = np.linalg.qr(a)
    for types in ("explicit", "auto"):
        placed = layout.put(a, types)
        for f in (ml.qr, jax.jit(ml.qr)) if types == "explicit" else (ml.qr,):
            q, r = f(placed)
            assert np.abs(q - want.Q).max() < 1e-12 and np.abs(r - want.R).max() < 1e-12
            assert len(q.sharding.device_set) == len(placed.sharding.device_set)
            if layout.spec[:1] == P("x") and 16 % len(placed.sharding.device_set) == 0:
                assert spec_of(q)[0] == "x" and spec_of(r)[0] == "x"


def test_ragged():
    """Sizes that the devices do not divide."""
    for m, n in ((37, 11), (11, 37), (5, 3), (3, 8), (1, 1), (40, 13)):
        a = matrix(m, n)
        mesh = ROWS8.mesh()
        spec = P("x", None) if m % 8 == 0 else None
        q, r = ml.qr(a, mesh=mesh, spec=spec)
        assert max(residuals(a, q, r)) < LIMIT, (m, n)
        assert len(q.sharding.device_set) == 8
    for shape in ((0, 3), (3, 0), (0, 0)):
        q, r = ml.qr(np.zeros(shape))
        assert q.shape == (shape[0], 0) and r.shape == (0, shape[1])


def test_nan():
    a = matrix(40, 16)
    a[17, 3] = np.nan
    q, r = ml.qr(ROWS8.put(a))
    assert np.isnan(np.asarray(q)).any() and np.isnan(np.asarray(r)[3, 3])


def test_transforms():
    a = ROWS4.put(matrix(32, 8))
    many = jnp.stack([a, 2 * a])
    q, r = map(np.asarray, jax.vmap(ml.qr)(many))
    want = ml.qr(a)
    assert np.allclose(q[1], want.Q, atol=1e-13) and np.allclose(
        r[1], 2 * np.asarray(want.R), atol=1e-12
    )

    @jax.jit
    def project(a, x):
        q, _ = ml.qr(a)
        return q @ (q.T @ x)

    x = normal((32, 2))
    p = project(ROWS4.put(matrix(32, 8), "auto"), ROWS4.put(x, "auto"))
    assert np.abs(np.asarray(a).T @ (x - np.asarray(p))).max() < 1e-12


def test_overwrite():
    a = ROWS4.put(matrix(32, 8))
    want = ml.qr(a)
    q, r = ml.qr(a, overwrite_a=True)
    assert a.is_deleted() and np.array_equal(q, want.Q) and np.array_equal(r, want.R)
    a = ROWS4.put(matrix(8, 32))
    ml.qr(a, overwrite_a=True)
    assert a.is_deleted()

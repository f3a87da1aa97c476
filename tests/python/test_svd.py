# SPDX-License-Identifier: Apache-2.0
"""svd, svdvals, polar, pinv, matrix_rank, cond: against the definition and against NumPy."""

import jax
import numpy as np
import pytest

import meshlinalg as ml
from meshlinalg import _svd
from support import COLUMNS4, LIMIT, ROWS2, ROWS3, ROWS4, ROWS8, normal
from test_qr import matrix


@pytest.fixture(params=["polar", "whole"])
def way(request, monkeypatch):
    """Small matrices by the way of large ones, or as they go by themselves."""
    if request.param == "polar":
        monkeypatch.setattr(_svd, "_WHOLE", 0)
    return request.param


@pytest.fixture
def as_large(monkeypatch):
    monkeypatch.setattr(_svd, "_WHOLE", 0)


def residual(a, u, s, vh):
    """The largest of |A - U S Vh|, |U^H U - I|, |Vh Vh^H - I|, |S - S of NumPy| in units."""
    u, s, vh = map(np.asarray, (u, s, vh))
    assert (np.diff(s) <= 0).all() and (s >= 0).all()
    k, unit = len(s), np.finfo(a.dtype).eps * max(a.shape)
    want = np.linalg.svd(a.astype("complex128"), compute_uv=False)
    norm = want[0] if want[0] > 0 else 1
    parts = (
        (a - (u * s) @ vh) / norm,
        u.conj().T @ u - np.eye(k),
        vh @ vh.conj().T - np.eye(k),
        (s - want) / norm,
    )
    return max(np.abs(x).max() for x in parts) / unit


KINDS = ("random", "rank", "graded", "zeros", "zero", "identity", "kahan", "hilbert")


@pytest.mark.parametrize(
    "dtype, shape, layout",
    [
        ("float64", (48, 48), ROWS8),
        ("complex64", (64, 24), ROWS2),
        ("float32", (24, 48), ROWS3),
        ("complex128", (24, 24), COLUMNS4),
    ],
    ids=str,
)
def test_residual(dtype, shape, layout, as_large):
    for kind in KINDS:
        a = matrix(*shape, dtype, kind)
        u, s, vh = ml.svd(layout.put(a))
        assert u.dtype == vh.dtype == dtype and s.dtype == np.finfo(dtype).dtype
        assert residual(a, u, s, vh) < LIMIT, kind


def test_ways(way):
    a = matrix(40, 16, "complex128")
    placed = ROWS4.put(a)
    u, s, vh = ml.svd(placed)
    assert residual(a, u, s, vh) < LIMIT
    assert u.sharding.spec[0] == "x" and vh.sharding.spec[0] == "x"
    assert np.allclose(ml.svdvals(placed), s, rtol=1e-14, atol=1e-14 * s[0])
    assert np.array_equal(ml.svd(placed, compute_uv=False), ml.svdvals(placed))
    a[3, 4] = np.nan
    assert np.isnan(np.asarray(ml.svdvals(ROWS4.put(a)))).all()


def test_ragged(as_large):
    for m, n in ((37, 11), (3, 5)):
        a = matrix(m, n)
        assert residual(a, *ml.svd(a, mesh=ROWS4.mesh())) < LIMIT, (m, n)
    for shape in ((0, 3), (3, 0)):
        u, s, vh = ml.svd(np.zeros(shape))
        assert (u.shape, s.shape, vh.shape) == ((shape[0], 0), (0,), (0, shape[1]))


@pytest.mark.parametrize("side", ["right", "left"])
def test_polar(side):
    right = side == "right"
    for dtype, shape, layout in (
        ("float64", (32, 32), ROWS4),
        ("complex64", (48, 21) if right else (21, 48), ROWS3),
    ):
        a = matrix(*shape, dtype)
        u, p = map(np.asarray, ml.polar(layout.put(a), side))
        unit = np.finfo(dtype).eps * max(shape) * np.linalg.norm(a, 2)
        assert np.abs(a - (u @ p if side == "right" else p @ u)).max() < LIMIT * unit
        k = min(shape)
        gram = u.conj().T @ u if shape[0] >= shape[1] else u @ u.conj().T
        assert np.abs(gram - np.eye(k)).max() < LIMIT * unit
        assert np.array_equal(p, p.conj().T)
        assert np.linalg.eigvalsh(p).min() > -LIMIT * unit
    ill = matrix(32, 32, "float64", "hilbert")
    u, p = map(np.asarray, ml.polar(ROWS4.put(ill), side))
    assert np.abs(ill - (u @ p if side == "right" else p @ u)).max() < 1e-13
    with pytest.raises(ValueError, match="side='up'"):
        ml.polar(ill, "up")


def test_pinv(way):
    a = matrix(16, 40) if way == "whole" else matrix(40, 16)
    assert np.abs(np.asarray(ml.pinv(ROWS4.put(a))) - np.linalg.pinv(a)).max() < 1e-12
    a = matrix(*a.shape, "float64", "rank")
    assert np.abs(np.asarray(ml.pinv(ROWS4.put(a))) - np.linalg.pinv(a)).max() < 1e-12
    assert np.abs(np.asarray(ml.pinv(a, rtol=0.5)) - np.linalg.pinv(a, 0.5)).max() < 1e-12


def test_rank_and_cond():
    low, full = matrix(40, 16, "float64", "rank"), matrix(40, 16)
    assert int(ml.matrix_rank(ROWS8.put(low))) == 3 and int(ml.matrix_rank(full)) == 16
    assert int(ml.matrix_rank(np.zeros((4, 4)))) == 0
    assert float(ml.cond(ROWS8.put(full))) == pytest.approx(np.linalg.cond(full))
    assert float(ml.cond(full, -2)) == pytest.approx(np.linalg.cond(full, -2))
    with pytest.raises(ValueError, match="p='fro'"):
        ml.cond(full, "fro")
    with pytest.raises(ValueError, match="full_matrices=True"):
        ml.svd(full, full_matrices=True)


def test_jit(as_large):
    a = ROWS4.put(matrix(32, 16), "auto")
    values = jax.jit(lambda a: ml.svd(a, mesh=ROWS4.mesh("auto")).S)(a)
    assert np.allclose(values, np.linalg.svd(np.asarray(a), compute_uv=False), rtol=1e-12)
    batch = np.stack([normal((16, 8)), normal((16, 8), seed=1)])
    assert np.allclose(
        jax.vmap(ml.svdvals)(batch), np.linalg.svd(batch, compute_uv=False), rtol=1e-12
    )

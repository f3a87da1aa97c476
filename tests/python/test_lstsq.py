# SPDX-License-Identifier: Apache-2.0
"""lstsq: against NumPy, of full and of any rank, tall, square and wide."""

import jax
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

import meshlinalg as ml
from meshlinalg import _svd
from support import COLUMNS4, DTYPES, ROWS3, ROWS4, ROWS8, normal
from test_qr import matrix


def check(a, b, got, rcond=None):
    real = np.finfo(a.dtype)
    rcond = rcond or max(a.shape) * real.eps
    x, _, rank, s = np.linalg.lstsq(a.astype("complex128"), b, rcond=rcond)
    scale = real.eps * max(a.shape) * s[0] / s[rank - 1] * 30
    assert got.x.dtype == a.dtype and got.x.shape == x.shape
    assert np.abs(got.x - x).max() < scale * max(np.abs(x).max(), 1)
    assert int(got.rank) == rank
    if got.singular_values is not None:
        assert np.abs(got.singular_values - s).max() < real.eps * max(a.shape) * s[0] * 30
    columns = b[:, None] if b.ndim == 1 else b
    want = np.sum(np.abs(columns - a @ (x[:, None] if b.ndim == 1 else x)) ** 2, axis=0)
    limit = real.eps * 1e3 * np.sum(np.abs(columns) ** 2, axis=0)
    assert got.residuals.shape == want.shape and (np.abs(got.residuals - want) < limit).all()


@pytest.mark.parametrize("layout", [ROWS8, ROWS3, COLUMNS4, None], ids=str)
def test_full_rank(layout):
    for dtype, shape in zip(DTYPES, ((72, 24), (48, 48), (96, 12), (72, 72)), strict=True):
        a = matrix(*shape, dtype) + 3 * np.eye(*shape, dtype=dtype)
        b = normal((shape[0], 3), dtype, 1)
        placed = a if layout is None else layout.put(a)
        check(a, b, ml.lstsq(placed, b, full_rank=True))


@pytest.mark.parametrize("large", [False, True])
def test_any_rank(large, monkeypatch):
    if large:
        monkeypatch.setattr(_svd, "_WHOLE", 0)
    for dtype, shape in (("float64", (64, 24)), ("complex64", (16, 40))):
        b = normal((shape[0], 2), dtype, 1)
        for kind in ("random", "rank", "zeros"):
            a = matrix(*shape, dtype, kind)
            check(a, b, ml.lstsq(ROWS4.put(a), b))


def test_right_hand_sides():
    a, b = matrix(64, 16), normal((64,), seed=1)
    for full_rank in (True, False):
        check(a, b, ml.lstsq(ROWS8.put(a), ROWS8.put(b, spec=P("x")), full_rank=full_rank))
        check(a, b, ml.lstsq(a, b, full_rank=full_rank, mesh=ROWS3.mesh()))
    # The rank counts from rcond on; types are promoted.
    check(a, b[:, None], ml.lstsq(ROWS8.put(a), b[:, None], 0.6), 0.6)
    got = ml.lstsq(ROWS8.put(a.astype("float32")), b + 0j, full_rank=True)
    assert got.x.dtype == "complex128"
    value = jax.jit(lambda a, b: ml.lstsq(a, b, full_rank=True).x)(ROWS8.put(a), b)
    assert np.allclose(value, np.linalg.lstsq(a, b, rcond=None)[0])


def test_misuse():
    a, b = matrix(8, 4), normal((8,))
    with pytest.raises(ValueError, match="b must have 8 rows"):
        ml.lstsq(a, b[:7])
    with pytest.raises(ValueError, match="full_rank=True needs m >= n"):
        ml.lstsq(a.T, b[:4], full_rank=True)
    with pytest.raises(ValueError, match="one or two dimensions"):
        ml.lstsq(a, b[:, None, None])
    got = ml.lstsq(a[:, :0], b)
    assert got.x.shape == (0,) and int(got.rank) == 0 and got.residuals.shape == (1,)
    bad = a.copy()
    bad[2, 2] = np.nan
    assert np.isnan(np.asarray(ml.lstsq(ROWS4.put(bad), b).x)).any()

# SPDX-License-Identifier: Apache-2.0
"""eigh and eigvalsh."""

import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

import meshlinalg as ml
from support import (
    COLUMNS4,
    DTYPES,
    LIMIT,
    ROWS3,
    ROWS4,
    ROWS8,
    eigen_residual,
    normal,
    with_spectrum,
)


def hermitian(n, dtype="float64", kind="random", seed=0):
    rng = np.random.default_rng(seed)
    if kind == "random":
        g = normal((n, n), dtype, seed)
        return ((g + g.conj().T) / 2).astype(dtype)
    if kind == "diagonal":
        return np.diag(rng.standard_normal(n)).astype(dtype)
    if kind == "identity":
        return np.eye(n, dtype=dtype)
    if kind == "zero":
        return np.zeros((n, n), dtype)
    if kind == "clustered":
        return with_spectrum(np.repeat([1.0, 1.0 + 1e-10, -2.0], -(-n // 3))[:n], dtype, seed)
    if kind == "graded":
        return with_spectrum(np.logspace(0, -12, n) * rng.choice([-1, 1], n), dtype, seed)
    if kind == "rank1":
        u = normal((n, 1), dtype, seed)
        return (u @ u.conj().T).astype(dtype)
    assert kind == "wilkinson"
    half = np.abs(np.arange(n) - (n - 1) / 2)
    return (np.diag(half) + np.eye(n, k=1) + np.eye(n, k=-1)).astype(dtype)


def values_error(a, w) -> float:
    want = np.linalg.eigvalsh(a.astype("complex128"))
    eps = np.finfo(w.dtype).eps
    return np.abs(np.asarray(w, "float64") - want).max() / (np.abs(want).max() * len(a) * eps)


@pytest.mark.parametrize("layout", [ROWS8, ROWS3, COLUMNS4, None], ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_residual(dtype, layout):
    for kind in ("random", "diagonal", "clustered", "graded"):
        a = hermitian(72, dtype, kind)
        placed = a if layout is None else layout.put(a)
        (w, v), info = ml.eigh(placed, return_info=True)
        real = np.finfo(dtype).dtype
        assert w.dtype == real and v.dtype == dtype and int(info) == 0 and info.dtype == jnp.int32
        assert (np.diff(w) >= 0).all()
        assert eigen_residual(a, w, v) < LIMIT, kind
        assert values_error(a, ml.eigvalsh(placed)) < LIMIT, kind


@pytest.mark.parametrize("kind", ["identity", "zero", "rank1", "wilkinson"])
def test_special(kind):
    for dtype in ("float64", "complex64"):
        a = hermitian(64, dtype, kind)
        w, v = ml.eigh(ROWS4.put(a))
        if kind == "zero":
            assert not np.asarray(w).any()
            a = np.eye(64, dtype=dtype)  # the residual of V alone
            w = np.ones(64)
        assert eigen_residual(a, w, v) < LIMIT


@pytest.mark.parametrize("tile_size", [1, 4, 7, 1000])
def test_tile_size(tile_size):
    a = hermitian(60, "complex128")
    w, v = ml.eigh(ROWS3.put(a), tile_size=tile_size)
    assert eigen_residual(a, w, v) < LIMIT


@pytest.mark.parametrize("layout", [ROWS4, COLUMNS4, None], ids=str)
def test_triangles(layout):
    n = 40
    a, skew = hermitian(n, "complex128"), normal((n, n), "complex128", 3)
    put = (lambda x: x) if layout is None else layout.put
    assert eigen_residual(a, *ml.eigh(put(a + skew - skew.conj().T))) < LIMIT
    low = np.where(np.tril(np.ones((n, n))) > 0, a, np.nan)
    assert eigen_residual(a, *ml.eigh(put(low), symmetrize_input=False)) < LIMIT
    assert eigen_residual(a, *ml.eigh(put(low), "L", False)) < LIMIT
    assert eigen_residual(a, *ml.eigh(put(low.conj().T), UPLO="U", symmetrize_input=False)) < LIMIT
    w = ml.eigvalsh(put(low.conj().T), "U", symmetrize_input=False)
    assert values_error(a, w) < LIMIT


def test_as_in_numpy():
    result = ml.eigh(ROWS4.put(hermitian(16)))
    assert result._fields == ("eigenvalues", "eigenvectors")
    np.testing.assert_allclose(
        result.eigenvalues, np.linalg.eigh(hermitian(16)).eigenvalues, atol=1e-13
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_inf(bad):
    for i, j in ((0, 0), (3, 20), (31, 31)):
        a = hermitian(32)
        a[i, j] = a[j, i] = bad
        (w, v), info = ml.eigh(ROWS4.put(a), return_info=True)
        assert int(info) > 0
        assert np.isnan(np.asarray(w)).all() and np.isnan(np.asarray(v)).all()
        w, info = ml.eigvalsh(ROWS4.put(a), return_info=True)
        assert int(info) > 0 and np.isnan(np.asarray(w)).all()


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_scaling(scale):
    a = hermitian(32)
    w, v = ml.eigh(ROWS4.put(a * scale))
    assert eigen_residual(a, np.asarray(w) / scale, v) < LIMIT


@pytest.mark.parametrize("n", [0, 1, 2, 3, 5, 7])
def test_small(n):
    a = hermitian(n, "complex64")
    for w, v in (ml.eigh(a), ml.eigh(a, mesh=ROWS8.mesh()), ml.eigh(ROWS8.put(a, spec=P()))):
        assert w.shape == (n,) and v.shape == (n, n)
        assert w.dtype == jnp.float32 and v.dtype == jnp.complex64
        assert n == 0 or eigen_residual(a, w, v) < LIMIT
    assert ml.eigvalsh(a, mesh=ROWS8.mesh()).shape == (n,)

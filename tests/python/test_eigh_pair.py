# SPDX-License-Identifier: Apache-2.0
"""eigh(a, b=b): A V = B V diag(w)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
from jax.sharding import PartitionSpec as P

import meshlinalg as ml
from support import COLUMNS4, DTYPES, LIMIT, ROWS3, ROWS8, Layout, normal, spd

GRID = Layout("grid", (4, 2), P("x", "y"))


def pair(n, dtype="float64"):
    g = normal((n, n), dtype)
    return ((g + g.conj().T) / 2).astype(dtype), spd(n, dtype, seed=1)


def residual(a, b, w, v) -> float:
    a, b, v = (np.asarray(x, "complex128") for x in (a, b, v))
    unit = len(a) * np.finfo(w.dtype).eps * np.linalg.cond(b)
    size = np.linalg.norm(a) + np.linalg.norm(b) * np.abs(w).max()
    error = np.linalg.norm(a @ v - b @ v * np.asarray(w, "float64")) / (size * unit)
    return max(error, np.linalg.norm(v.conj().T @ b @ v - np.eye(v.shape[1])) / unit)


@pytest.mark.parametrize("layout", [ROWS8, COLUMNS4, GRID, None], ids=str)
def test_residual(layout):
    for dtype in DTYPES if layout is ROWS8 else ("complex128",):
        a, b = pair(24, dtype)
        put = layout.put if layout else jnp.asarray
        (w, v), info = ml.eigh(put(a), b=put(b), return_info=True)
        assert int(info) == 0 and v.dtype == a.dtype and v.shape == a.shape
        assert residual(a, b, w, v) < LIMIT
        want = scipy.linalg.eigh(a, b, eigvals_only=True)
        np.testing.assert_allclose(w, want, atol=1e3 * np.finfo(dtype).eps * np.abs(want).max())


def test_some_values_and_odd_sizes():
    for n in (1, 22):
        a, b = pair(n)
        mesh = ROWS3.mesh()
        want = scipy.linalg.eigh(a, b, eigvals_only=True)
        w, v = ml.eigh(a, b=b, mesh=mesh, subset_by_index=(n // 2, n - 1))
        assert residual(a, b, w, v) < LIMIT
        np.testing.assert_allclose(w, want[n // 2 :], atol=1e-11)
        np.testing.assert_allclose(ml.eigvalsh(a, b=b, mesh=mesh), want, atol=1e-11)
    w, v = ml.eigh(ROWS8.put(pair(24)[0]), b=pair(24)[1], subset_by_value=(0, np.inf))
    assert (w > 0).all() and v.shape == (24, len(w))


def test_not_positive_definite():
    a, b = pair(9)
    b[4, 4] = -1
    (w, v), info = ml.eigh(a, b=b, return_info=True)
    assert int(info) > 0 and np.isnan(w).all() and np.isnan(v).all()


def test_derivative():
    a, b = pair(6)
    t0, eps = 0.2, 1e-6

    def value(t):
        w, v = ml.eigh(a * (1 + t), b=b + t * np.eye(6))
        return jnp.sin(w).sum() + (v[1] ** 4).sum()

    numeric = (value(t0 + eps) - value(t0 - eps)) / (2 * eps)
    np.testing.assert_allclose(jax.grad(value)(t0), numeric, rtol=1e-6)


def test_bad_arguments():
    a, b = pair(4)
    with pytest.raises(ValueError, match="b has shape"):
        ml.eigh(a, b=b[:3, :3])
    with pytest.raises(TypeError, match="b must be an array"):
        ml.eigh(a, b="b")

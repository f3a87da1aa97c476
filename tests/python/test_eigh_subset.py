# SPDX-License-Identifier: Apache-2.0
"""eigh(subset_by_index=, subset_by_value=)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

import meshlinalg as ml
from support import COLUMNS4, DTYPES, LIMIT, ROWS3, ROWS8, Layout, normal

GRID = Layout("grid", (4, 2), P("x", "y"))
COPIES = Layout("replicated", (4,), P(None, None))


def hermitian(n, dtype="float64"):
    g = normal((n, n), dtype)
    return ((g + g.conj().T) / 2).astype(dtype)


def residual(a, w, v) -> float:
    """Of some pairs: also how far V is from orthonormal."""
    wide = a.astype("complex128")
    v, w = np.asarray(v, "complex128"), np.asarray(w, "float64")
    unit = len(a) * np.finfo(a.dtype).eps
    error = np.linalg.norm(wide @ v - v * w) / (np.linalg.norm(wide) * unit)
    return max(error, np.linalg.norm(v.conj().T @ v - np.eye(len(w))) / unit)


@pytest.mark.parametrize("layout", [ROWS8, ROWS3, COLUMNS4, GRID, COPIES, None], ids=str)
def test_residual(layout):
    for dtype in DTYPES:
        a = hermitian(48, dtype)
        placed = a if layout is None else layout.put(a)
        want = np.linalg.eigvalsh(a.astype("complex128"))
        for first, last in ((5, 17), (0, 47))[: 2 if dtype == "float64" else 1]:
            w, v = ml.eigh(placed, subset_by_index=(first, last))
            assert w.shape == (last - first + 1,) and v.shape == (48, last - first + 1)
            assert v.dtype == a.dtype and residual(a, w, v) < LIMIT
            limit = 48 * np.finfo(dtype).eps * np.abs(want).max()
            assert np.abs(np.asarray(w, "float64") - want[first : last + 1]).max() < LIMIT * limit


def test_odd_sizes_and_info():
    for n in (1, 7, 45):
        a = hermitian(n)
        (w, v), info = ml.eigh(
            jnp.asarray(a), mesh=ROWS3.mesh(), subset_by_index=(n // 2, n - 1), return_info=True
        )
        assert int(info) == 0 and residual(a, w, v) < LIMIT
    a[3, 3] = np.nan
    (w, v), info = ml.eigh(jnp.asarray(a), subset_by_index=(0, 2), return_info=True)
    assert int(info) > 0 and np.isnan(w).all() and np.isnan(v).all()


def test_by_value():
    a = hermitian(40)
    want = np.linalg.eigvalsh(a)
    placed = ROWS8.put(a)
    low, high = (want[9] + want[10]) / 2, (want[20] + want[21]) / 2
    w, v = ml.eigh(placed, subset_by_value=(low, high))
    np.testing.assert_allclose(w, want[10:21], atol=1e-12)
    assert residual(a, w, v) < LIMIT
    w, v = ml.eigh(placed, subset_by_value=(1e3, np.inf))
    assert w.shape == (0,) and v.shape == (40, 0)
    with pytest.raises(TypeError, match="subset_by_value"):
        jax.jit(lambda a: ml.eigh(a, subset_by_value=(0, 1)))(a)


def test_derivative():
    a, b = hermitian(12), hermitian(12) * 0.1

    def some(t):
        w, v = ml.eigh(a + t * b, subset_by_index=(2, 4))
        return w.sum() + (jnp.abs(v[3]) ** 2).sum()

    def all_of_them(t):
        w, v = jnp.linalg.eigh(a + t * b)
        return w[2:5].sum() + (jnp.abs(v[3, 2:5]) ** 2).sum()

    np.testing.assert_allclose(jax.grad(some)(0.3), jax.grad(all_of_them)(0.3), rtol=1e-9)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"subset_by_index": (0, 5)}, ValueError),
        ({"subset_by_index": (3, 2)}, ValueError),
        ({"subset_by_index": (-1, 2)}, ValueError),
        ({"subset_by_index": 3}, TypeError),
        ({"subset_by_index": (0.5, 2)}, TypeError),
        ({"subset_by_value": (1, 1)}, ValueError),
        ({"subset_by_value": "ab"}, TypeError),
        ({"subset_by_value": (0, 1), "subset_by_index": (0, 1)}, ValueError),
    ],
)
def test_bad_arguments(options, error):
    with pytest.raises(error, match="subset_by"):
        ml.eigh(hermitian(5), **options)

# SPDX-License-Identifier: Apache-2.0
"""solve: residuals, right-hand sides of all sorts, failure as data."""

import jax
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
    indefinite,
    kinds,
    normal,
    solve_residual,
    spd,
)


@pytest.mark.parametrize("layout", [ROWS8, ROWS3, COLUMNS4], ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_residual(dtype, layout):
    n = 72
    b = normal((n, 5), dtype, 1)
    for kind in kinds(dtype):
        a = spd(n, dtype, kind)
        x, info = ml.solve(layout.put(a), b, return_info=True, assume_a="pos")
        assert x.dtype == dtype and info.dtype == jnp.int32 and int(info) == 0
        assert solve_residual(a, x, b) < LIMIT, kind


@pytest.mark.parametrize("dtype", DTYPES)
def test_one_device(dtype):
    a, b = spd(50, dtype), normal(50, dtype, 1)
    x = ml.solve(a, b, assume_a="pos")
    assert x.shape == (50,) and x.dtype == dtype
    assert solve_residual(a, x, b) < LIMIT


@pytest.mark.parametrize("tile_size", [1, 2, 5, 8, 9, 1000])
@pytest.mark.parametrize("layout", [ROWS8, ROWS3], ids=str)
def test_tile_size(layout, tile_size):
    n = 72
    a, b = spd(n, "complex128"), normal((n, 2), "complex128", 1)
    x = ml.solve(layout.put(a), b, tile_size=tile_size, assume_a="pos")
    assert solve_residual(a, x, b) < LIMIT


@pytest.mark.parametrize("types", ["explicit", "auto"])
@pytest.mark.parametrize("spec", [P(), P("x", None), P(None, "x"), None], ids=str)
def test_b_keeps_its_layout(spec, types):
    n, k = 64, 8
    a = spd(n)
    for shape in ((n,), (n, k)):
        b = normal(shape, seed=1)
        if spec is None:
            placed = b  # on no mesh: x comes replicated
            want = P()
        else:
            if len(shape) == 1 and spec == P(None, "x"):
                continue
            want = P(*tuple(spec)[: len(shape)])
            placed = ROWS8.put(b, types, want)
        x = ml.solve(ROWS8.put(a, types), placed, assume_a="pos")
        assert x.shape == shape
        assert x.sharding.is_equivalent_to(
            jax.NamedSharding(ROWS8.mesh(types), want), len(shape)
        ), x.sharding
        assert solve_residual(a, x, b) < LIMIT


def test_many_right_hand_sides():
    """More columns than rows of A on a device: b goes by rows although nobody asked."""
    n, k = 32, 50
    a, b = spd(n), normal((n, k), seed=1)
    assert solve_residual(a, ml.solve(ROWS4.put(a), b, assume_a="pos"), b) < LIMIT


@pytest.mark.parametrize(
    ("a_type", "b_type", "x_type"),
    [
        ("float32", "float64", "float64"),
        ("float64", "float32", "float64"),
        ("complex64", "float32", "complex64"),
        ("complex64", "float64", "complex128"),
        ("float32", "complex64", "complex64"),
        ("float64", "complex64", "complex128"),
        ("float64", "complex128", "complex128"),
        ("float32", "complex128", "complex128"),
    ],
)
def test_promotion(a_type, b_type, x_type):
    n = 48
    a = spd(n, a_type)
    for b in (normal(n, b_type, 1), normal((n, 3), b_type, 1)):
        for placed in (b, ROWS4.put(b, spec=P("x"))):
            x = ml.solve(ROWS4.put(a), placed, assume_a="pos")
            assert x.dtype == x_type and x.shape == b.shape
            assert solve_residual(a.astype(x_type), x, b) < LIMIT


def test_weak_type_does_not_promote():
    a = spd(16, "float32")
    x = ml.solve(ROWS4.put(a), jnp.full(16, 2.0), assume_a="pos")  # weakly typed float64
    assert x.dtype == jnp.float32
    assert solve_residual(a, x, np.full(16, 2.0)) < LIMIT


@pytest.mark.parametrize("layout", [ROWS4, COLUMNS4, None], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "complex128"])
def test_triangles(dtype, layout):
    """Only the triangle that is named is read."""
    n = 40
    a, b = spd(n, dtype), normal((n, 2), dtype, 1)
    for lower, given in ((True, np.tril(a)), (False, np.triu(a))):
        wrong = np.where(given == 0, np.nan, given)
        x = ml.solve(wrong if layout is None else layout.put(wrong), b, lower=lower, assume_a="pos")
        assert solve_residual(a, x, b) < LIMIT


@pytest.mark.parametrize("layout", [ROWS8, ROWS3, COLUMNS4], ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_not_positive_definite(dtype, layout):
    """First, middle and last column; the order of elimination is the library's, so info is only
    known to be one of the columns."""
    n = 48
    b = normal((n, 2), dtype, 1)
    for at in (0, n // 2, n - 1):
        x, info = ml.solve(
            layout.put(indefinite(n, dtype, at)), b, return_info=True, tile_size=4, assume_a="pos"
        )
        assert 1 <= int(info) <= n
        assert np.isnan(np.asarray(x)).all()


def test_info_is_lapacks():
    """On one device the elimination is in natural order."""
    for at in (0, 13, 29):
        x, info = ml.solve(
            indefinite(30, "float64", at), np.ones(30), return_info=True, assume_a="pos"
        )
        assert int(info) == at + 1
        assert np.isnan(np.asarray(x)).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("dtype", ["float32", "complex128"])
def test_nan_and_inf(dtype, bad):
    """An infinite element of the diagonal is a limit of definite matrices, as in LAPACK."""
    n = 32
    diagonal = ((0, 0), (17, 17), (n - 1, n - 1)) if np.isnan(bad) else ()
    for i, j in (*diagonal, (3, 20), (30, 31)):
        a = spd(n, dtype)
        a[i, j] = a[j, i] = bad
        x, info = ml.solve(ROWS4.put(a), np.ones(n, dtype), return_info=True, assume_a="pos")
        assert int(info) > 0
        assert np.isnan(np.asarray(x)).all()


def test_nan_stays_in_its_column():
    n = 32
    b = normal((n, 3), seed=1)
    b[5, 1] = np.nan
    x = np.asarray(ml.solve(ROWS4.put(spd(n)), b, assume_a="pos"))
    assert np.isnan(x[:, 1]).all() and np.isfinite(x[:, [0, 2]]).all()


@pytest.mark.parametrize("n", [0, 1, 2, 3, 5, 7])
@pytest.mark.parametrize("dtype", ["float32", "complex128"])
def test_small(n, dtype):
    """Fewer rows than devices, and none."""
    a, b = spd(n, dtype), normal((n, 2), dtype, 1)
    for x in (
        ml.solve(a, b, assume_a="pos"),
        ml.solve(a, b, mesh=ROWS8.mesh(), assume_a="pos"),
        ml.solve(ROWS8.put(a, spec=P()), b, assume_a="pos"),
    ):
        assert x.shape == (n, 2) and x.dtype == dtype
        assert solve_residual(a, x, b) < LIMIT


def test_no_right_hand_sides():
    x, info = ml.solve(ROWS4.put(spd(16)), np.zeros((16, 0)), return_info=True, assume_a="pos")
    assert x.shape == (16, 0) and int(info) == 0
    _, info = ml.solve(
        ROWS4.put(indefinite(16, "float64", 7)), np.zeros((16, 0)), return_info=True, assume_a="pos"
    )
    assert int(info) > 0


def test_lists():
    x = ml.solve([[4.0, 2.0], [2.0, 3.0]], [2.0, 5.0], assume_a="pos")
    np.testing.assert_allclose(x, [-0.5, 2.0], rtol=1e-15)


def test_repeatable():
    """The same bits each time, and the same for any order of the devices."""
    a, b = spd(64), normal((64, 3), seed=1)
    first = np.asarray(ml.solve(ROWS8.put(a), b, assume_a="pos"))
    for _ in range(3):
        np.testing.assert_array_equal(first, ml.solve(ROWS8.put(a), b, assume_a="pos"))

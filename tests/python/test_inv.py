# SPDX-License-Identifier: Apache-2.0
"""inv: residuals, symmetry, failure as data."""

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
    inverse_residual,
    kinds,
    spd,
)


@pytest.mark.parametrize("layout", [ROWS8, ROWS3, COLUMNS4, None], ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_residual(dtype, layout):
    for kind in kinds(dtype):
        a = spd(72, dtype, kind)
        x, info = ml.inv(a if layout is None else layout.put(a), return_info=True, assume_a="pos")
        assert x.dtype == dtype and info.dtype == jnp.int32 and int(info) == 0
        assert inverse_residual(a, x) < LIMIT, kind
        x = np.asarray(x)
        np.testing.assert_array_equal(np.tril(x, -1), np.triu(x, 1).conj().T)  # to the bit
        assert np.abs(np.diag(x).imag).max() <= LIMIT * np.finfo(dtype).eps * np.abs(x).max()


@pytest.mark.parametrize("tile_size", [1, 3, 8, 9, 1000])
@pytest.mark.parametrize("layout", [ROWS8, ROWS3], ids=str)
def test_tile_size(layout, tile_size):
    a = spd(72, "complex64")
    assert inverse_residual(a, ml.inv(layout.put(a), tile_size=tile_size, assume_a="pos")) < LIMIT


@pytest.mark.parametrize("layout", [ROWS4, COLUMNS4], ids=str)
def test_triangles(layout):
    a = spd(40, "complex128")
    for lower, given in ((True, np.tril(a)), (False, np.triu(a))):
        assert inverse_residual(a, ml.inv(layout.put(given), lower=lower, assume_a="pos")) < LIMIT


@pytest.mark.parametrize("layout", [ROWS8, ROWS3, COLUMNS4], ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_not_positive_definite(dtype, layout):
    n = 48
    for at in (0, n // 2, n - 1):
        x, info = ml.inv(
            layout.put(indefinite(n, dtype, at)), return_info=True, tile_size=4, assume_a="pos"
        )
        assert 1 <= int(info) <= n
        assert np.isnan(np.asarray(x)).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_inf(bad):
    a = spd(32, "complex64")
    a[3, 20] = a[20, 3] = bad
    x, info = ml.inv(ROWS4.put(a), return_info=True, assume_a="pos")
    assert int(info) > 0 and np.isnan(np.asarray(x)).all()


@pytest.mark.parametrize("n", [0, 1, 2, 3, 5, 7])
def test_small(n):
    a = spd(n, "complex64")
    for x in (
        ml.inv(a, assume_a="pos"),
        ml.inv(a, mesh=ROWS8.mesh(), assume_a="pos"),
        ml.inv(ROWS8.put(a, spec=P()), assume_a="pos"),
    ):
        assert x.shape == (n, n) and x.dtype == jnp.complex64
        assert n == 0 or inverse_residual(a, x) < LIMIT

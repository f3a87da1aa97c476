# SPDX-License-Identifier: Apache-2.0
"""slogdet and det: values, types, failure as data."""

import jax.numpy as jnp
import numpy as np
import pytest

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
    logdet_error,
    spd,
)


@pytest.mark.parametrize("layout", [ROWS8, ROWS3, COLUMNS4, None], ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_value(dtype, layout):
    real = np.finfo(dtype).dtype
    for kind in kinds(dtype):
        a = spd(72, dtype, kind)
        result, info = ml.slogdet(
            a if layout is None else layout.put(a), return_info=True, assume_a="pos"
        )
        assert int(info) == 0 and info.dtype == jnp.int32
        assert result.sign.dtype == dtype and complex(result.sign) == 1
        assert result.logabsdet.dtype == real and result.logabsdet.shape == ()
        assert logdet_error(a, result.logabsdet) < LIMIT, kind


def test_is_a_named_tuple():
    sign, logdet = ml.slogdet(ROWS4.put(2 * np.eye(8)), assume_a="pos")
    assert float(sign) == 1
    np.testing.assert_allclose(logdet, 8 * np.log(2), rtol=1e-15)


def test_det():
    a = np.diag(np.arange(1.0, 9.0))
    value, info = ml.det(ROWS4.put(a), return_info=True, assume_a="pos")
    np.testing.assert_allclose(value, 40320.0, rtol=1e-14)
    assert int(info) == 0
    assert ml.det(ROWS4.put(a.astype("complex64")), assume_a="pos").dtype == jnp.float32


def test_large_and_small():
    """The determinant itself overflows or underflows."""
    for scale in (1e30, 1e-30):
        n = 64
        logdet = ml.slogdet(ROWS8.put(scale * np.eye(n, dtype="float32")), assume_a="pos").logabsdet
        np.testing.assert_allclose(logdet, n * np.log(np.float32(scale).astype(float)), rtol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
def test_not_positive_definite(dtype):
    n = 48
    for at in (0, n // 2, n - 1):
        a = ROWS8.put(indefinite(n, dtype, at))
        (sign, logdet), info = ml.slogdet(a, return_info=True, assume_a="pos")
        assert 1 <= int(info) <= n
        assert np.isnan(sign) and np.isnan(logdet)
        assert np.isnan(ml.det(a, assume_a="pos"))


@pytest.mark.parametrize("n", [0, 1, 3, 7])
def test_small(n):
    a = 3 * np.eye(n)
    for result in (ml.slogdet(a, assume_a="pos"), ml.slogdet(a, mesh=ROWS8.mesh(), assume_a="pos")):
        np.testing.assert_allclose(result.logabsdet, n * np.log(3), rtol=1e-15)
    np.testing.assert_allclose(ml.det(a, assume_a="pos"), 3.0**n, rtol=1e-14)

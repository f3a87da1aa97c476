# SPDX-License-Identifier: Apache-2.0
"""Programs written for JAXMg 0.x with the import changed; then arguments, errors and limits."""

import os
import pathlib
import subprocess
import sys
import warnings
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from meshlinalg import _sharding, jaxmg
from meshlinalg.jaxmg import (
    calculate_padding,
    cyclic_1d,
    get_cols_cyclic,
    pad_rows,
    plot_block_to_cyclic,
    potri,
    potri_shardmap_ctx,
    potri_symmetrize,
    potrs,
    potrs_shardmap_ctx,
    syevd,
    syevd_shardmap_ctx,
    unpad_rows,
    verify_cyclic,
)
from meshlinalg.jaxmg.utils import (
    JaxMgWarning,
    get_mesh_and_spec_from_array,
    maybe_real_dtype_from_complex,
    numeric_machine_key,
    random_psd,
)

DTYPES = [jnp.float32, jnp.float64, jnp.complex64, jnp.complex128]
LIMIT = 30.0
ROWS = P("x", None)


def mesh_of(ndev, explicit=True):
    if jax.device_count() < ndev:
        pytest.skip(f"needs {ndev} devices")
    kind = AxisType.Explicit if explicit else AxisType.Auto
    return jax.make_mesh((ndev,), ("x",), axis_types=(kind,), devices=jax.devices()[:ndev])


# Automatic axes, explicit ones; a GPU machine runs what it has devices for.
@pytest.fixture(params=[(1, True), (2, False), (4, True), (8, True)], ids=["1", "2-auto", "4", "8"])
def mesh(request):
    return mesh_of(*request.param)


def epsilon(dtype):
    return np.finfo(np.dtype(dtype)).eps / 2


def norm1(a):
    return np.abs(a).sum(axis=0).max()


def hermitian(n, dtype, seed, positive=True):
    """The matrix, and what a program may hand over: its upper triangle, and NaN below."""
    rng = np.random.default_rng(seed)
    g = rng.standard_normal((n, n))
    if np.issubdtype(np.dtype(dtype), np.complexfloating):
        g = g + 1j * rng.standard_normal((n, n))
    a = g @ g.conj().T / n + 0.1 * np.eye(n) if positive else (g + g.conj().T) / 2
    a = a.astype(dtype)
    return a, np.where(np.tri(n, k=-1, dtype=bool), np.nan, a).astype(dtype)


def solve_residual(a, x, b):
    return norm1(a @ x - b) / (norm1(a) * norm1(x) * len(a) * epsilon(a.dtype))


def inverse_residual(a, x):
    n = len(a)
    return norm1(a @ x - np.eye(n)) / (norm1(a) * norm1(x) * n * epsilon(a.dtype))


def eigen_residual(a, w, v):
    n, eps = len(a), epsilon(a.dtype)
    first = norm1(a @ v - v * w) / (max(norm1(a), 1e-300) * n * eps)
    return max(first, norm1(v.conj().T @ v - np.eye(n)) / (n * eps))


def rows_on(mesh, a):
    return jax.device_put(a, NamedSharding(mesh, ROWS))


def everywhere(mesh, b):
    return jax.device_put(b, NamedSharding(mesh, P(None, None)))


# ---- programs as JAXMg's users write them --------------------------------------------------------


@pytest.mark.parametrize(("dtype", "T_A"), list(zip(DTYPES, (1, 3, 256, 5), strict=True)))
def test_program_potrs_in_jit(mesh, dtype, T_A):
    n = 12 * mesh.size
    a, half = hermitian(n, dtype, 1)
    b = np.random.default_rng(2).standard_normal((n, 2)).astype(dtype)

    @partial(jax.jit, static_argnames=("_T_A",))
    def solve(_a, _b, _T_A):
        return partial(
            potrs, mesh=mesh, in_specs=(P("x", None),), pad=True, return_status=True,
            return_logdet=True,
        )(_a, _b, _T_A)  # fmt: skip

    A, B = rows_on(mesh, half), everywhere(mesh, b)
    x, logdet, status = solve(A, B, T_A)
    assert not A.is_deleted() and not B.is_deleted()
    assert x.shape == (n, 2) and x.dtype == a.dtype and x.sharding.is_fully_replicated
    assert solve_residual(a, np.asarray(x), b) < LIMIT
    assert status.shape == () and status.dtype == jnp.int32 and status == 0
    assert logdet.shape == () and logdet.dtype == jnp.float64
    expected = np.linalg.slogdet(a.astype(np.result_type(a.dtype, np.float64)))[1]
    assert abs(logdet - expected) < 200 * n * epsilon(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_program_potrs_in_shard_map(mesh, dtype):
    n, T_A = 10 * mesh.size, 4
    a, half = hermitian(n, dtype, 3)
    b = np.ones((n, 1), dtype)

    @partial(jax.jit, static_argnames=("_T_A",))
    def solve(_a, _b, _T_A):
        return jax.shard_map(
            partial(potrs_shardmap_ctx, T_A=_T_A),
            mesh=mesh,
            in_specs=(P("x", None), P(None, None)),
            out_specs=(P(None, None), P(None)),
            check_vma=False,
        )(_a, _b)

    x, status = solve(rows_on(mesh, half), everywhere(mesh, b), T_A)
    assert status.shape == (1,) and status[0] == 0
    assert solve_residual(a, np.asarray(x), b) < LIMIT


def test_program_with_work_around_the_context_call():
    """A Gram matrix is formed, shifted and solved with, all inside one shard_map."""
    mesh = mesh_of(4)
    n, k = 24, 40
    g = np.random.default_rng(4).standard_normal((n, k))

    def local(g, b):
        everyone = jax.lax.all_gather(g, "x", axis=0, tiled=True)
        gram = g @ everyone.T
        rows = gram.shape[0]
        i = jnp.arange(rows)
        gram = gram.at[i, i + rows * jax.lax.axis_index("x")].add(0.5)
        x, logdet, status = potrs_shardmap_ctx(gram, b, 3, return_logdet=True)
        return x * (status[0] == 0), logdet

    f = jax.shard_map(
        local, mesh=mesh, in_specs=(ROWS, P(None, None)), out_specs=(P(None, None), P(None)),
        check_vma=False,
    )  # fmt: skip
    b = np.arange(n, dtype=float)[:, None]
    x, logdet = jax.jit(f)(rows_on(mesh, g), everywhere(mesh, b))
    a = g @ g.T + 0.5 * np.eye(n)
    assert solve_residual(a, np.asarray(x), b) < LIMIT
    assert logdet.shape == (1,) and logdet.dtype == jnp.float64
    np.testing.assert_allclose(logdet[0], np.linalg.slogdet(a)[1], rtol=1e-13)


@pytest.mark.parametrize("dtype", DTYPES)
def test_program_potri(mesh, dtype):
    n, T_A = 9 * mesh.size, 4
    a, half = hermitian(n, dtype, 5)

    @partial(jax.jit, static_argnames=("_T_A",))
    def inverse(_a, _T_A):
        return partial(potri, mesh=mesh, in_specs=(P("x", None),), return_status=True)(_a, _T_A)

    out, status = inverse(rows_on(mesh, half), T_A)
    assert out.shape == (n, n) and out.sharding.is_equivalent_to(NamedSharding(mesh, ROWS), 2)
    assert status.shape == () and status == 0
    full = np.asarray(out)
    assert np.array_equal(np.triu(full, 1), np.tril(full, -1).conj().T)
    assert inverse_residual(a, full) < LIMIT

    @partial(jax.jit, static_argnames=("_T_A",))
    def upper(_a, _T_A):
        return jax.shard_map(
            partial(potri_shardmap_ctx, T_A=_T_A),
            mesh=mesh,
            in_specs=(P("x", None),),
            out_specs=(P("x", None), P(None)),
            check_vma=False,
        )(_a)

    half_out, status = upper(rows_on(mesh, half), T_A)
    assert status.shape == (1,) and status[0] == 0
    assert np.array_equal(np.asarray(half_out), np.triu(full))
    completed = potri_symmetrize(half_out)
    assert half_out.is_deleted()
    assert completed.sharding.is_equivalent_to(NamedSharding(mesh, ROWS), 2)
    assert np.array_equal(np.asarray(completed), full)


@pytest.mark.parametrize("dtype", DTYPES)
def test_program_syevd(mesh, dtype):
    n, T_A = 8 * mesh.size, 3
    a, half = hermitian(n, dtype, 6, positive=False)

    @partial(jax.jit, static_argnames=("_T_A",))
    def decompose(_a, _T_A):
        return partial(syevd, mesh=mesh, in_specs=(P("x", None),), return_status=True)(_a, _T_A)

    w, V, status = decompose(rows_on(mesh, half), T_A)
    assert w.shape == (n,) and w.dtype == maybe_real_dtype_from_complex(dtype)
    assert w.sharding.is_fully_replicated and status == 0
    assert V.shape == (n, n) and V.dtype == a.dtype
    assert V.sharding.is_equivalent_to(NamedSharding(mesh, P(None, "x")), 2)
    # A itself, and not its conjugate: the residual of complex matrices tells.
    assert eigen_residual(a, np.asarray(w), np.asarray(V)) < LIMIT
    assert np.all(np.diff(w) >= 0)

    @partial(jax.jit, static_argnames=("_T_A",))
    def in_shard_map(_a, _T_A):
        return jax.shard_map(
            partial(syevd_shardmap_ctx, T_A=_T_A),
            mesh=mesh,
            in_specs=(P("x", None),),
            out_specs=(P(None), P(None, "x"), P(None)),
            check_vma=False,
        )(_a)

    w, V, status = in_shard_map(rows_on(mesh, half), T_A)
    assert status.shape == (1,) and status[0] == 0
    assert eigen_residual(a, np.asarray(w), np.asarray(V)) < LIMIT


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.complex128])
def test_program_syevd_values(mesh, dtype):
    n = 8 * mesh.size
    a, half = hermitian(n, dtype, 7, positive=False)
    expected = np.linalg.eigvalsh(a)
    w = syevd(rows_on(mesh, half), 4, mesh, ROWS, return_eigenvectors=False)
    assert np.abs(w - expected).max() < LIMIT * n * epsilon(dtype) * norm1(a)
    w, status = jax.shard_map(
        partial(syevd_shardmap_ctx, T_A=4, return_eigenvectors=False),
        mesh=mesh,
        in_specs=(ROWS,),
        out_specs=(P(None), P(None)),
        check_vma=False,
    )(rows_on(mesh, half))
    assert status.shape == (1,) and status[0] == 0
    assert np.abs(w - expected).max() < LIMIT * n * epsilon(dtype) * norm1(a)


@pytest.mark.parametrize(("dtype", "T_A"), [(jnp.float64, 1), (jnp.complex64, 4)])
def test_program_cyclic_1d(mesh, dtype, T_A):
    for rows in (3, 10):
        n = rows * mesh.size
        a, _ = hermitian(n, dtype, 1234)
        out = jax.jit(partial(cyclic_1d, mesh=mesh, in_specs=(P("x", None),)), static_argnums=1)(
            rows_on(mesh, a), T_A=T_A
        )
        padding = calculate_padding(rows, T_A) if rows > T_A else 0
        assert out.shape == (n + mesh.size * padding, n)
        assert out.sharding.is_equivalent_to(NamedSharding(mesh, ROWS), 2)
        expected = np.zeros(out.shape, dtype)
        for col, _, to in get_cols_cyclic(n, out.shape[0] // mesh.size, T_A, mesh.size):
            expected[to] = a[col]
        if rows > T_A:
            assert np.array_equal(np.asarray(out), expected)
        else:
            assert np.array_equal(np.asarray(out), a)
        if mesh.size == jax.device_count():
            verify_cyclic(a, out, T_A)
            with pytest.raises(AssertionError):
                verify_cyclic(a, np.roll(np.asarray(out), 1, axis=0), T_A)


def test_program_on_a_mesh_of_two_axes():
    """Rows along the second axis, copies along the first; and rows along both together."""
    if jax.device_count() < 4:
        pytest.skip("needs 4 devices")
    mesh = jax.make_mesh(
        (2, 2), ("S", "T"), axis_types=(AxisType.Auto,) * 2, devices=jax.devices()[:4]
    )
    n = 24
    a, half = hermitian(n, jnp.float64, 8)
    b = np.ones((n, 1))
    for axes in ("T", ("S", "T")):

        @jax.jit
        def solve(a, b, axes=axes):
            a = jax.lax.with_sharding_constraint(a, NamedSharding(mesh, P(axes, None)))
            return potrs(a, b[:, 0], T_A=2048, mesh=mesh, in_specs=(P(axes, None),))

        x = solve(half, b)
        assert x.shape == (n, 1)
        assert solve_residual(a, np.asarray(x), b) < LIMIT

        inside = jax.shard_map(
            partial(potrs_shardmap_ctx, T_A=2048),
            mesh=mesh,
            in_specs=(P(axes, None), P(None, None)),
            out_specs=(P(None, None), P(None)),
            check_vma=False,
        )
        if axes == "T":  # nothing says along which of the two
            with pytest.raises(ValueError, match="use a mesh with one axis"):
                inside(half, b)
        else:
            x, status = inside(half, b)
            assert status[0] == 0 and solve_residual(a, np.asarray(x), b) < LIMIT


def test_program_with_the_mesh_of_the_context():
    mesh = mesh_of(4)
    n = 20
    a, half = hermitian(n, jnp.float64, 9)
    b = np.ones((n, 1))
    A, B = rows_on(mesh, half), everywhere(mesh, b)
    with jax.set_mesh(mesh):
        f = jax.jit(lambda a, b: potrs(a, b, 8, jax.sharding.get_abstract_mesh(), ROWS))
        assert solve_residual(a, np.asarray(f(A, B)), b) < LIMIT
        x = potrs(A, B, 8, jax.sharding.get_abstract_mesh(), ROWS)
        assert solve_residual(a, np.asarray(x), b) < LIMIT


# ---- failing matrices ---------------------------------------------------------------------------


def failing(kind, n, dtype):
    if kind == "indefinite":
        return np.diag(np.arange(n) - 1.0).astype(dtype)
    if kind == "last":
        return np.diag(np.where(np.arange(n) == n - 1, -1.0, 1.0)).astype(dtype)
    a = np.diag(np.arange(n) + 1.0).astype(dtype)  # "unsymmetric": seen in the upper triangle alone
    a[0, 1] = 2.0
    return a


@pytest.mark.parametrize("dtype", DTYPES)
def test_failure_is_status_7_and_nan(dtype):
    mesh = mesh_of(4)
    n = 12
    upper = jax.jit(
        jax.shard_map(
            lambda a: potri_shardmap_ctx(a, 2),
            mesh=mesh, in_specs=ROWS, out_specs=(ROWS, P(None)), check_vma=False,
        )
    )  # fmt: skip
    for kind in ("indefinite", "last", "unsymmetric"):
        a, b = failing(kind, n, dtype), np.ones((n, 1), dtype)
        x, logdet, status = potrs(
            rows_on(mesh, a), everywhere(mesh, b), 2, mesh, ROWS,
            return_status=True, return_logdet=True,
        )  # fmt: skip
        assert status == 7 and np.isnan(logdet) and np.isnan(np.asarray(x)).all()
        inverse, status = potri(rows_on(mesh, a), 2, mesh, ROWS, return_status=True)
        assert status == 7 and np.isnan(np.asarray(inverse)).all()
        inverse, status = upper(rows_on(mesh, a))
        assert status[0] == 7 and np.isnan(np.asarray(inverse)).all()


def test_lower_triangle_is_not_read():
    mesh = mesh_of(4)
    a = np.diag(np.arange(12) + 1.0)
    a[1, 0] = 1e9
    x, status = potrs(rows_on(mesh, a), np.ones(12), 2, mesh, ROWS, return_status=True)
    assert status == 0 and np.allclose(x[:, 0], 1 / (np.arange(12) + 1.0))


def test_imaginary_part_of_the_diagonal_is_not_read():
    mesh = mesh_of(4)
    a, _ = hermitian(12, jnp.complex128, 10)
    b = np.ones((12, 1), complex)
    x = potrs(rows_on(mesh, a + 3j * np.eye(12)), everywhere(mesh, b), 2, mesh, ROWS)
    assert solve_residual(a, np.asarray(x), b) < LIMIT


def test_syevd_of_nan_is_nan_with_status_7():
    mesh = mesh_of(4)
    a = np.eye(12)
    a[3, 5] = np.nan
    w, V, status = syevd(rows_on(mesh, a), 2, mesh, ROWS, return_status=True)
    assert status == 7 and np.isnan(w).all() and np.isnan(V).all()


@pytest.mark.parametrize("rows", [1, 5, 16, 37])
def test_triangle_is_completed_by_parts(monkeypatch, rows):
    """Large shards are exchanged in PARTS parts, here down to one row each."""
    monkeypatch.setattr(_sharding, "SMALL_PART", 1)
    mesh = mesh_of(4)
    n = rows * mesh.size
    a, upper = hermitian(n, jnp.complex128, 14)
    plan = _sharding.Plan(n, "shard", mesh, ("x",), local=rows)
    for fill, half in (("upper", upper), ("lower", upper.T)):
        f = jax.shard_map(
            partial(plan.local_rows, fill=fill), mesh=mesh, in_specs=ROWS, out_specs=ROWS
        )
        full = jax.jit(f)(rows_on(mesh, half))
        assert np.array_equal(np.asarray(full), a if fill == "upper" else a.T)


def test_large_shards():
    mesh = mesh_of(4)
    n = 4 * 131  # parts of 9 rows
    a, half = hermitian(n, jnp.complex64, 15)
    assert inverse_residual(a, np.asarray(potri(rows_on(mesh, half), 32, mesh, ROWS))) < LIMIT


# ---- arguments ----------------------------------------------------------------------------------


def test_right_hand_sides():
    mesh = mesh_of(4)
    n = 16
    a, _ = hermitian(n, jnp.float64, 11)
    for k in (1, 3, n):
        b = np.random.default_rng(k).standard_normal((n, k))
        x = potrs(rows_on(mesh, a), everywhere(mesh, b), 4, mesh, ROWS)
        assert x.shape == (n, k) and solve_residual(a, np.asarray(x), b) < LIMIT
    x = potrs(rows_on(mesh, a), jnp.asarray(b[:, 0]), 4, mesh, ROWS)
    assert x.shape == (n, 1) and solve_residual(a, np.asarray(x), b[:, :1]) < LIMIT
    # Sharded by rows it is gathered; off the mesh both are put there.
    x = potrs(rows_on(mesh, a), rows_on(mesh, b), 4, mesh, ROWS)
    assert solve_residual(a, np.asarray(x), b) < LIMIT
    x = potrs(jnp.asarray(a), jnp.asarray(b), 4, mesh, ROWS)
    assert solve_residual(a, np.asarray(x), b) < LIMIT


def test_empty():
    mesh = mesh_of(4)
    none = np.zeros((0, 0))
    x, logdet, status = potrs(
        none, np.zeros((0, 2)), 4, mesh, ROWS, return_status=True, return_logdet=True
    )
    assert x.shape == (0, 2) and logdet == 0 and status == 0
    assert potri(none, 4, mesh, ROWS).shape == (0, 0)
    w, V = syevd(none, 4, mesh, ROWS)
    assert w.shape == (0,) and V.shape == (0, 0)
    x, status = potrs(np.eye(4), np.zeros((4, 0)), 4, mesh, ROWS, return_status=True)
    assert x.shape == (4, 0) and status == 0


def test_donation_is_that_of_jaxmg():
    mesh = mesh_of(4)
    n = 24
    a, _ = hermitian(n, jnp.float64, 12)
    b = np.ones((n, 2))
    calls = {
        "potrs": lambda A, T: potrs(A, everywhere(mesh, b), T, mesh, ROWS),
        "potri": lambda A, T: potri(A, T, mesh, ROWS),
        "syevd": lambda A, T: syevd(A, T, mesh, ROWS),
        "values": lambda A, T: syevd(A, T, mesh, ROWS, return_eigenvectors=False),
        "cyclic_1d": lambda A, T: cyclic_1d(A, T, mesh, ROWS),
    }
    for name, call in calls.items():
        for T, donated in ((3, True), (6, True), (100, True), (4, False)):  # 6 rows a device
            A = rows_on(mesh, a)
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                jax.block_until_ready(call(A, T))
            assert A.is_deleted() == donated, (name, T)
    A, B = rows_on(mesh, a), everywhere(mesh, b)
    potrs(A, B, 3, mesh, ROWS)
    assert B.is_deleted()
    A, B = rows_on(mesh, a), jax.device_put(b[:, 0], NamedSharding(mesh, P(None)))
    potrs(A, B, 3, mesh, ROWS)
    assert not B.is_deleted()
    assert not potrs(rows_on(mesh, a), rows_on(mesh, b), 3, mesh, ROWS).is_deleted()


def test_pad_false():
    mesh = mesh_of(4)
    n = 24
    a, _ = hermitian(n, jnp.float64, 13)
    b = np.ones((n, 1))
    text = r"pad=False, but with T_A=4, we need padding of 2 rows per device\."
    with pytest.raises(AssertionError, match=text):
        potrs(rows_on(mesh, a), b, 4, mesh, ROWS, pad=False)
    with pytest.raises(AssertionError, match=text):
        potri(rows_on(mesh, a), 4, mesh, ROWS, pad=False)
    with pytest.raises(AssertionError, match=text):
        syevd(rows_on(mesh, a), 4, mesh, ROWS, pad=False)
    with pytest.raises(AssertionError, match=text):
        cyclic_1d(rows_on(mesh, a), 4, mesh, ROWS, pad=False)
    with pytest.raises(AssertionError, match=text):
        jax.shard_map(
            lambda a: potri_shardmap_ctx(a, 4, pad=False)[0],
            mesh=mesh, in_specs=ROWS, out_specs=ROWS, check_vma=False,
        )(rows_on(mesh, a))  # fmt: skip
    for T_A in (3, 6, 24):
        x = potrs(rows_on(mesh, a), everywhere(mesh, b), T_A, mesh, ROWS, pad=False)
        assert solve_residual(a, np.asarray(x), b) < LIMIT
    # Shards that the caller has padded.
    padded = jax.shard_map(partial(pad_rows, padding=2), mesh=mesh, in_specs=ROWS, out_specs=ROWS)(
        rows_on(mesh, a)
    )
    assert padded.shape == (32, 24)
    x = potrs(padded + 0, everywhere(mesh, b), 4, mesh, ROWS, pad=False)
    assert solve_residual(a, np.asarray(x), b) < LIMIT
    assert inverse_residual(a, np.asarray(potri(padded + 0, 4, mesh, ROWS, pad=False))) < LIMIT
    w, V = syevd(padded + 0, 4, mesh, ROWS, pad=False)
    assert eigen_residual(a, np.asarray(w), np.asarray(V)) < LIMIT
    upper = jax.shard_map(
        lambda a: potri_shardmap_ctx(a, 4, pad=False)[0],
        mesh=mesh, in_specs=ROWS, out_specs=ROWS, check_vma=False,
    )(padded)  # fmt: skip
    assert upper.shape == padded.shape
    upper = jax.shard_map(partial(unpad_rows, padding=2), mesh=mesh, in_specs=ROWS, out_specs=ROWS)(
        upper
    )
    assert inverse_residual(a, np.asarray(potri_symmetrize(upper))) < LIMIT
    out = cyclic_1d(padded + 0, 4, mesh, ROWS, pad=False)
    assert np.array_equal(out, cyclic_1d(rows_on(mesh, a), 4, mesh, ROWS))


SPEC_LENGTH = r"^in_specs must be a single PartitionSpec or a 1-element list/tuple\.$"
SPEC_TYPE = r"^in_specs must be a PartitionSpec or a 1-element list/tuple containing one\.$"
SPEC_ROWS = r"^A must be sharded along the rows with PartitionSpec P\(str, None\)\.$"
COLUMNS = r"^A and b must have the same number of columns\."
A_2D = r"^a must be a 2D array\."
B_2D = r"^b must be a 1D or 2D array\."


@pytest.mark.parametrize(
    ("error", "text", "a", "b", "in_specs"),
    [
        (ValueError, SPEC_LENGTH, (8, 8), (7, 1), (P("x", None), P(None, None))),
        (ValueError, SPEC_LENGTH, (8, 8), (8, 1), []),
        (TypeError, SPEC_TYPE, (8, 8), (7, 1), "x"),
        (TypeError, SPEC_TYPE, (8, 8), (8, 1), [None]),
        (ValueError, SPEC_ROWS, (8, 8), (7, 1), P(None, "x")),
        (ValueError, SPEC_ROWS, (8, 8), (8, 1), (P("x", "y"),)),
        (ValueError, SPEC_ROWS, (8, 8), (8, 1), P(None, None)),
        (ValueError, SPEC_ROWS, (8, 8), (8, 1), [P("x")]),
        (IndexError, "tuple index out of range", (8,), (7, 1), P("x", None)),
        (AssertionError, COLUMNS, (8, 8), (7, 1), P("x", None)),
        (AssertionError, COLUMNS, (8, 8, 1), (7, 1), P("x", None)),
        (AssertionError, A_2D, (8, 8, 1), (8, 1, 1), P("x", None)),
        (AssertionError, B_2D, (8, 8), (8, 1, 1), P("x", None)),
    ],
)
def test_errors_of_potrs_in_order(error, text, a, b, in_specs):
    mesh = mesh_of(4)
    with pytest.raises(error, match=text):
        potrs(jnp.ones(a), jnp.ones(b), 2, mesh, in_specs)


@pytest.mark.parametrize("routine", [potri, syevd, cyclic_1d])
@pytest.mark.parametrize(
    ("error", "text", "a", "in_specs"),
    [
        (ValueError, SPEC_LENGTH, (8,), (P("x", None), P(None, None))),
        (TypeError, SPEC_TYPE, (8,), "x"),
        (ValueError, SPEC_ROWS, (8,), P(None, "x")),
        (AssertionError, A_2D, (8,), P("x", None)),
        (AssertionError, A_2D, (8, 8, 8), [P("x", None)]),
    ],
)
def test_errors_of_the_others_in_order(routine, error, text, a, in_specs):
    mesh = mesh_of(4)
    with pytest.raises(error, match=text):
        routine(jnp.ones(a), 2, mesh, in_specs)


def test_errors_of_the_context_forms():
    mesh = mesh_of(4, explicit=False)

    def run(f, *shapes):
        specs = tuple(P("x") if i == 0 else P() for i in range(len(shapes)))
        jax.shard_map(f, mesh=mesh, in_specs=specs, out_specs=P(), check_vma=False)(
            *(jnp.ones(s) for s in shapes)
        )

    with pytest.raises(AssertionError, match=r"^A and b must have the same number of rows\."):
        run(lambda a, b: potrs_shardmap_ctx(a, b, 2)[0], (8, 8), (7, 1))
    with pytest.raises(AssertionError, match=A_2D):
        run(lambda a, b: potrs_shardmap_ctx(a, b, 2)[0], (8, 8, 1), (8, 1))
    with pytest.raises(AssertionError, match=r"^b must be a 2D array\."):
        run(lambda a, b: potrs_shardmap_ctx(a, b, 2)[0], (8, 8), (8,))
    with pytest.raises(AssertionError, match=A_2D):
        run(lambda a: potri_shardmap_ctx(a, 2)[0], (8,))
    with pytest.raises(AssertionError, match=A_2D):
        run(lambda a: syevd_shardmap_ctx(a, 2000)[0], (8,))
    text = r"^T_A has a maximum value of 1024 for SyevdMg, received T_A=2000"
    with pytest.raises(ValueError, match=text):
        run(lambda a: syevd_shardmap_ctx(a, 2000)[0], (8, 8))
    with pytest.raises(ValueError, match=r"must be called inside jax\.shard_map"):
        potri_shardmap_ctx(jnp.ones((8, 8)), 2)


def test_large_tile_of_syevd_is_lowered_with_a_warning():
    mesh = mesh_of(4)
    text = r"T_A has a maximum value of 1024 for SyevdMg, received T_A=2048, T_A is lowered to 1024"
    with pytest.warns(JaxMgWarning, match=text):
        w = syevd(rows_on(mesh, np.eye(8)), 2048, mesh, ROWS, return_eigenvectors=False)
    assert np.allclose(w, 1)


def test_errors_beyond_those_of_jaxmg():
    mesh = mesh_of(4)
    ones = jnp.ones((8, 8))
    for T_A in (0, -1):
        with pytest.raises(ValueError, match=f"T_A={T_A}"):
            potri(ones, T_A, mesh, ROWS)
    with pytest.raises(TypeError):
        potri(ones, 2.5, mesh, ROWS)
    with pytest.raises(ValueError, match="not 'y'"):
        potri(ones, 2, mesh, P("y", None))
    with pytest.raises(ValueError, match="do not divide"):
        potri(jnp.ones((9, 9)), 2, mesh, ROWS)
    with pytest.raises(AssertionError, match="a must have 8 rows"):
        potri(jnp.ones((16, 8)), 2, mesh, ROWS)
    with pytest.raises(TypeError, match="int32"):
        potri(jnp.ones((8, 8), jnp.int32), 2, mesh, ROWS)
    # Different types are promoted.
    x = potrs(2 * jnp.eye(8, dtype=jnp.float32), jnp.ones(8, jnp.complex128), 2, mesh, ROWS)
    assert x.dtype == jnp.complex128 and np.allclose(x, 0.5)


# ---- helpers ------------------------------------------------------------------------------------


def test_padding_helpers():
    assert [calculate_padding(10, t) for t in (1, 3, 5, 16)] == [0, 2, 0, 6]
    a = jnp.arange(6.0).reshape(2, 3)
    padded = pad_rows(a, 2)
    assert padded.shape == (4, 3) and not padded[2:].any() and padded.dtype == a.dtype
    assert np.array_equal(unpad_rows(padded, 2), a)
    assert unpad_rows(a, 0).shape == (0, 3)


def test_columns_are_dealt_out_in_turn():
    N, T_A, ndev = 10, 2, 2
    batch = N // ndev + calculate_padding(N // ndev, T_A)
    rows = get_cols_cyclic(N, batch, T_A, ndev)
    assert rows == [
        (0, 0, 0), (1, 1, 1), (2, 2, 6), (3, 3, 7), (4, 4, 2),
        (5, 6, 3), (6, 7, 8), (7, 8, 9), (8, 9, 4), (9, 10, 5),
    ]  # fmt: skip


def test_plot():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    fig, axs = plot_block_to_cyclic(100, 7, 4)
    owner = axs[1].images[0].get_array()[0]
    assert axs.shape == (2,) and owner.shape == (112,)
    assert list(owner[[0, 7, 14, 21, 28, 99, 100]]) == [0, 1, 2, 3, 0, 2, 4]
    plt.close(fig)
    for wrong in ((3, 1, 4), (8, 0, 4), (8, 2, 0)):
        with pytest.raises(ValueError, match="must be positive integers"):
            plot_block_to_cyclic(*wrong)


def test_utils():
    mesh = mesh_of(4)
    a = random_psd(12, jnp.complex64, 1)
    assert a.dtype == jnp.complex64 and np.linalg.eigvalsh(a)[0] > 0
    assert np.array_equal(a, random_psd(12, jnp.complex64, 1))
    assert get_mesh_and_spec_from_array(rows_on(mesh, a)) == (mesh, ROWS)
    with pytest.raises(ValueError, match="not sharded with a NamedSharding"):
        get_mesh_and_spec_from_array(jnp.ones(3))
    real = [maybe_real_dtype_from_complex(d) for d in (*DTYPES, jnp.int32)]
    assert real == [jnp.float32, jnp.float64, jnp.float32, jnp.float64, jnp.int32]
    key = numeric_machine_key()
    assert (
        key.shape == (2,) and key.dtype == jnp.uint64 and np.array_equal(key, numeric_machine_key())
    )
    assert issubclass(JaxMgWarning, UserWarning)


def test_every_name_is_there():
    assert set(jaxmg.__all__) == {
        "calculate_padding", "cyclic_1d", "get_cols_cyclic", "pad_rows", "plot_block_to_cyclic",
        "potri", "potri_shardmap_ctx", "potri_symmetrize", "potrs", "potrs_shardmap_ctx", "syevd",
        "syevd_shardmap_ctx", "unpad_rows", "verify_cyclic",
    }  # fmt: skip
    assert all(callable(getattr(jaxmg, name)) for name in jaxmg.__all__)


BARE = """
import sys
import meshlinalg.jaxmg as jaxmg, meshlinalg.jaxmg.utils
import jax
assert "matplotlib" not in sys.modules
assert not jax.config.jax_enable_x64
from jax._src import xla_bridge
assert not xla_bridge.backends_are_initialized()
import jax.numpy as jnp, numpy as np
mesh = jax.make_mesh((4,), ("x",))
a = jax.device_put(np.diag(np.arange(1.0, 9.0)).astype(np.float32),
                   jax.NamedSharding(mesh, jax.P("x", None)))
x, logdet = jaxmg.potrs(a, jnp.ones(8), 2, mesh, jax.P("x", None), return_logdet=True)
assert np.allclose(x[:, 0], 1 / np.arange(1.0, 9.0)) and logdet.dtype == jnp.float32
assert np.allclose(logdet, np.log(40320.0)), logdet
"""


def python(*arguments, devices):
    env = {**os.environ, "JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": str(devices)}
    env.pop("JAX_ENABLE_X64", None)
    command = [sys.executable, *arguments]
    done = subprocess.run(command, env=env, timeout=100, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_import_alone_and_without_x64():
    """Importing starts no device, loads no matplotlib and leaves x64 alone; and float32 works."""
    python("-c", BARE, devices=4)


@pytest.mark.parametrize("devices", [1, 3, 8])
def test_example(devices):
    example = pathlib.Path(__file__).parents[2] / "examples" / "python" / "from_jaxmg.py"
    assert "all residuals are small" in python(str(example), devices=devices)

# SPDX-License-Identifier: Apache-2.0
"""jax.vmap: many right-hand sides, many matrices, groups of devices that work at the same time."""

import functools
import itertools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

import meshlinalg as ml
from meshlinalg import shard
from support import (
    DTYPES,
    LIMIT,
    TYPES,
    eigen_residual,
    inverse_residual,
    normal,
    solve_residual,
    spd,
)

N = 24

pytestmark = pytest.mark.skipif(jax.device_count() < 8, reason="8 devices")


def mesh_of(shape=(2, 4), names=("g", "x"), types="explicit"):
    return jax.make_mesh(shape, names, axis_types=(TYPES[types],) * len(shape))


def put(x, mesh, *spec):
    return jax.device_put(x, NamedSharding(mesh, P(*spec)))


@functools.cache
def problems(count, dtype="complex128", n=N):
    stack = np.stack([spd(n, dtype, seed=i) for i in range(count)])
    return stack, normal((count, n), dtype, seed=3)


def ranks(f, *arguments) -> list[int]:
    """Of each call of the library in the program of f: how many devices work on a matrix."""
    text = jax.jit(f).lower(*arguments).as_text()
    return [int(x) for x in re.findall(r"\branks = (\d+) : i64", text)]


def everything(a, b):
    factor = ml.cho_factor(a)
    return {
        "solve": ml.solve(a, b, assume_a="pos"),
        "lu_solve": ml.solve(a, b),
        "inv": ml.inv(a, assume_a="pos"),
        "logdet": ml.slogdet(a, assume_a="pos").logabsdet,
        "factor_solve": factor.solve(b),
        "factor_logdet": factor.logdet(),
        "factor_inv": factor.inv(),
        "cholesky": ml.cholesky(a),
        "upper": ml.cholesky(a, upper=True),
        "eigh": tuple(ml.eigh(a)),
        "eigvalsh": ml.eigvalsh(a),
    }


def check(a, b, out):
    """All results of one matrix."""
    lower = np.linalg.cholesky(a)
    tolerance = 1e3 * float(np.finfo(a.dtype).eps)
    close = functools.partial(np.testing.assert_allclose, rtol=tolerance, atol=tolerance)
    assert solve_residual(a, out["solve"], b) < LIMIT
    assert solve_residual(a, out["lu_solve"], b) < LIMIT
    assert solve_residual(a, out["factor_solve"], b) < LIMIT
    assert inverse_residual(a, out["inv"]) < LIMIT
    assert inverse_residual(a, out["factor_inv"]) < LIMIT
    assert eigen_residual(a, *out["eigh"]) < LIMIT
    close(out["eigvalsh"], out["eigh"][0])
    close(out["cholesky"], lower)
    close(out["upper"], lower.conj().T)
    close(out["logdet"], np.linalg.slogdet(a)[1])
    close(out["factor_logdet"], out["logdet"])


def check_each(stack, b, out):
    out = jax.tree.map(np.asarray, out)
    for i in range(len(stack)):
        check(stack[i], b[i], jax.tree.map(lambda x, i=i: x[i], out))


def solved(stack, x, b):
    """x solves all systems, whose indices come first."""
    x = np.asarray(x)
    for i in np.ndindex(x.shape[: stack.ndim - 2]):
        assert solve_residual(stack[i], x[i], b[i]) < LIMIT


# Where the batch and the matrices lie, and how many there are.
LAYOUTS = {
    "groups": ((2, 4), ("g", "x"), ("g", "x", None), 4),
    "groups_of_columns": ((2, 4), ("g", "x"), ("g", None, "x"), 2),
    "dealt_out": ((2, 4), ("g", "x"), ("g", "x", None), 8),
    "one_a_device": ((8,), ("x",), ("x",), 8),
    "two_a_device": ((4,), ("x",), ("x",), 8),
    "copies_share": ((2, 4), ("g", "x"), (None, "x", None), 3),
    "dealt_out_unevenly": ((4,), ("x",), (None, "x", None), 6),
    "one_after_another": ((8,), ("x",), (None, "x", None), 2),
    "replicated": ((4,), ("x",), (), 5),
    "three_axes": ((2, 2, 2), ("g", "x", "y"), ("g", "x", "y"), 2),
    "two_axes_of_batch": ((2, 2, 2), ("g", "h", "x"), (("g", "h"), None, "x"), 4),
}


@pytest.mark.parametrize(
    ("name", "types", "dtype"),
    list(zip(LAYOUTS, itertools.cycle(TYPES), itertools.cycle(DTYPES), strict=False)),
)
def test_matrices(name, types, dtype):
    shape, names, spec, count = LAYOUTS[name]
    stack, b = problems(count, dtype)
    mesh = mesh_of(shape, names, types)
    placed = put(stack, mesh, *spec)
    out = jax.jit(jax.vmap(everything))(placed, put(b, mesh, *spec[:1]))
    check_each(stack, b, out)
    if types == "explicit":
        for x in (out["inv"], out["cholesky"], out["factor_inv"], out["eigh"][1]):
            assert x.sharding.is_equivalent_to(placed.sharding, 3)


@pytest.mark.parametrize("name", LAYOUTS)
def test_eager(name):
    shape, names, spec, count = LAYOUTS[name]
    stack, b = problems(count)
    mesh = mesh_of(shape, names)
    x = jax.vmap(ml.solve)(put(stack, mesh, *spec), put(b, mesh, *spec[:1]))
    solved(stack, x, b)


@pytest.mark.parametrize("count", [4, 8])
def test_set_mesh(count):
    stack, b = problems(count)
    for types in TYPES:
        mesh = mesh_of(types=types)
        with jax.set_mesh(mesh):
            x = jax.jit(jax.vmap(ml.solve))(put(stack, mesh, "g", "x", None), put(b, mesh, "g"))
        solved(stack, x, b)


@pytest.mark.parametrize("count", [2, 4, 8])
def test_spmd_axis_name(count):
    """Automatic axes: vmap is told which one has the batch."""
    stack, b = problems(count)
    mesh = mesh_of(types="auto")
    one = functools.partial(ml.solve, mesh=mesh, spec=P("x", None))
    f = jax.vmap(one, spmd_axis_name="g")
    x = jax.jit(f)(put(stack, mesh, "g", "x", None), put(b, mesh, "g", None))
    solved(stack, x, b)


# ---- how it is done ------------------------------------------------------------------------------


def test_fewer_matrices_than_devices_use_all_of_a_group():
    # JAX 0.9.1 takes what it traced for a batch that lies on other axes: right, but not as short.
    jax.clear_caches()
    stack, b = problems(4)
    mesh = mesh_of()
    f = jax.vmap(ml.solve)
    arguments = put(stack, mesh, "g", "x", None), put(b, mesh, "g")
    assert ranks(f, *arguments) == [4]
    assert jax.jit(f).lower(*arguments).compile().as_text().count("all-gather") == 0


@pytest.mark.parametrize("routine", [ml.inv, ml.eigh, ml.eigvalsh, ml.cholesky, ml.slogdet])
def test_as_many_as_devices_one_each(routine):
    mesh = mesh_of((8,), ("x",))
    for count, expected in ((7, 8), (8, 1), (9, 1)):
        stack = put(np.stack([np.eye(N)] * count), mesh, None, "x", None)
        assert ranks(jax.vmap(routine), stack) == [expected]


def test_a_factor_is_one_of_all_devices():
    """Factors of a batch and of one matrix are made alike: one of a batch is as good."""
    stack, b = problems(8)
    mesh = mesh_of((8,), ("x",))
    placed = put(stack, mesh, None, "x", None)
    factors = jax.jit(jax.vmap(ml.cho_factor))(placed)
    assert ranks(jax.vmap(ml.cho_factor), placed) == [8]
    for i in (0, 5):
        factor = jax.tree.map(lambda x, i=i: x[i], factors)
        assert solve_residual(stack[i], factor.solve(b[i]), b[i]) < LIMIT
        assert inverse_residual(stack[i], factor.inv()) < LIMIT


@pytest.mark.parametrize("types", TYPES)
def test_right_hand_sides_are_one_call(types):
    """However they lie, and however deep the vmap."""
    a, b = spd(N), normal((2, 3, N, 2), seed=1)
    mesh = mesh_of(types=types)
    placed = put(a, mesh, "x", None)
    for spec in ((), ("g",), ("g", None, "x")):
        for solve in (functools.partial(ml.solve, placed), ml.cho_factor(placed).solve):
            f = jax.vmap(jax.vmap(solve))
            x = jax.jit(f)(put(b, mesh, *spec))
            solved(np.broadcast_to(a, (2, 3, N, N)), x, b)
            text = jax.jit(f).lower(put(b, mesh, *spec)).as_text()
            assert text.count("custom_call @meshlinalg") == 1 and "while" not in text


@pytest.mark.parametrize("types", TYPES)
def test_nested(types):
    stack, b = problems(4)
    stack, b = stack.reshape(2, 2, N, N), b.reshape(2, 2, N)
    mesh = mesh_of((2, 2, 2), ("g", "h", "x"), types)
    for spec in (("g", "h", "x"), ("g", None, "x"), (None, "h", "x"), (None, None, ("g", "x"))):
        x = jax.jit(jax.vmap(jax.vmap(ml.solve)))(put(stack, mesh, *spec), put(b, mesh, *spec[:2]))
        solved(stack, x, b)
    # the inner one over right-hand sides
    x = jax.vmap(jax.vmap(ml.solve, (None, 0)))(put(stack[0], mesh, "g", "x"), put(b, mesh, "g"))
    solved(np.repeat(stack[0][:, None], 2, 1), x, b)
    # and the outer one
    f = jax.vmap(jax.vmap(ml.solve), (None, 0))
    x = f(put(stack[0], mesh, "g", "x"), put(b, mesh, None, "g"))
    solved(np.repeat(stack[0][None], 2, 0), x, b)


def test_odd_n_is_dealt_out():
    n = 13
    stack, b = problems(9, "complex64", n)
    mesh = mesh_of((8,), ("x",))
    out = jax.jit(jax.vmap(everything))(put(stack, mesh), put(b, mesh))
    check_each(stack, b, out)


def test_no_matrices_and_other_axes():
    mesh = mesh_of((4,), ("x",))
    stack, b = problems(5)
    none = put(np.zeros((0, N, N)), mesh, None, "x")
    assert jax.vmap(ml.solve)(none, np.zeros((0, N))).shape == (0, N)
    assert jax.vmap(ml.inv)(put(np.zeros((5, 0, 0)), mesh)).shape == (5, 0, 0)
    last = put(np.moveaxis(stack, 0, 2), mesh, "x")
    x = jax.jit(jax.vmap(ml.solve, (2, 1), 1))(last, put(b.T, mesh))
    solved(stack, np.asarray(x).T, b)


@pytest.mark.parametrize("factor", [ml.cho_factor, ml.lu_factor])
def test_factors_of_a_batch(factor):
    mesh = mesh_of((4,), ("x",))
    stack, b = problems(5)
    factors = jax.jit(jax.vmap(factor))(put(stack, mesh, None, "x"))
    solved(stack, jax.jit(jax.vmap(lambda f, b: f.solve(b)))(factors, put(b, mesh)), b)


def test_failure_of_one():
    """Its results alone are NaN."""
    stack, b = problems(8)
    bad = stack.copy()
    bad[5] = -bad[5]
    for count in (6, 8):
        mesh = mesh_of()
        f = jax.vmap(functools.partial(ml.solve, assume_a="pos", return_info=True))
        x, info = jax.jit(f)(put(bad[:count], mesh, "g", "x"), put(b[:count], mesh, "g"))
        x = np.asarray(x)
        assert (np.asarray(info) != 0).tolist() == [i == 5 for i in range(count)]
        for i in range(count):
            assert np.isnan(x[i]).all() if i == 5 else solve_residual(stack[i], x[i], b[i]) < LIMIT


def test_matrix_on_the_axis_of_the_batch():
    mesh = mesh_of((8,), ("x",))
    a = put(np.eye(N), mesh, "x", None)
    with pytest.raises(ValueError, match=r"\['x'\].*vmap"):
        jax.vmap(lambda b: ml.solve(a, b, assume_a="pos"))(put(np.ones((8, N)), mesh, "x"))


def test_what_has_no_groups():
    """QR has no rule for vmap of its own; it says so instead of mixing the groups."""
    mesh = mesh_of()
    with pytest.raises(ValueError, match=r"\['g'\]"):
        jax.vmap(ml.qr)(put(np.ones((2, 16, 4)), mesh, "g", "x"))


def test_groups_in_a_shard_map():
    """Groups by hand, each with a batch of its own."""
    stack, b = problems(4)
    mesh = mesh_of()

    def local(stack, b):
        return jax.vmap(lambda a, b: shard.solve(a, b, "x", assume_a="pos"))(stack, b)

    specs = P("g", "x", None), P("g", None)
    for check_vma in (True, False):
        f = jax.shard_map(
            local, mesh=mesh, in_specs=specs, out_specs=P("g", None), check_vma=check_vma
        )
        x = jax.jit(f)(put(stack, mesh, *specs[0]), put(b, mesh, *specs[1]))
        solved(stack, x, b)


# ---- derivatives of a batch ----------------------------------------------------------------------


def energy(solve, eigvalsh, slogdet, a, b):
    return jnp.vdot(b, solve(a, b)) + slogdet(a)[1] + jnp.sum(jnp.sin(eigvalsh(a)))


@pytest.mark.parametrize(
    ("shape", "spec", "count", "types"),
    [((2, 4), ("g", "x"), 4, "explicit"), ((8,), ("x",), 8, "explicit"), ((4,), ("x",), 4, "auto")],
)
def test_grad(shape, spec, count, types):
    stack, b = problems(count, "float64")
    mesh = mesh_of(shape, ("g", "x")[-len(shape) :], types)
    f = functools.partial(energy, ml.solve, ml.eigvalsh, ml.slogdet)
    if types == "explicit" and jax.__version_info__ < (0, 10):
        pytest.skip("jnp.where does not work here")
    with jax.set_mesh(mesh):  # JAX itself asks for it here
        f = jax.jit(jax.vmap(jax.grad(f, (0, 1))))
        got = f(put(stack, mesh, *spec), put(b, mesh, spec[0]))
    dense = functools.partial(energy, jnp.linalg.solve, jnp.linalg.eigvalsh, jnp.linalg.slogdet)
    want = jax.vmap(jax.grad(dense, (0, 1)))(stack, b)
    np.testing.assert_allclose(got[1], want[1], rtol=1e-9, atol=1e-9)
    got, want = (np.asarray(x[0]) + np.asarray(x[0]).swapaxes(1, 2) for x in (got, want))
    np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9)

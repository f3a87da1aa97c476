# SPDX-License-Identifier: Apache-2.0
"""Every routine on every layout: results right, and laid out like the argument."""

import functools
import itertools

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

import meshlinalg as ml
from support import (
    COLUMNS4,
    DTYPES,
    LAYOUTS,
    LIMIT,
    ROWS4,
    ROWS8,
    Layout,
    cholesky_residual,
    eigen_residual,
    inverse_residual,
    logdet_error,
    normal,
    same_layout,
    solve_residual,
    spd,
)

TYPES = ("explicit", "auto")


def everything(a, b, **where):
    """One result of each routine."""
    factor = ml.cho_factor(a, **where)
    return {
        "solve": ml.solve(a, b, **where, assume_a="pos"),
        "inv": ml.inv(a, **where, assume_a="pos"),
        "logdet": ml.slogdet(a, **where, assume_a="pos").logabsdet,
        "factor_solve": factor.solve(b),
        "factor_inv": factor.inv(),
        "cholesky": ml.cholesky(a, **where),
        "upper": ml.cholesky(a, upper=True, **where),
        "eigh": tuple(ml.eigh(a, **where)),
        "eigvalsh": ml.eigvalsh(a, **where),
    }


def check(a, b, out):
    assert solve_residual(a, out["solve"], b) < LIMIT
    assert inverse_residual(a, out["inv"]) < LIMIT
    assert logdet_error(a, out["logdet"]) < LIMIT
    assert solve_residual(a, out["factor_solve"], b) < LIMIT
    assert inverse_residual(a, out["factor_inv"]) < LIMIT
    assert cholesky_residual(a, out["cholesky"]) < LIMIT
    assert cholesky_residual(a, np.asarray(out["upper"]).conj().T) < LIMIT
    assert eigen_residual(a, *out["eigh"]) < LIMIT
    np.testing.assert_allclose(out["eigvalsh"], out["eigh"][0], rtol=1e-4, atol=1e-4)


def matrices(out):
    return out["inv"], out["factor_inv"], out["cholesky"], out["upper"], out["eigh"][1]


@pytest.mark.parametrize(
    ("layout", "types"), list(zip(LAYOUTS, itertools.cycle(TYPES), strict=False)), ids=str
)
def test_eager(layout, types):
    """Programs of their own; one for all routines comes next."""
    a, b = spd(48, "complex64"), normal((48, 2), "complex64", 1)
    out = everything(layout.put(a, types), b)
    check(a, b, out)
    for x in matrices(out):
        assert same_layout(x, layout, types), x.sharding


@pytest.mark.parametrize("types", TYPES)
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_jit(layout, types):
    """Inside a program automatic axes do not tell the layout: the caller may."""
    a, b = spd(48, "complex64"), normal((48, 2), "complex64", 1)
    where = {"spec": layout.spec} if types == "auto" else {}
    out = jax.jit(functools.partial(everything, **where))(layout.put(a, types), b)
    check(a, b, out)
    for x in matrices(out):
        assert same_layout(x, layout, types), x.sharding


@pytest.mark.parametrize("layout", [ROWS8, COLUMNS4, LAYOUTS[6]], ids=str)
def test_jit_does_not_know(layout):
    """Automatic axes and no spec: right all the same."""
    a, b = spd(48, "complex64"), normal(48, "complex64", 1)
    check(a, b, jax.jit(everything)(layout.put(a, "auto"), b))


@pytest.mark.parametrize("types", TYPES)
def test_set_mesh(types):
    a, b = spd(48), normal(48, seed=1)
    placed = ROWS8.put(a, types)
    with jax.set_mesh(ROWS8.mesh(types)):
        check(a, b, jax.jit(everything)(placed, b))
        assert solve_residual(a, ml.solve(placed, b, assume_a="pos"), b) < LIMIT
        assert inverse_residual(a, ml.inv(placed, assume_a="pos")) < LIMIT
        assert solve_residual(a, ml.solve(a, b, assume_a="pos"), b) < LIMIT  # on no mesh
        assert (
            solve_residual(a, ml.solve(jnp.asarray(a), jnp.asarray(b), assume_a="pos"), b) < LIMIT
        )
        assert solve_residual(a, jax.jit(ml.solve)(a, b), b) < LIMIT


@pytest.mark.parametrize("types", TYPES)
@pytest.mark.parametrize("n", [48, 50, 5])
def test_from_nowhere(n, types):
    """A matrix on no mesh goes to the one that is named, whether it divides n or not."""
    a, b = spd(n, "complex64"), normal((n, 2), "complex64", 1)
    mesh = ROWS8.mesh(types)
    assert solve_residual(a, ml.solve(a, b, mesh=mesh, assume_a="pos"), b) < LIMIT
    assert inverse_residual(a, ml.inv(jnp.asarray(a), mesh=mesh, assume_a="pos")) < LIMIT
    check(a, b, jax.jit(functools.partial(everything, mesh=mesh))(a, b))
    # made inside the program
    check(a, b, jax.jit(lambda: everything(jnp.asarray(a) * 1, jnp.asarray(b), mesh=mesh))())


@pytest.mark.skipif(jax.device_count() < 8, reason="8 devices")
@pytest.mark.parametrize("types", TYPES)
def test_from_one_device(types):
    """Committed to a device, and asked for on a mesh."""
    a = jax.device_put(spd(48), jax.devices()[1])
    b = jax.device_put(normal(48, seed=1), jax.devices()[2])
    x = ml.solve(a, b, mesh=ROWS8.mesh(types), assume_a="pos")
    assert solve_residual(a, x, b) < LIMIT
    x = ml.inv(a, assume_a="pos")
    assert x.devices() == {jax.devices()[1]}


@pytest.mark.parametrize("types", TYPES)
def test_mesh_of_b(types):
    """a is on no mesh but b is."""
    a, b = spd(48), normal(48, seed=1)
    x = ml.solve(a, ROWS8.put(b, types, P("x")), assume_a="pos")
    assert solve_residual(a, x, b) < LIMIT
    assert x.sharding.is_equivalent_to(ROWS8.put(b, types, P("x")).sharding, 1)


@pytest.mark.parametrize("types", TYPES)
def test_spec_wins(types):
    """spec= other than where the array lies."""
    a, b = spd(48), normal(48, seed=1)
    placed = ROWS8.put(a, types, P(None, "x"))
    assert inverse_residual(a, ml.inv(placed, spec=P("x", None), assume_a="pos")) < LIMIT
    check(a, b, jax.jit(functools.partial(everything, spec=P("x", None)))(placed, b))


@pytest.mark.parametrize("types", TYPES)
def test_odd_n(types):
    """JAX cannot shard these: the matrix comes replicated, and so do the results."""
    for n in (1, 3, 13):
        a, b = spd(n, "complex64"), normal((n, 2), "complex64", 1)
        out = jax.jit(everything)(ROWS8.put(a, types, P()), b)
        check(a, b, out)
        for x in matrices(out):
            assert x.shape == (n, n)
            assert types == "auto" or same_layout(x, ROWS8, types, P())
        assert same_layout(ml.inv(ROWS8.put(a, types, P()), assume_a="pos"), ROWS8, types, P())


@pytest.mark.parametrize("n", [0, 8])
def test_factor_without_rows(n):
    check_empty = ml.cho_factor(ROWS8.put(np.eye(n)))
    assert check_empty.solve(np.ones((n, 2))).shape == (n, 2)
    if n == 0:
        w, v = ml.eigh(ROWS8.put(np.eye(n)))
        assert w.shape == (0,) and v.shape == (0, 0)
        assert float(ml.slogdet(ROWS8.put(np.eye(n)), assume_a="pos").logabsdet) == 0
        assert ml.inv(ROWS8.put(np.eye(n)), assume_a="pos").shape == (0, 0)
        assert ml.cholesky(ROWS8.put(np.eye(n))).shape == (0, 0)


def test_two_meshes_of_one_shape():
    """The same program on other devices, and on the same devices in another order."""
    a, b = spd(48), normal(48, seed=1)
    step = jax.jit(lambda a, b: ml.solve(a, b, assume_a="pos"))
    for order in ((0, 1, 2, 3), (4, 5, 6, 7), (3, 1, 0, 2), (0, 1, 2, 3)):
        layout = Layout("", (4,), P("x", None), order)
        x = step(layout.put(a), b)
        assert solve_residual(a, x, b) < LIMIT
        assert x.sharding.device_set == set(layout.mesh().devices.flat)


@pytest.mark.skipif(jax.device_count() < 8, reason="8 devices")
def test_three_axes():
    a, b = spd(48), normal(48, seed=1)
    mesh = jax.make_mesh((2, 2, 2), ("x", "y", "z"))
    for spec in (P(("x", "y", "z"), None), P(("z", "x"), "y"), P("y", ("x", "z")), P(None, "z")):
        out = jax.jit(everything)(jax.device_put(a, NamedSharding(mesh, spec)), b)
        check(a, b, out)
        for x in matrices(out):
            assert x.sharding.is_equivalent_to(NamedSharding(mesh, spec), 2)


SPECS = (P(), P("x", None), P(None, "x"), P("x", "y"), P("y", "x"), P(("y", "x"), None), P("y"))


@hypothesis.given(
    n=st.integers(0, 40),
    k=st.integers(0, 3),
    shape=st.sampled_from([(1, 1), (2, 1), (1, 3), (2, 2), (2, 3), (4, 2)]),
    spec=st.sampled_from(SPECS),
    b_spec=st.sampled_from([None, P(), P("x"), P(("x", "y"))]),
    types=st.sampled_from(TYPES),
    dtype=st.sampled_from(DTYPES),
    tile_size=st.sampled_from([None, 1, 2, 7]),
)
def test_any_shape(n, k, shape, spec, b_spec, types, dtype, tile_size):
    """k = 0: a vector."""
    layout = Layout("any", shape, spec)
    a, b = spd(n, dtype), normal((n, k) if k else n, dtype, 1)
    try:
        placed = layout.put(a, types)
    except ValueError:  # JAX does not shard unevenly
        placed = layout.put(a, types, P())
    if b_spec is not None:
        try:
            b = layout.put(b, types, b_spec)
        except ValueError:
            b = layout.put(b, types, P())
    x = ml.solve(placed, b, tile_size=tile_size, assume_a="pos")
    assert x.shape == b.shape and x.dtype == dtype
    assert solve_residual(a, x, b) < LIMIT
    lower = ml.cholesky(placed, tile_size=tile_size)
    assert n == 0 or cholesky_residual(a, lower) < LIMIT
    assert lower.sharding.is_equivalent_to(placed.sharding, 2)


def test_replicated_solution_of_sharded_b():
    """b sharded along its columns: x comes back that way."""
    a, b = spd(48), normal((48, 8), seed=1)
    placed = ROWS4.put(b, spec=P(None, "x"))
    x = ml.solve(ROWS4.put(a), placed, assume_a="pos")
    assert solve_residual(a, x, b) < LIMIT
    assert x.sharding.is_equivalent_to(placed.sharding, 2)

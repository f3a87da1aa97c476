# SPDX-License-Identifier: Apache-2.0
"""A donated matrix is worked on where it lies; one that is not donated survives."""

import dataclasses
import re
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

import meshlinalg as ml
from support import (
    COLUMNS4,
    LAYOUTS,
    LIMIT,
    ROWS4,
    ROWS8,
    eigen_residual,
    inverse_residual,
    normal,
    solve_residual,
    spd,
)

N = 64
A, B = spd(N), normal((N, 3), seed=1)


def moves(f, *arguments, donate=0) -> int:
    """Copies and transpositions of a shard of A in the program of one device."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # "Some donated buffers were not usable"
        compiled = jax.jit(f, donate_argnums=donate).lower(*arguments).compile()
    rows = N // len(arguments[0].sharding.device_set)
    shapes = f"(?:{rows},{N}|{N},{rows})"
    return len(
        re.findall(rf"f64\[{shapes}\]\S* (?:copy|transpose|copy-start)\(", compiled.as_text())
    )


@pytest.mark.parametrize("types", ["explicit", "auto"])
def test_nothing_is_copied(types):
    a = ROWS8.put(A, types)
    where = {"spec": P("x", None)} if types == "auto" else {}
    assert moves(lambda a: ml.inv(a, **where, assume_a="pos"), a) == 0
    assert moves(lambda a: ml.cho_factor(a, **where), a) == 0
    assert moves(lambda a, b: (ml.cho_factor(a, **where).solve(b), a), a, B, donate=()) >= 1
    factor = ml.cho_factor(a)
    rest = dataclasses.replace(factor, rows=None)
    assert moves(lambda rows, f: dataclasses.replace(f, rows=rows).inv(), factor.rows, rest) == 0


def test_one_device():
    a = jnp.asarray(A)
    assert moves(ml.inv, a) == 0
    assert moves(ml.cho_factor, a) == 0


def test_the_test_sees_copies():
    a = ROWS8.put(A)
    assert moves(ml.inv, a, donate=()) == 1


def test_through_scan():
    """A carry is in place."""
    a = ROWS8.put(A)

    def f(a):
        return jax.lax.scan(lambda x, _: (ml.inv(x, assume_a="pos"), None), a, length=2)[0]

    assert moves(f, a) == 0


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_overwrite(layout):
    """The array is gone, the result right, whatever the layout; and nothing warns."""
    n = 48
    a, b = spd(n), normal((n, 2), seed=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        x = layout.put(a)
        inverse = ml.inv(x, overwrite_a=True, assume_a="pos")
        assert x.is_deleted()
        assert inverse_residual(a, inverse) < LIMIT

        x = layout.put(a)
        w, v = ml.eigh(x, overwrite_a=True)
        assert x.is_deleted()
        assert eigen_residual(a, w, v) < LIMIT

        x, y = layout.put(a), layout.put(b, spec=P())
        solution = ml.solve(x, y, overwrite_a=True, overwrite_b=True, assume_a="pos")
        assert x.is_deleted() and y.is_deleted()
        assert solve_residual(a, solution, b) < LIMIT

        x = layout.put(a)
        factor = ml.cho_factor(x, overwrite_a=True)
        assert x.is_deleted()
        y = layout.put(b, spec=P())
        assert solve_residual(a, factor.solve(y, overwrite_b=True), b) < LIMIT
        assert y.is_deleted()

        for f in (ml.slogdet, ml.det, ml.cholesky, ml.eigvalsh):
            x = layout.put(a)
            assert np.isfinite(np.asarray(jax.tree.leaves(f(x, overwrite_a=True))[0])).all()
            assert x.is_deleted()


@pytest.mark.parametrize("layout", [ROWS8, COLUMNS4, None], ids=str)
def test_overwrite_takes_the_memory(layout):
    a = jnp.asarray(A) if layout is None else layout.put(A)
    a = jax.block_until_ready(jax.jit(lambda a: 1 * a)(a))  # XLA's own memory, not NumPy's
    before = {s.data.unsafe_buffer_pointer() for s in a.addressable_shards}
    inverse = ml.inv(a, overwrite_a=True, assume_a="pos")
    after = {s.data.unsafe_buffer_pointer() for s in inverse.addressable_shards}
    assert (before == after) == (layout is not COLUMNS4)


def test_arguments_survive():
    """Without overwriting; NumPy's own memory always."""
    a, b = ROWS4.put(A), ROWS4.put(B, spec=P())
    for f in (ml.inv, ml.slogdet, ml.cho_factor, ml.cholesky, ml.eigh, ml.eigvalsh):
        f(a)
    ml.solve(a, b, assume_a="pos")
    np.testing.assert_array_equal(a, A)
    np.testing.assert_array_equal(b, B)
    mine, rhs = A.copy(), B.copy()
    ml.solve(mine, rhs, overwrite_a=True, overwrite_b=True, assume_a="pos")
    ml.inv(mine, overwrite_a=True, assume_a="pos")
    ml.inv(mine, overwrite_a=True, mesh=ROWS4.mesh(), assume_a="pos")
    np.testing.assert_array_equal(mine, A)
    np.testing.assert_array_equal(rhs, B)


def test_flags_inside_a_program():
    """The outer jit decides."""
    a = ROWS4.put(A)
    x = jax.jit(lambda a: ml.inv(a, overwrite_a=True, assume_a="pos") + a)(a)
    assert not a.is_deleted()
    np.testing.assert_allclose(x, np.linalg.inv(A) + A, rtol=1e-10, atol=1e-12)


def test_jit_with_donation():
    a, b = ROWS4.put(A), ROWS4.put(B, spec=P())
    step = jax.jit(
        lambda a, b: (ml.cho_factor(a), ml.solve(a, b, assume_a="pos")), donate_argnums=(0, 1)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        factor, x = step(a, b)
    assert a.is_deleted() and b.is_deleted()
    assert solve_residual(A, x, B) < LIMIT
    inverse = jax.jit(lambda f: f.inv(), donate_argnums=0, keep_unused=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the scalars of the factor
        assert inverse_residual(A, inverse(factor)) < LIMIT
    assert factor.rows.is_deleted()


def test_two_buffers(monkeypatch):
    """XLA may give an operand and the result aliased to it different memory: a GPU program does
    for a slice of a stack. Both then count, and the operand stays."""
    call = jax.ffi.ffi_call
    monkeypatch.setattr(
        jax.ffi, "ffi_call", lambda *a, **k: call(*a, **{**k, "input_output_aliases": {}})
    )
    n = 41  # of no other test: programs are kept
    a, b = spd(n), normal((n, 3), seed=1)
    x = ml.solve(a, b, assume_a="pos")
    assert solve_residual(a, x, b) < LIMIT
    assert inverse_residual(a, ml.inv(a, assume_a="pos")) < LIMIT
    assert solve_residual(a, ml.cho_factor(a).solve(b), b) < LIMIT
    assert eigen_residual(a, *ml.eigh(a)) < LIMIT

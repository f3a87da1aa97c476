# SPDX-License-Identifier: Apache-2.0
"""engine=: the same results whoever runs the routine; misuse is said at trace time."""

import jax
import numpy as np
import pytest

import meshlinalg as ml
from support import (
    DTYPES,
    LIMIT,
    ROWS2,
    ROWS3,
    eigen_residual,
    indefinite,
    inverse_residual,
    logdet_error,
    normal,
    python,
    solve_residual,
    spd,
)

ON_GPU = jax.default_backend() != "cpu"


def mesh_of_all():
    """All GPUs, at most three; on CPU devices three."""
    devices = jax.devices()[:3]
    return jax.make_mesh((len(devices),), ("x",), devices=devices)


def put(a):
    mesh = mesh_of_all()
    spec = jax.P("x", None) if len(a) % mesh.size == 0 else jax.P()
    return jax.device_put(a, jax.NamedSharding(mesh, spec))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("engine", ["native", pytest.param("cusolvermg", marks=pytest.mark.skipif(
    not ON_GPU, reason="GPUs"))])  # fmt: skip
def test_every_routine(engine, dtype):
    n = 60
    a, b = spd(n, dtype), normal((n, 5), dtype)
    A = put(a)

    @jax.jit
    def everything(a, b):
        x, info = ml.solve(a, b, engine=engine, return_info=True, assume_a="pos")
        f = ml.cho_factor(a, engine=engine, tile_size=8)
        return (
            x,
            info,
            f.solve(b),
            ml.inv(a, engine=engine, assume_a="pos"),
            ml.slogdet(a, engine=engine, assume_a="pos").logabsdet,
            ml.eigh(a, engine=engine),
            ml.eigvalsh(a, engine=engine, tile_size=10),
            ml.cholesky(a, engine=engine),
        )

    x, info, y, inverse, logdet, (w, v), values, lower = everything(A, b)
    assert int(info) == 0
    assert solve_residual(a, x, b) < LIMIT and solve_residual(a, y, b) < LIMIT
    assert inverse_residual(a, np.asarray(inverse)) < LIMIT
    assert logdet_error(a, np.asarray(logdet)) < LIMIT
    assert eigen_residual(a, np.asarray(w), np.asarray(v)) < LIMIT
    assert np.abs(np.asarray(values) - np.asarray(w)).max() < 1e3 * np.finfo(dtype).eps
    lower = np.asarray(lower)
    assert np.abs(lower @ lower.conj().T - a).max() < 1e3 * np.finfo(dtype).eps
    bad = put(indefinite(n, dtype, 7))
    x, info = ml.solve(bad, b, engine=engine, return_info=True, assume_a="pos")
    assert int(info) > 0 and np.isnan(np.asarray(x)).all()


@pytest.mark.skipif(ON_GPU, reason="CPU devices")
def test_cpu_devices_have_no_cusolvermg():
    a = ROWS2.put(spd(8))
    for f in (ml.inv, ml.eigh, ml.eigvalsh, ml.slogdet, ml.cho_factor, ml.cholesky):
        with pytest.raises(ValueError, match="engine='cusolvermg' works on NVIDIA GPUs"):
            f(a, engine="cusolvermg")
    with pytest.raises(ValueError, match="but a is on"):
        ml.solve(spd(8), np.ones(8), engine="cusolvermg", assume_a="pos")
    # The devices of an abstract mesh are not known: the library says it, and the next call works.
    traced = jax.jit(lambda a: ml.inv(a, engine="cusolvermg", assume_a="pos"))
    with pytest.raises(Exception, match="cusolvermg works on CUDA devices only"):
        jax.block_until_ready(traced(ROWS3.put(spd(9))))
    assert inverse_residual(spd(9), np.asarray(ml.inv(ROWS3.put(spd(9)), assume_a="pos"))) < LIMIT


def test_unknown_engine():
    with pytest.raises(ValueError, match="engine='cook', expected one of"):
        ml.solve(np.eye(3), np.ones(3), engine="cook", assume_a="pos")


def test_communicators():
    """What is asked for reaches the library; CPU devices go on as they did."""
    from meshlinalg import _library

    a, b = spd(12), np.ones(12)
    try:
        for name, fabric in (("nccl", "nccl"), ("peer", "peer"), ("auto", "peer")):
            ml.set_communicator(name)
            assert (
                solve_residual(a, ml.solve(ROWS2.put(a) if not ON_GPU else a, b, assume_a="pos"), b)
                < LIMIT
            )
            assert _library._fabric == fabric
    finally:
        ml.set_communicator("auto")
    with pytest.raises(ValueError, match="'smoke', expected one of"):
        ml.set_communicator("smoke")


def test_ids_are_carried():
    """What one process gives, another gets, byte for byte; a name that nobody gives is missed."""
    python("""
import ctypes, socket, jax
with socket.socket() as s:
    s.bind(("127.0.0.1", 0))
    port = s.getsockname()[1]
jax.distributed.initialize(f"127.0.0.1:{port}", 1, 0)
from meshlinalg import _library
mine = bytes(range(128))
given = ctypes.create_string_buffer(mine, 128)
got = ctypes.create_string_buffer(128)
assert _library._exchange(b"mla-test", 1, given, 5.0) == 0
assert _library._exchange(b"mla-test", 0, got, 5.0) == 0
assert got.raw == mine
assert _library._exchange(b"mla-nobody", 0, got, 0.2) == 1
""")

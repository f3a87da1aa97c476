# SPDX-License-Identifier: Apache-2.0
"""Programs that are exported, kept, made ahead of time; types of 64 bits on and off; no way back
to Python, and no waiting for the devices."""

import functools
import os
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

import meshlinalg as ml
from meshlinalg import _library
from support import LIMIT, ROWS4, TYPES, normal, python, solve_residual, spd

N = 24
A, B = spd(N), normal((N, 2), seed=1)
EVERY_CALL = [
    jax.export.DisabledSafetyCheck.custom_call(_library.PREFIX + name) for name in _library.TARGETS
]


def everything(a, b, **where):
    factor = ml.cho_factor(a, **where)
    return {
        "solve": ml.solve(a, b, **where, assume_a="pos"),
        "inv": ml.inv(a, **where, assume_a="pos"),
        "logdet": ml.slogdet(a, **where, assume_a="pos").logabsdet,
        "det": ml.det(a, **where, assume_a="pos"),
        "factor_solve": factor.solve(b),
        "factor_inv": factor.inv(),
        "factor_logdet": factor.logdet(),
        "cholesky": ml.cholesky(a, **where),
        "eigh": tuple(ml.eigh(a, **where)),
        "eigvalsh": ml.eigvalsh(a, **where),
    }


def same(out, want=None):
    """The results of `everything` for A and B."""
    want = want or {
        "solve": np.linalg.solve(A, B),
        "inv": np.linalg.inv(A),
        "logdet": np.linalg.slogdet(A)[1],
        "det": np.linalg.det(A),
        "factor_solve": np.linalg.solve(A, B),
        "factor_inv": np.linalg.inv(A),
        "factor_logdet": np.linalg.slogdet(A)[1],
        "cholesky": np.linalg.cholesky(A),
        "eigvalsh": np.linalg.eigvalsh(A),
    }
    for name, x in want.items():
        np.testing.assert_allclose(out[name], x, rtol=1e-10, atol=1e-10, err_msg=name)
    w, v = map(np.asarray, out["eigh"])
    np.testing.assert_allclose(A @ v, v * w, atol=1e-10)


# ---- export ------------------------------------------------------------------------------------


def where(types):
    return {} if types == "explicit" else {"mesh": ROWS4.mesh(types), "spec": P("x", None)}


@pytest.mark.parametrize("types", TYPES)
def test_export(types):
    """Through bytes, into an equal program."""
    pytest.importorskip("flatbuffers")
    a, b = ROWS4.put(A, types), ROWS4.put(B, types, P())
    f = jax.jit(functools.partial(everything, **where(types)))
    exported = jax.export.export(f, disabled_checks=EVERY_CALL)(a, b)
    assert exported.nr_devices == 4
    again = jax.export.deserialize(exported.serialize())
    same(jax.jit(again.call)(a, b))


def test_export_of_a_derivative():
    pytest.importorskip("flatbuffers")
    a, b = ROWS4.put(A), ROWS4.put(B, spec=P())
    f = jax.jit(jax.grad(lambda b, a: jnp.sum(b * ml.solve(a, b, assume_a="pos"))))
    exported = jax.export.export(f, disabled_checks=EVERY_CALL)(b, a)
    again = jax.export.deserialize(exported.serialize())
    np.testing.assert_allclose(again.call(b, a), 2 * np.linalg.solve(A, B), rtol=1e-10)


def test_exported_program_in_another_process(tmp_path):
    pytest.importorskip("flatbuffers")
    a, b = ROWS4.put(A), ROWS4.put(B, spec=P())
    exported = jax.export.export(jax.jit(ml.solve), disabled_checks=EVERY_CALL)(a, b)
    (tmp_path / "program").write_bytes(exported.serialize())
    np.savez(tmp_path / "data.npz", a=A, b=B)
    code = """
import sys, pathlib, conftest, jax, numpy as np, meshlinalg
from jax.sharding import NamedSharding, PartitionSpec as P
folder = pathlib.Path(sys.argv[1])
data = np.load(folder / "data.npz")
mesh = jax.make_mesh((4,), ("x",), devices=jax.devices()[:4])
a = jax.device_put(data["a"], NamedSharding(mesh, P("x", None)))
b = jax.device_put(data["b"], NamedSharding(mesh, P()))
meshlinalg._library.register()
exported = jax.export.deserialize((folder / "program").read_bytes())
np.save(folder / "x.npy", jax.jit(exported.call)(a, b))
"""
    python(code, str(tmp_path))
    assert solve_residual(A, np.load(tmp_path / "x.npy"), B) < LIMIT


# ---- ahead of time, and the compilation cache --------------------------------------------------


@pytest.mark.parametrize("types", TYPES)
def test_ahead_of_time(types):
    """From shapes alone."""
    a = jax.ShapeDtypeStruct((N, N), jnp.float64, sharding=ROWS4.put(A, types).sharding)
    b = jax.ShapeDtypeStruct((N, 2), jnp.float64, sharding=ROWS4.put(B, types, P()).sharding)
    f = functools.partial(everything, **where(types))
    compiled = jax.jit(f).lower(a, b).compile()
    same(compiled(ROWS4.put(A, types), ROWS4.put(B, types, P())))


CACHED = """
import sys, conftest, jax, numpy as np
jax.config.update("jax_compilation_cache_dir", sys.argv[1])
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
hits = []
jax.monitoring.register_event_listener(
    lambda name, **_: hits.append(name) if name.endswith("compilation_cache/cache_hits") else None)
import meshlinalg as ml
from jax.sharding import NamedSharding, PartitionSpec as P
mesh = jax.make_mesh((4,), ("x",), devices=jax.devices()[:4])
a = jax.device_put(np.diag(np.arange(1.0, 25.0)), NamedSharding(mesh, P("x", None)))
f = jax.jit(lambda a: ml.solve(a, np.ones(24)) + ml.cho_factor(a).solve(np.ones(24)))
f.lower(a).compile()
found = len(hits)
x = np.asarray(f(a))
assert np.allclose(x, 2 / np.arange(1.0, 25.0)), x
print("hits", found)
"""


def test_compilation_cache(tmp_path):
    """A second process finds the program, and runs it."""
    first = python(CACHED, str(tmp_path)).split()
    assert first == ["hits", "0"] and any(tmp_path.iterdir())
    second = python(CACHED, str(tmp_path)).split()
    assert second[0] == "hits" and int(second[1]) >= 1


# ---- while tracing -----------------------------------------------------------------------------


def test_compile_time_evaluation():
    a = ROWS4.put(A)

    @jax.jit
    def f(b):
        with jax.ensure_compile_time_eval():
            x = ml.solve(a, B, assume_a="pos")
            assert isinstance(x, jax.Array) and not isinstance(x, jax.core.Tracer)
            largest = float(ml.eigvalsh(a)[-1])
        return b + np.asarray(x) / largest

    text = f.lower(B).as_text()
    assert "meshlinalg" not in text
    want = B + np.linalg.solve(A, B) / np.linalg.eigvalsh(A)[-1]
    np.testing.assert_allclose(f(B), want, rtol=1e-10)


@pytest.mark.parametrize("dtype", ["float32", "complex128"])
def test_eval_shape(dtype):
    a = jax.ShapeDtypeStruct((N, N), dtype, sharding=ROWS4.put(A).sharding)
    b = jax.ShapeDtypeStruct((N, 2), dtype)
    out = jax.eval_shape(everything, a, b)
    real = np.empty(0, dtype).real.dtype
    assert {out[x].shape for x in ("inv", "factor_inv", "cholesky")} == {(N, N)}
    assert out["solve"].shape == (N, 2) and out["solve"].dtype == dtype
    assert out["logdet"].shape == () and out["logdet"].dtype == real
    w, v = out["eigh"]
    assert w.dtype == real and v.dtype == dtype and v.shape == (N, N)


# ---- types -------------------------------------------------------------------------------------


def test_weak_types_do_not_widen():
    """A Python scalar makes no float64 of a float32 matrix."""
    a = ROWS4.put(A.astype("float32"))
    b = jnp.broadcast_to(jnp.asarray(2.0), (N,))  # weakly typed float64
    assert b.weak_type and b.dtype == jnp.float64
    for f in (ml.solve, jax.jit(ml.solve)):
        x = f(a, b)
        assert x.dtype == jnp.float32 and not x.weak_type
        assert solve_residual(A.astype("float32"), x, np.full(N, 2.0, "float32")) < LIMIT
    x = jax.jit(lambda a: ml.solve(2.0 * a + 0, jnp.ones(N, "float32") * 3, assume_a="pos"))(a)
    assert x.dtype == jnp.float32


def test_64_bit_types_off_and_on():
    """In one process: each has its own programs."""
    a, b = A.astype("float32"), B.astype("float32")
    f = jax.jit(
        lambda a, b: (
            ml.solve(a, b, assume_a="pos"),
            ml.slogdet(a, assume_a="pos").logabsdet,
            ml.eigvalsh(a),
        )
    )
    for on in (True, False, True):
        with jax.enable_x64(on):
            x, logdet, w = f(ROWS4.put(a), b)
            assert x.dtype == logdet.dtype == w.dtype == jnp.float32
            assert solve_residual(a, x, b) < LIMIT
            np.testing.assert_allclose(logdet, np.linalg.slogdet(A)[1], rtol=1e-4)
            wide = f(ROWS4.put(A), B)[0]
            assert wide.dtype == (jnp.float64 if on else jnp.float32)
            gradient = jax.grad(lambda b, a=a: ml.solve(a, b, assume_a="pos").sum())(b)
            assert gradient.dtype == jnp.float32


# ---- the host ----------------------------------------------------------------------------------


def objective(a, b):
    """Values of all routines, in one number."""
    out = everything(a, b)
    w, v = out.pop("eigh")
    parts = [*out.values(), w, jnp.abs(v) ** 2]
    return sum(jnp.sum(jnp.sin(x)) for x in parts)


def test_no_callbacks():
    """The programs call the library and nothing in Python, forward and backward."""
    a, b = ROWS4.put(A), ROWS4.put(B, spec=P())
    for f in (everything, jax.grad(objective, argnums=(0, 1))):
        text = jax.jit(f).lower(a, b).as_text()
        assert "@meshlinalg_0_potrf" in text and "callback" not in text


def test_the_test_sees_a_callback():
    shape = jax.ShapeDtypeStruct((), jnp.float64)
    text = jax.jit(lambda x: jax.pure_callback(np.sin, shape, x)).lower(1.0).as_text()
    assert "callback" in text


@pytest.mark.skipif(jax.default_backend() == "cpu", reason="a GPU: CPU programs may run at once")
def test_returns_before_the_work_ends():
    """The call costs Python a small part of what it costs the device."""
    n = int(os.environ.get("MESHLINALG_TEST_ASYNC_N", "8192"))
    mesh = jax.make_mesh((jax.device_count(),), ("x",))
    rows = NamedSharding(mesh, P("x", None))
    a = jax.jit(lambda: jnp.eye(n) * n + jnp.ones((n, n)), out_shardings=rows)()
    b = jnp.ones((n, 1))
    f = jax.jit(lambda a, b: ml.solve(a, ml.solve(a, b, assume_a="pos"), assume_a="pos"))
    jax.block_until_ready(f(a, b))
    shares = []
    for _ in range(3):
        jax.block_until_ready((a, b))
        start = time.perf_counter()
        x = f(a, b)
        returned = time.perf_counter() - start
        ready = x.is_ready()
        jax.block_until_ready(x)
        shares.append(returned / (time.perf_counter() - start))
        assert not ready
    assert min(shares) < 0.5, shares

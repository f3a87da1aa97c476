# SPDX-License-Identifier: Apache-2.0
"""Importing does nothing; the library is loaded when it is needed; 64-bit types are optional."""

import os
import pathlib

import jax
import pytest

import meshlinalg as ml
from support import python

STATE = """
import os, threading
before = threading.active_count(), len(os.listdir("/proc/self/task")), dict(os.environ)
import jax
types, flags = jax.config.jax_enable_x64, dict(jax.config.values)
tasks = len(os.listdir("/proc/self/task"))
import meshlinalg
assert jax.config.jax_enable_x64 == types
assert dict(jax.config.values) == flags
from jax._src import xla_bridge
assert not xla_bridge.backends_are_initialized()
assert threading.active_count() == before[0]
assert len(os.listdir("/proc/self/task")) == tasks, "a thread was started"
assert dict(os.environ) == before[2] | {k: v for k, v in os.environ.items() if k not in before[2]}
assert "libmeshlinalg" not in open("/proc/self/maps").read(), "the library is loaded"
"""


def test_import_does_nothing():
    python(STATE)


def test_tracing_starts_no_backend():
    """The targets are registered before JAX has started: shapes need no device."""
    python("""
import jax, jax.numpy as jnp
import meshlinalg as ml
from jax._src import xla_bridge
a = jax.ShapeDtypeStruct((4, 4), jnp.float32)
assert jax.eval_shape(ml.inv, a).shape == (4, 4)
assert "libmeshlinalg" in open("/proc/self/maps").read()
assert not xla_bridge.backends_are_initialized()
print(ml.inv(jnp.eye(4)))
""")


def test_registration_after_start():
    python("""
import jax, jax.numpy as jnp
x = jnp.eye(4).block_until_ready()
import meshlinalg as ml
assert float(abs(ml.inv(x) - x).max()) == 0
""")


def test_missing_library(tmp_path):
    """import works, a call says what is missing and what to do."""
    for path in (tmp_path / "nowhere.so", tmp_path / "text.so"):
        (tmp_path / "text.so").write_text("not a library")
        out = python(
            """
import numpy as np
import meshlinalg as ml
for _ in range(2):
    try:
        ml.inv(np.eye(2))
    except ImportError as error:
        print(error)
""",
            MESHLINALG_LIBRARY=str(path),
        )
        lines = out.strip().splitlines()
        assert len(lines) == 2
        for line in lines:
            assert str(path) in line and "MESHLINALG_LIBRARY" in line and "Reinstall" in line


def test_everything_is_exported():
    for name in ml.__all__:
        assert getattr(ml, name) is not None
    for name in ml.shard.__all__:
        assert getattr(ml.shard, name) is not None
    public = {name for name in dir(ml) if not name.startswith("_")}
    assert public - set(ml.__all__) <= {"jaxmg", "lineax"}  # modules of their own
    assert all(callable(getattr(ml.shard, name)) for name in ml.shard.__all__)


def test_documented():
    for module in (ml, ml.shard):
        for name in module.__all__:
            if name != "__version__":
                assert getattr(module, name).__doc__


def test_version():
    header = pathlib.Path(__file__).parents[2] / "include" / "meshlinalg.h"
    text = header.read_text()
    parts = [text.split(f"MLA_VERSION_{x} ")[1].split()[0] for x in ("MAJOR", "MINOR", "PATCH")]
    assert ml.__version__ == ".".join(parts)


WITHOUT_X64 = """
import sys
import jax, jax.numpy as jnp, numpy as np
jax.config.update("jax_num_cpu_devices", 4)
import meshlinalg as ml
assert not jax.config.jax_enable_x64
mesh = jax.make_mesh((jax.device_count(),), ("x",))
rows = jax.NamedSharding(mesh, jax.P("x", None))
for dtype in (np.float32, np.complex64):
    n = 24
    g = np.random.default_rng(0).standard_normal((n, n)).astype(dtype)
    a = g @ g.conj().T / n + np.eye(n, dtype=dtype)
    for scale in (1.0, 1e-20, 1e20):
        s = jax.device_put((a * scale).astype(dtype), rows)
        x = ml.solve(s, np.ones(n, dtype))
        assert x.dtype == dtype
        np.testing.assert_allclose(a @ np.asarray(x) * scale, 1, rtol=1e-4)
        for function in (ml.slogdet, jax.jit(ml.slogdet)):
            logdet = function(s).logabsdet
            assert logdet.dtype == jnp.float32
            want = np.linalg.slogdet(a.astype(complex))[1] + n * np.log(float(np.float32(scale)))
            np.testing.assert_allclose(logdet, want, rtol=2e-6, atol=1e-5)
        np.testing.assert_allclose(ml.cho_factor(s).logdet(), want, rtol=2e-6, atol=1e-5)
    w, v = ml.eigh(jax.device_put(a, rows))
    assert w.dtype == jnp.float32 and v.dtype == dtype
    w, v = np.asarray(w), np.asarray(v)  # numpy's product: JAX's may be TF32 on a GPU
    np.testing.assert_allclose(a @ v, v * w, atol=1e-4)
one = jax.device_put(np.eye(n, dtype=np.float32), rows)
assert float(ml.slogdet(one).logabsdet) == 0 and float(ml.det(one)) == 1
bad = jax.device_put(-np.eye(n, dtype=np.float32), rows)
assert np.isnan(ml.slogdet(bad, assume_a="pos").logabsdet)
sign, logdet = ml.slogdet(bad[:, ::-1])
assert sign == np.linalg.det(-np.eye(n)[:, ::-1]) and logdet == 0
a64 = np.eye(n)  # JAX makes float32 of it
assert ml.inv(jax.device_put(a64, rows)).dtype == jnp.float32
with jax.enable_x64(True):
    s = jax.device_put(2 * np.eye(n), rows)
    assert s.dtype == jnp.float64
    assert ml.inv(s).dtype == jnp.float64
    np.testing.assert_allclose(ml.slogdet(s).logabsdet, n * np.log(2), rtol=1e-15)
assert not jax.config.jax_enable_x64
"""


def test_without_64_bit_types():
    """log det is summed in double all the same."""
    python(WITHOUT_X64, JAX_ENABLE_X64=None)


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="the fallback of CPU devices")
def test_blas_of_ones_own():
    """MESHLINALG_BLAS is for programs without Python: it does not disturb."""
    python(
        "import numpy as np, meshlinalg as ml; print(ml.inv(np.eye(3)))",
        MESHLINALG_BLAS="/nowhere.so",
    )


def test_time_limit_is_read():
    """A rank that never comes: the others say who is missing, and when they stopped waiting."""
    if jax.default_backend() != "cpu":
        pytest.skip("CPU devices")
    out = python(
        """
import jax, numpy as np
jax.config.update("jax_num_cpu_devices", 4)
import meshlinalg as ml
from meshlinalg import _ffi, _library, _sharding
mesh = jax.make_mesh((4,), ("x",))
group = _sharding.group_of(mesh, ("x",))

def f(a):  # rank 3 does not take part
    call = lambda a: _ffi.poinv(a, group, n=8, nb=0)[0]
    return jax.lax.cond(jax.lax.axis_index("x") < 3, call, lambda a: a, a)

rows = jax.P("x", None)
a = jax.device_put(np.eye(8), jax.NamedSharding(mesh, rows))
step = jax.jit(jax.shard_map(f, mesh=mesh, in_specs=rows, out_specs=rows, check_vma=False))
try:
    step(a).block_until_ready()
except Exception as error:
    print(str(error).splitlines()[0])
_library.set_timeout(60)
print("after", float(np.asarray(ml.inv(a))[0, 0]))
print("left", _library.library().mla_xla_meetings())
""",
        MESHLINALG_TIMEOUT_S="1",
    )
    lines = out.strip().splitlines()
    assert "only 3 of 4 ranks arrived within 1 s (MESHLINALG_TIMEOUT_S); missing: 3" in lines[0]
    assert lines[1] == "after 1.0"
    assert int(lines[2].split()[1]) <= 1  # the failed one, kept for the rank that is late


def test_environment_of_the_tests():
    assert os.environ["OPENBLAS_NUM_THREADS"] == "1" or jax.default_backend() != "cpu"
    assert jax.config.jax_enable_x64

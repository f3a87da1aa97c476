# SPDX-License-Identifier: Apache-2.0
"""What each process of a job checks. mp_child.py runs these; importing this starts nothing.

The code between the meshes and the residuals is what a user writes for one process. Each process
makes the whole matrix on the host, and so its own shards of it; results go back to the host shard
by shard, through files, because several processes on one GPU cannot run XLA's collectives. Checks
that need those run on CPU devices only.

A check returns its largest scaled residual (LAPACK's testers: less than 30 is right).
"""

import functools
import itertools
import os
import pickle

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

import meshlinalg as ml
import mp_launch
from meshlinalg import jaxmg
from meshlinalg._jax_compat import job_name

JOB: mp_launch.Job = None  # set by mp_child
FOLDER: str = None

DTYPES = ("float32", "float64", "complex64", "complex128")
ROWS = P("x", None)
CHECKS = {}
ONLY_CPU = set()


def check(*parameters, collectives=False):
    """Registers a check under its name, once for each parameter."""

    def register(f):
        for p in parameters or (None,):
            name = f.__name__ if p is None else f"{f.__name__}-{p}"
            CHECKS[name] = f if p is None else functools.partial(f, p)
            if collectives:
                ONLY_CPU.add(name)
        return f

    return register


# ---- matrices, meshes, arrays ------------------------------------------------------------------


def is_complex(dtype) -> bool:
    return np.issubdtype(np.dtype(dtype), np.complexfloating)


def normal(rng, shape, dtype):
    x = rng.standard_normal(shape)
    return (x + 1j * rng.standard_normal(shape) if is_complex(dtype) else x).astype(dtype)


def spectrum(kind, n, dtype):
    """Eigenvalues of a kind of matrix."""
    eps = np.finfo(dtype).eps
    if kind == "ill":  # condition 1 / (100 eps)
        return np.logspace(0, np.log10(100 * eps), n)
    if kind == "clustered":
        return np.where(np.arange(n) < n // 2, 1.0, 1.0 + 3 * eps * np.arange(n))
    return 1.0 + np.arange(n)


def hermitian(kind, n, dtype, seed=0):
    wide = np.complex128 if is_complex(dtype) else np.float64
    q, _ = np.linalg.qr(normal(np.random.default_rng(seed), (n, n), wide))
    a = (q * spectrum(kind, n, dtype)) @ q.conj().T
    if kind == "indefinite":
        a -= (n / 2 + 0.25) * np.eye(n)
    return ((a + a.conj().T) / 2).astype(dtype)


def mesh_of(devices=None, shape=None, names=("x",), kind=AxisType.Explicit):
    devices = np.array(devices if devices is not None else jax.devices())
    return Mesh(devices.reshape(shape or (-1,)), names, axis_types=(kind,) * len(names))


def put(a, mesh, spec=ROWS):
    """The array on the mesh: each process fills its own shards."""
    a = np.asarray(a)
    return jax.make_array_from_callback(a.shape, NamedSharding(mesh, spec), lambda i: a[i])


files = itertools.count()


def whole(x) -> np.ndarray:
    """All of an array on every process."""
    x = jax.block_until_ready(x)
    if x.is_fully_replicated:
        copies = [np.asarray(s.data) for s in x.addressable_shards]
        for other in copies[1:]:
            np.testing.assert_array_equal(other, copies[0])  # NaN equals NaN here
        return copies[0]
    number = next(files)
    path = os.path.join(FOLDER, f"{number}-{{}}.pickle")
    mine = [(s.index, np.asarray(s.data)) for s in x.addressable_shards if s.replica_id == 0]
    with open(path.format(JOB.index), "wb") as file:
        pickle.dump(mine, file)
    mp_launch.barrier(f"file-{number}")
    out = np.full(x.shape, np.nan, x.dtype)
    for index in range(JOB.processes):
        with open(path.format(index), "rb") as file:
            for where, data in pickle.load(file):
                out[where] = data
    return out


# ---- scaled residuals --------------------------------------------------------------------------


def norm1(a):
    return np.abs(a).sum(axis=0).max() if a.ndim == 2 else np.abs(a).sum()


def scale(a):
    return max(norm1(a), np.finfo(a.dtype).tiny) * len(a) * np.finfo(a.dtype).eps / 2


def of_solve(a, x, b):
    assert x.shape == b.shape and x.dtype == np.result_type(a, b)
    return norm1(a @ x - b) / (scale(a) * norm1(x))


def of_inverse(a, x):
    assert x.shape == a.shape and x.dtype == a.dtype
    return norm1(a @ x - np.eye(len(a))) / (scale(a) * norm1(x))


def of_logdet(a, logdet):
    wide = a.astype(np.complex128 if is_complex(a.dtype) else np.float64)
    exact = np.linalg.slogdet(wide)[1]
    # A relative change of n eps ||A|| in A moves it by n eps cond(A) at most.
    return abs(logdet - exact) / (len(a) * np.finfo(a.dtype).eps * np.linalg.cond(wide))


def of_eigh(a, w, v):
    assert w.shape == (len(a),) and v.shape == a.shape and v.dtype == a.dtype
    assert (np.diff(w) >= 0).all()
    eps = np.finfo(a.dtype).eps / 2
    orthogonal = norm1(v.conj().T @ v - np.eye(len(a))) / (len(a) * eps)
    return max(norm1(a @ v - v * w) / scale(a), orthogonal)


def of_values(a, w):
    wide = a.astype(np.complex128 if is_complex(a.dtype) else np.float64)
    return np.abs(w - np.linalg.eigvalsh(wide)).max() / scale(a)


def eigh(a, **options):
    """ml.eigh; where XLA cannot symmetrise (a GPU with several ranks), without that."""
    if not JOB.is_gpu:
        return ml.eigh(a, **options)
    from meshlinalg._eigh import eigh_planned
    from meshlinalg._sharding import plan_of

    a, plan = plan_of(a, options.get("mesh"), options.get("spec"))
    return eigh_planned(a, plan, nb=0, fill=None, overwrite_a=False, return_info=False)


# ---- the routines ------------------------------------------------------------------------------


def order() -> int:
    return 5 * jax.device_count()


@check(*DTYPES)
def solve(dtype):
    """Explicit axes, one and many right-hand sides, replicated and by rows."""
    n = order()
    mesh, worst = mesh_of(), 0.0
    b = normal(np.random.default_rng(1), (n, 3), dtype)
    f = jax.jit(functools.partial(ml.solve, assume_a="pos", tile_size=2, return_info=True))
    for kind in ("random", "ill"):
        a = hermitian(kind, n, dtype)
        for spec in (P(None, None), ROWS):
            x, info = f(put(a, mesh), put(b, mesh, spec))
            assert x.sharding.is_equivalent_to(NamedSharding(mesh, spec), 2)
            assert whole(info) == 0
            worst = max(worst, of_solve(a, whole(x), b))
    x = ml.solve(put(a, mesh), put(b[:, 0], mesh, P(None)), assume_a="pos")
    return max(worst, of_solve(a, whole(x)[:, None], b[:, :1]))


@check(*DTYPES)
def inv(dtype):
    n = order()
    mesh, worst = mesh_of(), 0.0
    for kind in ("random", "ill"):
        a = hermitian(kind, n, dtype)
        x, info = ml.inv(put(a, mesh), tile_size=3, return_info=True, assume_a="pos")
        assert x.sharding.is_equivalent_to(NamedSharding(mesh, ROWS), 2)
        assert whole(info) == 0
        worst = max(worst, of_inverse(a, whole(x)))
    return worst


@check(*DTYPES)
def slogdet(dtype):
    n = order()
    mesh, worst = mesh_of(), 0.0
    for kind in ("random", "ill"):
        a = hermitian(kind, n, dtype)
        sign, logdet = ml.slogdet(put(a, mesh), assume_a="pos")
        assert whole(sign) == 1
        worst = max(worst, of_logdet(a, whole(logdet)))
    return worst


@check(*DTYPES)
def qr(dtype):
    """Rows, and a least-squares solution from them; no collectives of XLA."""
    n = order()
    a = normal(np.random.default_rng(3), (2 * n, n), dtype)
    mesh, unit = mesh_of(), 2 * n * np.finfo(dtype).eps / 2
    q, r = map(whole, ml.qr(put(a, mesh), tile_size=3))
    x = whole(ml.lstsq(put(a, mesh), put(a[:, :2], mesh), full_rank=True).x)
    return max(
        norm1(a - q @ r) / (norm1(a) * unit),
        np.abs(q.conj().T @ q - np.eye(n)).max() / unit,
        np.abs(x - np.eye(n, 2)).max() / (np.linalg.cond(a) * unit),
    )


@check(collectives=True)
def svd():
    a = normal(np.random.default_rng(4), (2 * order(), order()), "float64")
    u, s, vh = map(whole, ml.svd(put(a, mesh_of())))
    return norm1(a - (u * s) @ vh) / (norm1(a) * len(a) * np.finfo(a.dtype).eps / 2)


@check(*DTYPES)
def cho_factor(dtype):
    """A factor leaves one program and enters others."""
    n = order()
    mesh, a = mesh_of(), hermitian("random", n, dtype)
    b = normal(np.random.default_rng(2), (n, 2), dtype)
    factor = jax.jit(ml.cho_factor)(put(a, mesh))
    x = jax.jit(lambda f, b: f.solve(b))(factor, put(b, mesh, P(None, None)))
    y = factor.solve(put(b, mesh, ROWS))
    return max(
        of_solve(a, whole(x), b),
        of_solve(a, whole(y), b),
        of_inverse(a, whole(factor.inv())),
        of_logdet(a, whole(factor.logdet())),
    )


@check(*DTYPES, collectives=True)
def cholesky(dtype):
    n = order()
    mesh, a = mesh_of(), hermitian("random", n, dtype)
    lower = whole(ml.cholesky(put(a, mesh)))
    assert np.array_equal(lower, np.tril(lower))
    return norm1(lower @ lower.conj().T - a) / scale(a)


@check(*DTYPES)
def eigh_vectors(dtype):
    n = order()
    mesh, worst = mesh_of(), 0.0
    for kind in ("random", "clustered", "indefinite"):
        a = hermitian(kind, n, dtype)
        w, v = eigh(put(a, mesh))
        worst = max(worst, of_eigh(a, whole(w), whole(v)))
    return worst


@check(*DTYPES, collectives=True)
def eigh_values(dtype):
    n = order()
    mesh, worst = mesh_of(), 0.0
    for kind in ("random", "clustered", "indefinite"):
        a = hermitian(kind, n, dtype)
        worst = max(worst, of_values(a, whole(ml.eigvalsh(put(a, mesh)))))
    return worst


@check(*DTYPES)
def failing(dtype):
    """Not positive definite: NaN and info everywhere; the next call is none the worse for it."""
    n = order()
    mesh, a = mesh_of(), hermitian("indefinite", n, dtype)
    b = np.ones((n, 1), dtype)
    bad = np.diag(np.where(np.arange(n) == n - 2, -1.0, 1.0)).astype(dtype)
    for m, minor in ((a, None), (bad, n - 1)):
        x, info = ml.solve(
            put(m, mesh), put(b, mesh, P(None, None)), return_info=True, assume_a="pos"
        )
        assert np.isnan(whole(x)).all() and whole(info) > 0
        assert minor is None or whole(info) == minor
        y, info = ml.inv(put(m, mesh), return_info=True, assume_a="pos")
        assert np.isnan(whole(y)).all() and whole(info) > 0
        assert np.isnan(whole(ml.slogdet(put(m, mesh), assume_a="pos").logabsdet))
    nan = np.eye(n, dtype=dtype)
    nan[1, 1] = np.nan
    assert np.isnan(whole(ml.inv(put(nan, mesh), assume_a="pos"))).all()
    good = hermitian("random", n, dtype)
    return of_inverse(good, whole(ml.inv(put(good, mesh), assume_a="pos")))


@check("float32", "complex128")
def general(dtype):
    """LU: systems, transposed ones, the inverse, the determinant; a singular matrix."""
    n = order()
    mesh, rng = mesh_of(), np.random.default_rng(3)
    a, b = normal(rng, (n, n), dtype), normal(rng, (n, 2), dtype)
    A, B = put(a, mesh), put(b, mesh, P(None, None))
    factor = ml.lu_factor(A, tile_size=3)
    sign, logdet = factor.slogdet()
    want_sign, want = np.linalg.slogdet(a.astype("complex128"))
    assert abs(whole(sign) - want_sign) < 1e-3 and abs(whole(logdet) - want) < 1e-3 * n
    zero = a.copy()
    zero[2] = 0
    x, info = ml.solve(put(zero, mesh), B, return_info=True)
    assert np.isnan(whole(x)).all() and whole(info) == 3
    return max(
        of_solve(a, whole(ml.solve(A, B)), b),
        of_solve(a.conj().T, whole(factor.solve(B, 2)), b),
        of_inverse(a, whole(ml.inv(A))),
        of_inverse(a, whole(factor.inv())),
    )


# ---- meshes and layouts ------------------------------------------------------------------------


@check()
def automatic_axes():
    n = order()
    mesh = mesh_of(kind=AxisType.Auto)
    a, b = hermitian("random", n, "float64"), np.ones((n, 2))
    A, B = put(a, mesh), put(b, mesh, P(None, None))
    f = jax.jit(functools.partial(ml.solve, mesh=mesh, spec=ROWS), out_shardings=B.sharding)
    return max(
        of_solve(a, whole(f(A, B)), b), of_solve(a, whole(ml.solve(A, B, assume_a="pos")), b)
    )


@check(collectives=True)
def automatic_axes_without_a_word():
    """In a program, nothing says where A lies: the mesh is that of the context."""
    n = order()
    mesh = mesh_of(kind=AxisType.Auto)
    a, b = hermitian("random", n, "complex64"), np.ones((n, 2), "complex64")
    A, B = put(a, mesh), put(b, mesh, P(None, None))
    with jax.set_mesh(mesh):
        x = jax.jit(ml.solve, out_shardings=B.sharding)(A, B)
        y = jax.jit(ml.inv, out_shardings=A.sharding)(A)
    return max(of_solve(a, whole(x), b), of_inverse(a, whole(y)))


@check("columns", "grid", "replicated", collectives=True)
def layout(kind):
    n = order()
    a, worst = hermitian("random", n, "complex128"), 0.0
    grid = (2, -1) if jax.device_count() % 2 == 0 else (1, -1)
    mesh = mesh_of(shape=grid, names=("x", "y"))
    spec = {"columns": P(None, ("x", "y")), "grid": P("x", "y"), "replicated": P(None, None)}[kind]
    A = put(a, mesh, spec)
    inverse = ml.inv(A, assume_a="pos")
    assert inverse.sharding.is_equivalent_to(A.sharding, 2)
    worst = max(worst, of_inverse(a, whole(inverse)))
    w, v = ml.eigh(A)
    assert v.sharding.is_equivalent_to(A.sharding, 2)
    return max(worst, of_eigh(a, whole(w), whole(v)))


@check(collectives=True)
def one_triangle():
    n = order()
    a = hermitian("random", n, "complex128")
    mesh = mesh_of()
    half = np.where(np.tri(n, dtype=bool), a, np.nan)
    return of_inverse(a, whole(ml.inv(put(half, mesh), lower=True, assume_a="pos")))


@check()
def ragged():
    """n that the devices do not divide: replicated, on the mesh."""
    if JOB.is_gpu:
        return 0.0
    worst = 0.0
    mesh = mesh_of()
    for n in (1, 2, 2 * jax.device_count() + 1):
        a, b = hermitian("random", n, "float64"), np.ones((n, 1))
        x = ml.solve(put(a, mesh, P(None, None)), put(b, mesh, P(None, None)), assume_a="pos")
        worst = max(worst, of_solve(a, whole(x), b))
    return worst


@check()
def sub_meshes():
    """Devices of all processes, but not all devices; in another order; one process alone."""
    per = jax.local_device_count()
    by_process = np.array(jax.devices()).reshape(JOB.processes, per)
    a, b = hermitian("random", 12, "float64"), np.ones((12, 1))
    worst = 0.0
    wanted = [by_process[:, :1].ravel(), by_process[::-1].ravel()]
    if per > 1:
        wanted.append(by_process.T.ravel())  # ranks alternate between the processes
    for devices in wanted:
        if 12 % len(devices):
            continue
        mesh = mesh_of(devices)
        x = whole(ml.solve(put(a, mesh), put(b, mesh, P(None, None)), assume_a="pos"))
        worst = max(worst, of_solve(a, x, b))
    mesh = mesh_of(jax.local_devices())
    if 12 % per == 0:  # different matrices in different processes, at the same time
        mine = a + JOB.index * np.eye(12)
        x = ml.solve(put(mine, mesh), put(b, mesh, P(None, None)), assume_a="pos")
        worst = max(worst, of_solve(mine, np.asarray(x.addressable_shards[0].data), b))
    return worst


@check()
def second_axis():
    """Copies along one axis, each solved by a group of its own."""
    n = order()
    if jax.device_count() % 2:
        return 0.0
    mesh, worst = mesh_of(shape=(2, -1), names=("y", "x")), 0.0
    a, b = hermitian("random", n, "float64"), np.ones((n, 1))
    for axis in ("x", "y"):
        x = ml.solve(put(a, mesh, P(axis, None)), put(b, mesh, P(None, None)), assume_a="pos")
        worst = max(worst, of_solve(a, whole(x), b))
    return worst


# ---- programs ------------------------------------------------------------------------------------


@check()
def independent_calls():
    """Two calls that nothing orders, and one jitted function called twice."""
    n = order()
    mesh = mesh_of()
    a, c = hermitian("random", n, "float64", 1), hermitian("ill", n, "float64", 2)
    b = np.ones((n, 2))

    @jax.jit
    def f(a, c, b):
        return (
            ml.solve(a, b, assume_a="pos"),
            ml.solve(c, b, assume_a="pos"),
            ml.inv(a, assume_a="pos"),
        )

    twice = jax.jit(lambda a, c: (g(a), g(c)))
    g = jax.jit(ml.inv)
    A, C, B = put(a, mesh), put(c, mesh), put(b, mesh, P(None, None))
    x, y, z = f(A, C, B)
    u, v = twice(A, C)
    return max(
        of_solve(a, whole(x), b),
        of_solve(c, whole(y), b),
        of_inverse(a, whole(z)),
        of_inverse(a, whole(u)),
        of_inverse(c, whole(v)),
    )


@check()
def scan():
    """One call site, many times; the result feeds the next."""
    n = order()
    mesh = mesh_of()
    a, b = hermitian("random", n, "float64"), np.ones((n, 1))

    @jax.jit
    def f(a, eye, b):
        def step(x, shift):
            y = ml.solve(a + shift * eye, x, assume_a="pos")
            return y, y

        return jax.lax.scan(step, b, jnp.arange(5.0))[1]

    ys = f(put(a, mesh), put(np.eye(n), mesh), put(b, mesh, P(None, None)))
    ys, x, worst = whole(ys), b, 0.0
    for i in range(5):
        worst = max(worst, of_solve(a + i * np.eye(n), ys[i], x))
        x = ys[i]
    return worst


@check()
def condition_and_loop():
    n = order()
    mesh = mesh_of()
    a, b = hermitian("random", n, "float64"), np.ones((n, 1))

    @jax.jit
    def f(a, b, flag):
        x = jax.lax.cond(flag, lambda: ml.solve(a, b, assume_a="pos"), lambda: b)
        return jax.lax.fori_loop(0, 3, lambda i, x: ml.solve(a, x, assume_a="pos"), x)

    worst = 0.0
    for flag in (True, False):
        x, expected = whole(f(put(a, mesh), put(b, mesh, P(None, None)), flag)), b
        for _ in range(3 + flag):
            expected = np.linalg.solve(a, expected)
        worst = max(worst, norm1(x - expected) / norm1(expected))
    return worst / (4 * n * np.finfo(float).eps * np.linalg.cond(a))


@check()
def donated():
    n = order()
    mesh = mesh_of()
    a, b = hermitian("random", n, "float64"), np.ones((n, 2))
    A, B = put(a, mesh), put(b, mesh, P(None, None))
    x = ml.solve(A, B, overwrite_a=True, overwrite_b=True, assume_a="pos")
    assert A.is_deleted() and B.is_deleted()
    worst = of_solve(a, whole(x), b)
    A = put(a, mesh)
    worst = max(worst, of_inverse(a, whole(jax.jit(ml.inv, donate_argnums=0)(A))))
    assert A.is_deleted()
    A = put(a, mesh)
    ml.inv(A, assume_a="pos")
    assert np.array_equal(whole(A), a)  # not donated, not touched
    return worst


@check(collectives=True)
def inside_shard_map():
    n = order()
    mesh = mesh_of()
    a, b = hermitian("random", n, "complex64"), np.ones((n, 1), "complex64")

    def local(a, b):
        x = ml.shard.solve(a, b, "x", assume_a="pos")
        return x, jax.lax.psum(jnp.sum(jnp.abs(a)), "x")

    f = jax.jit(
        jax.shard_map(local, mesh=mesh, in_specs=(ROWS, P()), out_specs=(P(), P()), check_vma=False)
    )
    x, total = f(put(a, mesh), put(b, mesh, P(None, None)))
    assert abs(whole(total) - np.abs(a).sum()) < 1e-3 * np.abs(a).sum()
    return of_solve(a, whole(x), b)


@check(collectives=True)
def derivatives():
    """Shards of tangents go round all processes."""
    n = order()
    mesh, a = mesh_of(), hermitian("random", n, "complex128")
    b = normal(np.random.default_rng(3), (n, 2), "complex128")

    def f(a, b):
        factor = ml.cho_factor(a)
        x, w = factor.solve(b), ml.eigvalsh(a)
        return jnp.sum(x.real) + factor.logdet() + jnp.sum(w * w) / 2

    A, B = put(a, mesh), put(b, mesh, P(None, None))
    value, tangent = jax.jit(lambda a, b: jax.jvp(f, (a, b), (a, b)))(A, B)
    of_a, of_b = jax.jit(jax.grad(f, (0, 1)))(A, B)
    # f' = Re sum(g A') in JAX: g is the transposed of what it is in formulas with a trace.
    inverse, ones = np.linalg.inv(a), np.ones_like(b)
    x, y = inverse @ b, inverse @ ones
    exact = inverse.T + a.T - (y.conj() @ x.T + x.conj() @ y.T) / 2
    slope = np.sum(exact * a).real + np.sum(x.real)
    unit = n * np.finfo(float).eps * np.linalg.cond(a)
    return max(
        norm1(whole(of_a) - exact) / (norm1(exact) * unit),
        norm1(whole(of_b) - y.conj()) / (norm1(y) * unit),
        abs(whole(tangent) - slope) / (abs(slope) * unit),
        abs(whole(value) - whole(f(A, B))) / (abs(whole(value)) * unit),
    )


@check(collectives=True)
def allgather():
    """The host's gathering by files and JAX's own give the same."""
    n = order()
    from jax.experimental import multihost_utils

    mesh, a = mesh_of(), hermitian("random", n, "complex128")
    x = ml.inv(put(a, mesh), assume_a="pos")
    gathered = multihost_utils.process_allgather(x, tiled=True)
    assert np.array_equal(gathered, whole(x))
    return of_inverse(a, gathered)


@check()
def many_calls():
    """Each call opens and closes a group of processes: nothing of it stays."""
    n = order()
    mesh, a = mesh_of(), hermitian("random", n, "float64")
    A, f = put(a, mesh), jax.jit(ml.inv)
    jax.block_until_ready(f(A))
    files_open = len(os.listdir("/proc/self/fd"))
    for _ in range(10_000 if os.environ.get("MESHLINALG_LONG") == "1" else 300):
        x = jax.block_until_ready(f(A))
    assert len(os.listdir("/proc/self/fd")) == files_open
    mp_launch.barrier("many_calls")
    assert not [name for name in os.listdir("/dev/shm") if job_name() in name]
    return of_inverse(a, whole(x))


@check()
def errors_before_the_call():
    """Refused on all processes alike, and nothing is left behind."""
    n = order()
    mesh = mesh_of()
    for bad in (np.ones((n, n - jax.device_count())), np.ones((n, n), np.int32)):
        try:
            ml.inv(put(bad, mesh), assume_a="pos")
        except (TypeError, ValueError):
            continue
        raise AssertionError("expected an error")
    return 0.0


# ---- derivatives ---------------------------------------------------------------------------------


@check("float64", "complex128", collectives=True)
def derivative_of_solve(dtype):
    """jvp and grad, of the matrix and of the right-hand sides."""
    n = order()
    mesh, a, da = mesh_of(), hermitian("random", n, dtype), hermitian("random", n, dtype, 1)
    rng = np.random.default_rng(2)
    b, db = normal(rng, (n, 2), dtype), normal(rng, (n, 2), dtype)
    everywhere = P(None, None)
    A, dA = put(a, mesh), put(da, mesh)
    B, dB = put(b, mesh, everywhere), put(db, mesh, everywhere)
    _, dx = jax.jit(lambda p, t: jax.jvp(ml.solve, p, t))((A, B), (dA, dB))
    x = np.linalg.solve(a, b)
    worst = of_solve(a, whole(dx), db - da @ x)

    def energy(a, b):
        return jnp.real(jnp.sum(jnp.conj(b) * ml.solve(a, b)))

    for_a, for_b = jax.jit(jax.grad(energy, argnums=(0, 1)))(A, B)
    # of Re b^H A^-1 b: -conj(x x^H) and 2 conj(x), as JAX counts gradients
    g, h = whole(for_a), whole(for_b)
    worst = max(worst, of_solve(a, np.conj(h) / 2, b))
    g = (g + g.conj().T) / 2
    return max(worst, norm1(g + np.conj(x @ x.conj().T)) / (scale(a) * norm1(x) ** 2))


@check("float64", "complex128", collectives=True)
def derivative_of_eigh(dtype):
    """Of eigenvalues and of a function of the eigenvectors, against differences."""
    n = order()
    mesh, a, da = mesh_of(), hermitian("random", n, dtype), hermitian("random", n, dtype, 1)

    def occupied(a):  # weights of the lower half on the sites: phases do not matter
        w, v = ml.eigh(a)
        low = jnp.arange(n) < n // 2
        return jnp.sum(jnp.where(low, jnp.sin(w), 0)), jnp.abs(v) ** 2 @ low.astype(w.dtype)

    (_, _), (de, dq) = jax.jit(lambda a, t: jax.jvp(occupied, (a,), (t,)))(
        put(a, mesh), put(da, mesh)
    )
    gradient = jax.jit(jax.grad(lambda a: occupied(a)[0]))(put(a, mesh))

    def dense(a):
        w, v = np.linalg.eigh(a)
        return np.sin(w[: n // 2]).sum(), (np.abs(v[:, : n // 2]) ** 2).sum(axis=1)

    h = 1e-5
    (e1, q1), (e0, q0) = dense(a + h * da), dense(a - h * da)
    along = np.real(np.sum(whole(gradient) * da))
    error = max(
        abs(whole(de) - (e1 - e0) / (2 * h)),
        abs(along - (e1 - e0) / (2 * h)),
        np.abs(whole(dq) - (q1 - q0) / (2 * h)).max(),
    )
    return error / 1e-6  # of the differences


# ---- JAXMg's functions -------------------------------------------------------------------------


@check(*DTYPES, collectives=True)
def jaxmg_potrs(dtype):
    n = order()
    mesh, a = mesh_of(), hermitian("random", n, dtype)
    half = np.where(np.tri(n, k=-1, dtype=bool), np.nan, a).astype(dtype)
    b = np.ones((n, 1), dtype)
    f = jax.jit(
        lambda a, b: jaxmg.potrs(
            a, b, 2, mesh, (ROWS,), return_status=True, return_logdet=True, pad=True
        )
    )
    x, logdet, status = f(put(half, mesh), put(b, mesh, P(None, None)))
    assert whole(status) == 0
    x_ctx, status = jax.jit(
        jax.shard_map(
            functools.partial(jaxmg.potrs_shardmap_ctx, T_A=2),
            mesh=mesh,
            in_specs=(ROWS, P(None, None)),
            out_specs=(P(None, None), P(None)),
            check_vma=False,
        )
    )(put(half, mesh), put(b, mesh, P(None, None)))
    assert whole(status) == 0
    bad = put(-np.eye(n, dtype=dtype), mesh)
    y, _, status = f(bad, put(b, mesh, P(None, None)))
    assert whole(status) == 7 and np.isnan(whole(y)).all()
    return max(of_solve(a, whole(x), b), of_solve(a, whole(x_ctx), b), of_logdet(a, whole(logdet)))


@check(*DTYPES, collectives=True)
def jaxmg_potri(dtype):
    n = order()
    mesh, a = mesh_of(), hermitian("random", n, dtype)
    half = np.where(np.tri(n, k=-1, dtype=bool), np.nan, a).astype(dtype)
    A = put(half, mesh)
    x, status = jaxmg.potri(A, 5, mesh, ROWS, return_status=True)
    assert A.is_deleted() and whole(status) == 0
    return of_inverse(a, whole(x))


@check(*DTYPES, collectives=True)
def jaxmg_syevd(dtype):
    n = order()
    mesh, a = mesh_of(), hermitian("indefinite", n, dtype)
    half = np.where(np.tri(n, k=-1, dtype=bool), np.nan, a).astype(dtype)
    w, v, status = jaxmg.syevd(put(half, mesh), 2, mesh, ROWS, return_status=True)
    assert whole(status) == 0
    return of_eigh(a, whole(w), whole(v))

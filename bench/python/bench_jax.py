# SPDX-License-Identifier: Apache-2.0
"""Times meshlinalg beside JAX's own functions, in one process, on the same matrices.

    python bench/python/bench_jax.py --routine solve,inv,eigh --dtype float64 --n 1024,4096
    python bench/python/bench_jax.py --cpu 4 --n 512,1024          on 4 CPU devices
    python bench/python/bench_jax.py --routine solve --in-place --n 65536 --impl meshlinalg
    python bench/python/bench_jax.py --engines native,cusolvermg,jax --n 8192    several engines

One JSON object a line: the median and the least of the repetitions in seconds (after one call to
compile and warm up), and beside each time the error of the last result, `backward_error`,

    solve      ||A x - b|| / (||A|| ||x||)
    inv        ||(A X - 1) p|| / (||A|| ||X|| ||p||)          p: four random vectors
    eigh       the greater of ||(V diag(w) V^H - A) p|| / (||A|| ||p||), ||(V V^H - 1) p|| / ||p||
    eigvalsh   | ||w|| / ||A|| - 1 | in Frobenius norms

(||A|| is the 2-norm, which is known) and `residual`, the same in units of sqrt(n) times the unit
roundoff: less than 30 is right.

The matrices are made on the devices, element by element from a hash of the two indices, so that
they can be made again, block by block, for the residual of a result that took A's place:
A = S / (2 sqrt(n)) + (1 + d) I with S Hermitian, independent entries of variance 1. Its
eigenvalues fill [d, 2 + d] (semicircle law), so the condition number is (2 + d) / d = --kappa.
For eigh d = -1: the indefinite S alone.
"""

import argparse
import functools
import json
import os
import statistics
import sys
import time


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )

    def names(text):
        return text.split(",")

    add = parser.add_argument
    add(
        "--routine",
        type=names,
        default=names("solve,inv,eigh"),
        help="solve lusolve inv luinv eigh eigvalsh",
    )
    add("--dtype", type=names, default=names("float64,float32"), help="also complex64 complex128")
    add("--n", type=lambda t: [int(v) for v in t.split(",")], default=[1024, 4096])
    add(
        "--impl",
        "--engines",
        dest="impl",
        type=names,
        default=names("meshlinalg,jax"),
        help="jax, meshlinalg (its own choice of engine), or engines of it: native cusolvermg",
    )
    add("--nrhs", type=int, default=1, help="right-hand sides of solve")
    add("--kappa", type=float, default=100.0, help="condition number of solve and inv")
    add("--repeat", type=int, default=5)
    add("--devices", type=int, help="number of devices; default: all")
    add("--cpu", type=int, metavar="P", help="P CPU devices instead of GPUs")
    add("--tile-size", type=int, help="default: chosen by the library")
    add("--in-place", action="store_true", help="meshlinalg.solve(overwrite_a=True)")
    return parser.parse_args()


ARGS = arguments()
if ARGS.cpu:
    os.environ["JAX_PLATFORMS"] = "cpu"
    os.environ["JAX_NUM_CPU_DEVICES"] = str(ARGS.cpu)

import jax  # noqa: E402

jax.config.update("jax_enable_x64", True)

import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

import meshlinalg as ml  # noqa: E402

DEVICES = jax.devices()[: ARGS.devices]
AUTO = (jax.sharding.AxisType.Auto,)
MESH = jax.make_mesh((len(DEVICES),), ("x",), axis_types=AUTO, devices=DEVICES)
BLOCK = 1024  # rows of A that are made at a time for a residual


# ---- matrices -------------------------------------------------------------------------------


def _hash(i, j, seed):
    """Uniform numbers of variance 1 from pairs of indices (a 32-bit mix after Wellons)."""
    h = i.astype(jnp.uint32) * np.uint32(0x9E3779B1) + np.uint32(seed)
    for constant in (0x21F0AAAD, 0x735A2D97):
        h = (h ^ (h >> 16)) * np.uint32(constant)
        h = h + j.astype(jnp.uint32) * np.uint32(0x85EBCA77)
    h = h ^ (h >> 15)
    h = h * np.uint32(0x2C1B3C6D)
    h = h ^ (h >> 16)
    return (h.astype(jnp.float32) * np.float32(2.0**-31) - 1.0) * np.float32(np.sqrt(3.0))


def rows_of_a(first, count, n, dtype, shift):
    """Rows first .. first + count - 1 of A."""
    i = first + jnp.arange(count)[:, None]
    j = jnp.arange(n)[None, :]
    low, high = jnp.minimum(i, j), jnp.maximum(i, j)
    s = _hash(low, high, 1).astype(dtype)
    if jnp.issubdtype(dtype, jnp.complexfloating):
        s = s + 1j * jnp.sign(j - i) * _hash(low, high, 2).astype(dtype)
        s = s / np.sqrt(2.0)
    s = s / np.asarray(2.0 * np.sqrt(n), s.dtype)
    return (s + jnp.where(i == j, shift, 0.0)).astype(dtype)


def rows(n):
    """Rows over the mesh where they divide evenly; else on all devices."""
    return jax.NamedSharding(MESH, jax.P("x", None) if n % MESH.size == 0 else jax.P())


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def make_a(n, dtype, shift):
    a = rows_of_a(0, n, n, dtype, shift)
    return jax.lax.with_sharding_constraint(a, rows(n))


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def make_b(n, nrhs, dtype):
    b = _hash(jnp.arange(n)[:, None], jnp.arange(nrhs)[None, :], 3).astype(dtype)
    return jax.lax.with_sharding_constraint(b, rows(n))


@functools.partial(jax.jit, static_argnums=(0, 2))
def times_a(n, x, shift):
    """(A x, ||A||_F^2) with A made again, BLOCK rows at a time."""
    count = min(BLOCK, n)

    def block(first):
        part = rows_of_a(first, count, n, x.dtype, shift)
        return part @ x, (jnp.abs(part) ** 2).sum(axis=1)

    starts = jnp.minimum(jnp.arange(-(-n // count)) * count, n - count)
    y, norms = jax.lax.map(block, starts)
    # The last block overlaps its neighbour: every row is written from the block that owns it.
    row = jnp.arange(n)
    which, where = row // count, row - jnp.take(starts, row // count)
    return y[which, where], norms[which, where].sum()


# ---- residuals ------------------------------------------------------------------------------


def norm(x):
    return float(jnp.linalg.norm(x))


def gathered(x):
    return jax.device_put(x, jax.NamedSharding(MESH, jax.P()))


def errors(routine, n, dtype, shift, result, b):
    """(residual, backward error), as the head of this file has them."""
    eps = float(jnp.finfo(dtype).eps) / 2
    p = gathered(make_b(n, 4, dtype))
    with jax.default_matmul_precision("highest"):
        if routine in ("solve", "lusolve"):
            x = gathered(result)
            error = norm(times_a(n, x, shift)[0] - gathered(b)) / ((1 + shift) * norm(x))
        elif routine in ("inv", "luinv"):
            xp = gathered(jax.jit(jnp.matmul)(result, p))
            error = norm(times_a(n, xp, shift)[0] - p) * (shift - 1) / ((1 + shift) * norm(p))
        elif routine == "eigh":
            w, v = result
            back = jax.jit(lambda v, d, p: v @ (d[:, None] * (v.conj().T @ p)))
            error = norm(gathered(back(v, w, p)) - times_a(n, p, shift)[0]) / norm(p)
            error = max(error, norm(gathered(back(v, jnp.ones_like(w), p)) - p) / norm(p))
        else:
            size = float(times_a(n, p, shift)[1]) ** 0.5
            error = abs(float(np.linalg.norm(np.asarray(result, np.float64))) / size - 1.0)
    return error / (eps * n**0.5), error


# ---- routines -------------------------------------------------------------------------------


def ours(routine, engine):
    options = {"tile_size": ARGS.tile_size, "engine": engine}
    if routine == "solve":
        if ARGS.in_place:  # donated by the call itself
            return lambda a, b: ml.solve(a, b, assume_a="pos", overwrite_a=True, **options)
        return jax.jit(lambda a, b: ml.solve(a, b, assume_a="pos", **options))
    if routine == "lusolve":
        return jax.jit(lambda a, b: ml.solve(a, b, **options))
    if routine == "inv":
        return jax.jit(lambda a, b: ml.inv(a, assume_a="pos", **options))
    if routine == "luinv":
        return jax.jit(lambda a, b: ml.inv(a, **options))
    if routine == "eigh":
        return jax.jit(lambda a, b: ml.eigh(a, **options))
    return jax.jit(lambda a, b: ml.eigvalsh(a, **options))


def theirs(routine):
    from jax.scipy.linalg import cho_factor, cho_solve

    if routine == "solve":
        return jax.jit(lambda a, b: cho_solve(cho_factor(a, lower=True), b))
    if routine == "lusolve":
        return jax.jit(jnp.linalg.solve)
    if routine in ("inv", "luinv"):
        return jax.jit(lambda a, b: jnp.linalg.inv(a))
    if routine == "eigh":
        return jax.jit(lambda a, b: tuple(jnp.linalg.eigh(a)))
    return jax.jit(lambda a, b: jnp.linalg.eigvalsh(a))


def flops(routine, n, dtype):
    factor = {"solve": 1 / 3, "lusolve": 2 / 3, "inv": 1.0, "luinv": 2.0, "eigh": 14 / 3}
    one = factor.get(routine, 4 / 3) * n**3
    return one * (4 if jnp.issubdtype(dtype, jnp.complexfloating) else 1)


def measure(impl, routine, n, dtype):
    shift = 0.0 if routine.startswith("eig") else 1.0 + 2.0 / (ARGS.kappa - 1.0)
    engine = "auto" if impl == "meshlinalg" else impl
    function = theirs(routine) if impl == "jax" else ours(routine, engine)

    def operands():
        a, b = make_a(n, dtype, shift), make_b(n, ARGS.nrhs, dtype)
        if impl == "jax":  # its own functions work on one device
            a, b = jax.device_put((a, b), DEVICES[0])
        return jax.block_until_ready((a, b))

    a, b = operands()
    seconds, result = [], None
    for repeat in range(ARGS.repeat + 1):
        result = None
        if ARGS.in_place and repeat:
            a = None
            a, b = operands()
        start = time.perf_counter()
        result = jax.block_until_ready(function(a, b))
        if repeat:
            seconds.append(time.perf_counter() - start)
    a = None
    result = jax.device_put(result, jax.NamedSharding(MESH, jax.P())) if impl == "jax" else result
    residual, backward = errors(routine, n, dtype, shift, result, b)
    median = statistics.median(seconds)
    return {
        "seconds": median,
        "least": min(seconds),
        "residual": residual,
        "backward_error": backward,
        "gflops": flops(routine, n, dtype) / median * 1e-9,
        "kappa": None if routine.startswith("eig") else ARGS.kappa,
    }


def main():
    failed = 0
    for routine in ARGS.routine:
        for dtype in (jnp.dtype(name) for name in ARGS.dtype):
            for n in ARGS.n:
                for impl in ARGS.impl:
                    row = {
                        "routine": routine,
                        "impl": impl,
                        "n": n,
                        "dtype": dtype.name,
                        "devices": 1 if impl == "jax" else MESH.size,
                        "device": DEVICES[0].device_kind,
                        "jax": jax.__version__,
                    }
                    try:
                        row |= measure(impl, routine, n, dtype)
                        failed += not row["residual"] < 30
                    except Exception as error:  # out of memory, say: the others are still timed
                        row["error"] = f"{type(error).__name__}: {error}"[:300]
                        failed += impl != "jax"
                    print(json.dumps(row), flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: Apache-2.0
"""Times QR, least squares, singular values and polar beside JAX's own, on the same matrices.

    python bench/python/bench_rows.py --routine qr,lstsq --shape 65536x1024,32768x4096
    python bench/python/bench_rows.py --cpu 4 --shape 1024x1024,4096x256

One JSON object a line, as bench_jax.py: the median and the least of the repetitions in seconds, and
`residual` in units of max(m, n) times the unit roundoff (less than 30 is right), the greater of

    qr, polar       |A - Q R| / |A|, |Q^H Q - I|            (Frobenius norms)
    svd             |A - U S Vh| / |A|, |U^H U - I|
    svdvals         | |S| / |A| - 1 |
    lstsq, gels     |A^H (b - A x)| / (|A| |b|)             gels: lstsq(full_rank=True)

Matrices are random, of independent normal elements. JAX's run on one device.
"""

import argparse
import json
import os
import statistics
import time

ROUTINES = ("qr", "gels", "lstsq", "svd", "svdvals", "polar")


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )

    def names(text):
        return text.split(",")

    def shapes(text):
        return [tuple(map(int, part.split("x"))) for part in text.split(",")]

    parser.add_argument("--routine", type=names, default=list(ROUTINES))
    parser.add_argument("--dtype", type=names, default=["float64"])
    parser.add_argument("--shape", type=shapes, default=[(1024, 1024), (16384, 256)])
    parser.add_argument("--impl", type=names, default=["meshlinalg", "jax"])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--cpu", type=int, metavar="P", help="P CPU devices instead of GPUs")
    return parser.parse_args()


ARGS = arguments()
if ARGS.cpu:
    os.environ["JAX_PLATFORMS"] = "cpu"
    os.environ["JAX_NUM_CPU_DEVICES"] = str(ARGS.cpu)

import jax  # noqa: E402

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_default_matmul_precision", "highest")

import jax.numpy as jnp  # noqa: E402
import jax.scipy.linalg as jsl  # noqa: E402

import meshlinalg as ml  # noqa: E402

MESH = jax.make_mesh((jax.device_count(),), ("x",), axis_types=(jax.sharding.AxisType.Auto,))
OURS = {
    "qr": lambda a, b: tuple(ml.qr(a)),
    "gels": lambda a, b: ml.lstsq(a, b, full_rank=True).x,
    "lstsq": lambda a, b: ml.lstsq(a, b).x,
    "svd": lambda a, b: tuple(ml.svd(a)),
    "svdvals": lambda a, b: ml.svdvals(a),
    "polar": lambda a, b: tuple(ml.polar(a)),
}
THEIRS = {
    "qr": lambda a, b: tuple(jnp.linalg.qr(a)),
    "gels": lambda a, b: jnp.linalg.lstsq(a, b)[0],
    "lstsq": lambda a, b: jnp.linalg.lstsq(a, b)[0],
    "svd": lambda a, b: tuple(jnp.linalg.svd(a, full_matrices=False)),
    "svdvals": lambda a, b: jnp.linalg.svd(a, compute_uv=False),
    "polar": lambda a, b: tuple(jsl.polar(a)),
}


@jax.jit
def _error(a, b, result):
    norm = jnp.linalg.norm
    if not isinstance(result, tuple):
        if result.ndim == 1:
            return jnp.abs(norm(result) / norm(a) - 1)
        return norm(a.conj().T @ (b - a @ result)) / (norm(a) * norm(b))
    left, right = result[0], result[-1]
    product = (left * result[1] if len(result) == 3 else left) @ right
    gram = left.conj().T @ left
    return jnp.maximum(norm(a - product) / norm(a), norm(gram - jnp.eye(gram.shape[0])))


def measure(impl, routine, shape, dtype):
    m, n = shape
    sharding = jax.NamedSharding(MESH, jax.P("x", None) if m % MESH.size == 0 else jax.P())
    key = jax.random.key(0)
    a = jax.device_put(jax.random.normal(key, shape, dtype), sharding)
    b = jax.random.normal(jax.random.key(1), (m, 1), dtype)
    where = jax.devices()[0] if impl == "jax" else jax.NamedSharding(MESH, jax.P())
    a, b = (jax.device_put(a, where) if impl == "jax" else a), jax.device_put(b, where)
    f = jax.jit((THEIRS if impl == "jax" else OURS)[routine])
    seconds = []
    for repeat in range(ARGS.repeat + 1):
        start = time.perf_counter()
        result = jax.block_until_ready(f(a, b))
        if repeat:
            seconds.append(time.perf_counter() - start)
    unit = max(m, n) * float(jnp.finfo(dtype).eps) / 2
    return {
        "seconds": statistics.median(seconds),
        "least": min(seconds),
        "residual": float(_error(a, b, result)) / unit,
    }


def main():
    failed = 0
    for routine in ARGS.routine:
        for dtype in map(jnp.dtype, ARGS.dtype):
            for m, n in ARGS.shape:
                for impl in ARGS.impl:
                    row = {
                        "routine": routine,
                        "impl": impl,
                        "m": m,
                        "n": n,
                        "dtype": dtype.name,
                        "devices": 1 if impl == "jax" else MESH.size,
                        "device": jax.devices()[0].device_kind,
                        "jax": jax.__version__,
                    }
                    try:
                        row |= measure(impl, routine, (m, n), dtype)
                        failed += impl != "jax" and not row["residual"] < 30
                    except Exception as error:  # out of memory, say: the others are still timed
                        row["error"] = f"{type(error).__name__}: {error}"[:300]
                        failed += impl != "jax"
                    print(json.dumps(row), flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    raise SystemExit(main())

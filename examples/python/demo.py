# SPDX-License-Identifier: Apache-2.0
"""The main job: real problems, solved, inverted and diagonalised on a sharded matrix.

    make demo                                     or
    python examples/python/demo.py [--out DIR] [--n N] [--quick]

On GPUs if JAX sees any, else on 8 CPU devices. Each row shows n, dtype, time, the scaled residual
(LAPACK's testers call less than 30 right), the bytes of the matrix on each device, and the same
computation by SciPy or scikit-learn on the whole matrix (scikit-learn's kernel PCA: 16 pairs).
Plots go to DIR as PNG.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import time


def gpu_is_visible():
    """Whether a GPU backend of JAX starts, asked in a process of its own."""
    code = "import jax, sys; sys.exit(0 if jax.default_backend() == 'gpu' else 1)"
    return subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


if not gpu_is_visible():
    os.environ["JAX_PLATFORMS"] = "cpu"
    os.environ["JAX_NUM_CPU_DEVICES"] = os.environ.get("JAX_NUM_CPU_DEVICES", "8")

import jax  # noqa: E402

jax.config.update("jax_enable_x64", True)

import matplotlib  # noqa: E402

matplotlib.use("Agg")

import jax.numpy as jnp  # noqa: E402
import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
import scipy.linalg  # noqa: E402
import sklearn.datasets  # noqa: E402
import sklearn.decomposition  # noqa: E402
import sklearn.gaussian_process as gp  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.progress import (  # noqa: E402
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table  # noqa: E402

import meshlinalg as ml  # noqa: E402

MESH = jax.make_mesh((jax.device_count(),), ("x",))


def best_time(function, repeats=2):
    """(result, seconds): the fastest of `repeats` calls after one to warm up."""
    jax.block_until_ready(function())
    best, result = np.inf, None
    for _ in range(repeats):
        start = time.perf_counter()
        result = jax.block_until_ready(function())
        best = min(best, time.perf_counter() - start)
    return result, best


def timed(function):
    """(result, seconds) of one call of a NumPy function."""
    start = time.perf_counter()
    return function(), time.perf_counter() - start


def sharded(a):
    """`a` with its rows over the mesh when they divide evenly, else as it is (replicated on the
    mesh): the library then takes care of the ragged end."""
    even = a.shape[0] % MESH.size == 0
    spec = jax.P("x", None) if even else jax.P()
    return jax.device_put(jnp.asarray(a), jax.NamedSharding(MESH, spec))


def bytes_per_device(a):
    """Bytes of the rows that each device works on."""
    rows = -(-a.shape[0] // MESH.size)
    return rows * a.shape[1] * a.dtype.itemsize


def epsilon(a):
    return np.finfo(a.dtype).eps / 2


def norm1(a):
    return np.abs(a).sum(axis=0).max() if a.ndim == 2 else np.abs(a).sum()


def solve_residual(a, x, b):
    return norm1(a @ x - b) / (norm1(a) * norm1(x) * len(a) * epsilon(a))


def eigen_residual(a, w, v):
    eps = epsilon(a)
    first = norm1(a @ v - v * w) / (norm1(a) * len(a) * eps)
    return max(first, norm1(v.conj().T @ v - np.eye(len(a))) / (len(a) * eps))


class Report:
    """Rows of the result table."""

    COLUMNS = (
        "problem",
        "n",
        "dtype",
        "seconds",
        "residual",
        "A/device",
        "beside it, seconds",
        "result",
    )

    def __init__(self):
        self.rows = []

    def add(self, name, a, seconds, residual, peer, peer_seconds, note):
        self.rows.append(
            (
                name,
                f"{len(a)}",
                str(a.dtype),
                f"{seconds:.3f}",
                f"{residual:.1g}",
                f"{bytes_per_device(a) / 2**20:.1f} MiB",
                f"{peer} {peer_seconds:.3f}",
                note,
            )
        )
        if not residual < 30:
            raise SystemExit(f"{name}: scaled residual {residual:.3g}, expected less than 30")

    def table(self):
        devices = f"{MESH.size} {jax.devices()[0].device_kind} devices"
        table = Table(title=f"meshlinalg {ml.__version__}, JAX {jax.__version__}, {devices}")
        for name in self.COLUMNS:
            left = name in ("problem", "result")
            table.add_column(name, justify="left" if left else "right", overflow="fold")
        for row in self.rows:
            table.add_row(*row)
        return table


# ---- the problems ---------------------------------------------------------------------------


def rbf(x, y, scale):
    d2 = (x**2).sum(1)[:, None] + (y**2).sum(1)[None, :] - 2 * x @ y.T
    return np.exp(-0.5 * np.maximum(d2, 0) / scale**2)


def regression(report, out, args):
    """Gaussian-process regression on the diabetes data: posterior mean and marginal likelihood."""
    x, y = sklearn.datasets.load_diabetes(return_X_y=True)
    x, y = x / x.std(0), (y - y.mean()) / y.std()
    noise, scale = 0.5, 4.0
    a = rbf(x, x, scale) + noise * np.eye(len(x))
    k = sharded(a)

    @jax.jit
    def posterior(k, y):
        factor = ml.cho_factor(k)
        return factor.solve(y), factor.logdet()

    (alpha, logdet), seconds = best_time(lambda: posterior(k, jnp.asarray(y)))
    alpha = np.asarray(alpha)
    likelihood = -0.5 * (y @ alpha + float(logdet) + len(y) * np.log(2 * np.pi))
    kernel = gp.kernels.RBF(scale, "fixed") + gp.kernels.WhiteKernel(noise, "fixed")
    peer = gp.GaussianProcessRegressor(kernel, optimizer=None)
    _, peer_seconds = timed(lambda: peer.fit(x, y))
    theirs = peer.log_marginal_likelihood_value_
    report.add(
        "GP regression, diabetes",
        a,
        seconds,
        solve_residual(a, alpha, y),
        "scikit-learn",
        peer_seconds,
        f"log likelihood {likelihood:.4f} / {theirs:.4f}",
    )
    mean = (a - noise * np.eye(len(x))) @ alpha
    fig, axis = plt.subplots(figsize=(5, 4))
    axis.scatter(y, mean, s=6)
    axis.set_xlabel("measured")
    axis.set_ylabel("posterior mean")
    axis.set_title("Gaussian-process regression")
    fig.tight_layout()
    fig.savefig(out / "gp_regression.png", dpi=120)
    plt.close(fig)


def classification(report, out, args):
    """Gaussian-process (least squares) classification of the digits, n = 1797 by leave-one-out:
    the inverse gives every left-out prediction at once."""
    data = sklearn.datasets.load_digits()
    x, labels = data.data / 16.0, data.target
    a = rbf(x, x, 1.6) + 1e-2 * np.eye(len(x))
    k = sharded(a)
    inverse, seconds = best_time(lambda: ml.inv(k, assume_a="pos"))
    inverse = np.asarray(inverse)
    theirs, peer_seconds = timed(lambda: scipy.linalg.inv(a))
    y = 2.0 * np.eye(10)[labels] - 1.0
    left_out = y - (inverse @ y) / np.diag(inverse)[:, None]
    accuracy = (left_out.argmax(1) == labels).mean()
    residual = norm1(a @ inverse - np.eye(len(a))) / (
        norm1(a) * norm1(inverse) * len(a) * epsilon(a)
    )
    difference = np.abs(inverse - theirs).max() / np.abs(theirs).max()
    report.add(
        "GP classification, digits",
        a,
        seconds,
        residual,
        "scipy inv",
        peer_seconds,
        f"accuracy {accuracy:.4f}, inverse differs {difference:.0e}",
    )


def kernel_pca(report, out, args):
    """Kernel PCA of the digits: all eigenpairs of the centred kernel matrix."""
    data = sklearn.datasets.load_digits()
    x = data.data / 16.0
    gamma = 0.05
    k = rbf(x, x, np.sqrt(0.5 / gamma))
    centre = np.eye(len(k)) - 1.0 / len(k)
    a = centre @ k @ centre
    a = (a + a.T) / 2
    s = sharded(a)
    (w, v), seconds = best_time(lambda: ml.eigh(s), repeats=1)
    w, v = np.asarray(w), np.asarray(v)
    pca = sklearn.decomposition.KernelPCA(16, kernel="rbf", gamma=gamma, eigen_solver="dense")
    _, peer_seconds = timed(lambda: pca.fit(x))
    difference = np.abs(w[::-1][:16] - pca.eigenvalues_).max() / w[-1]
    report.add(
        "kernel PCA, digits",
        a,
        seconds,
        eigen_residual(a, w, v),
        "scikit-learn",
        peer_seconds,
        f"first 16 eigenvalues differ {difference:.0e}",
    )
    fig, axis = plt.subplots(figsize=(5, 4))
    xy = v[:, ::-1][:, :2] * np.sqrt(w[::-1][:2])
    axis.scatter(*xy.T, c=data.target, s=5, cmap="tab10")
    axis.set_title("digits, first two kernel principal components")
    fig.tight_layout()
    fig.savefig(out / "kernel_pca.png", dpi=120)
    plt.close(fig)


def tight_binding(report, out, args):
    """Electrons on a square lattice in a magnetic field (Hofstadter): complex Hermitian."""
    side = 16 if args.quick else 36
    flux = 1.0 / 6.0
    n = side * side
    a = np.zeros((n, n), complex)
    for i in range(side):
        for j in range(side):
            here = i * side + j
            if i + 1 < side:
                a[here, here + side] = -np.exp(2j * np.pi * flux * j)
            if j + 1 < side:
                a[here, here + 1] = -1.0
    a += a.conj().T
    s = sharded(a)
    (w, v), seconds = best_time(lambda: ml.eigh(s), repeats=1)
    w, v = np.asarray(w), np.asarray(v)
    theirs, peer_seconds = timed(lambda: scipy.linalg.eigh(a, driver="evd")[0])
    report.add(
        f"tight binding, {side} x {side}",
        a,
        seconds,
        eigen_residual(a, w, v),
        "scipy eigh",
        peer_seconds,
        f"levels differ {np.abs(w - theirs).max():.0e}",
    )
    fig, axis = plt.subplots(figsize=(5, 4))
    axis.hist(w, bins=120)
    axis.set_xlabel("energy")
    axis.set_ylabel("states")
    axis.set_title(f"Hofstadter spectrum, flux {flux:.3f}")
    fig.tight_layout()
    fig.savefig(out / "tight_binding.png", dpi=120)
    plt.close(fig)


def random_spd(report, out, args):
    """A dense random SPD system with eight right-hand sides."""
    n = args.n
    rng = np.random.default_rng(0)
    g = rng.standard_normal((n, n))
    a = g @ g.T / n + 0.1 * np.eye(n)
    b = rng.standard_normal((n, 8))
    s, rhs = sharded(a), jnp.asarray(b)
    x, seconds = best_time(lambda: ml.solve(s, rhs, assume_a="pos"))
    x = np.asarray(x)
    _, peer_seconds = timed(lambda: scipy.linalg.solve(a, b, assume_a="pos"))
    report.add(
        "random SPD solve, 8 rhs",
        a,
        seconds,
        solve_residual(a, x, b),
        "scipy solve",
        peer_seconds,
        f"{n**3 / 3 / seconds * 1e-9:.0f} Gflop/s",
    )


def random_eigen(report, out, args):
    """All eigenpairs of a dense random symmetric matrix; its spectrum is Wigner's semicircle."""
    n = args.n
    g = np.random.default_rng(1).standard_normal((n, n))
    a = (g + g.T) / 2
    s = sharded(a)
    (w, v), seconds = best_time(lambda: ml.eigh(s), repeats=1)
    w, v = np.asarray(w), np.asarray(v)
    theirs, peer_seconds = timed(lambda: scipy.linalg.eigh(a, driver="evd")[0])
    report.add(
        "random symmetric, all pairs",
        a,
        seconds,
        eigen_residual(a, w, v),
        "scipy eigh",
        peer_seconds,
        f"levels differ {np.abs(w - theirs).max() / np.abs(w).max():.0e}",
    )
    fig, axis = plt.subplots(figsize=(5, 4))
    radius = np.sqrt(2 * n)
    e = np.linspace(-radius, radius, 400)
    axis.hist(w, bins=100, density=True)
    axis.plot(e, 2 / (np.pi * radius**2) * np.sqrt(radius**2 - e**2), "k")
    axis.set_title(f"semicircle law, n = {n}")
    fig.tight_layout()
    fig.savefig(out / "semicircle.png", dpi=120)
    plt.close(fig)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default="build/demo", type=pathlib.Path, help="folder for PNGs")
    parser.add_argument("--n", default=4096, type=int, help="order of the random problems")
    parser.add_argument("--quick", action="store_true", help="small sizes, for tests")
    args = parser.parse_args()
    if args.quick:
        args.n = 512
    args.out.mkdir(parents=True, exist_ok=True)
    report, console = Report(), Console()
    problems = [
        regression,
        classification,
        kernel_pca,
        tight_binding,
        random_spd,
        random_eigen,
    ]
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=len(problems))
        for problem in problems:
            progress.update(task, description=problem.__doc__.split(".")[0].split(":")[0])
            problem(report, args.out, args)
            progress.advance(task)
    Console(width=max(150, console.width)).print(report.table())
    console.print("plots: " + ", ".join(sorted(str(p) for p in args.out.glob("*.png"))))


if __name__ == "__main__":
    main()

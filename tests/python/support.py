# SPDX-License-Identifier: Apache-2.0
"""What the tests share: matrices of given kind, layouts on meshes, scaled residuals.

Residuals are those of LAPACK's testers, computed by NumPy in twice or the same precision; less
than LIMIT is right. A NaN is not less than anything.
"""

import dataclasses
import math
import os
import pathlib
import subprocess
import sys

import jax
import numpy as np
import pytest
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

DTYPES = ("float32", "float64", "complex64", "complex128")
LIMIT = 30.0
TYPES = {"explicit": AxisType.Explicit, "auto": AxisType.Auto}

# ---- layouts -----------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Layout:
    """A mesh of the first devices (in another order if `order` says so), and a matrix's spec."""

    name: str
    shape: tuple[int, ...]
    spec: P
    order: tuple[int, ...] | None = None

    def __str__(self):
        return self.name

    @property
    def axes(self) -> tuple[str, ...]:
        return ("x", "y")[: len(self.shape)]

    def mesh(self, types="explicit") -> Mesh:
        count = math.prod(self.shape)
        devices = jax.devices()
        if len(devices) < count:
            pytest.skip(f"{count} devices")
        order = self.order or range(count)
        grid = np.array([devices[i] for i in order]).reshape(self.shape)
        return Mesh(grid, self.axes, axis_types=(TYPES[types],) * len(self.shape))

    def put(self, a, types="explicit", spec=None):
        spec = self.spec if spec is None else spec
        return jax.device_put(a, NamedSharding(self.mesh(types), spec))


ROWS8 = Layout("rows8", (8,), P("x", None))
ROWS4 = Layout("rows4", (4,), P("x", None))
ROWS3 = Layout("rows3", (3,), P("x", None))
ROWS2 = Layout("rows2", (2,), P("x", None))
COLUMNS4 = Layout("columns4", (4,), P(None, "x"))
LAYOUTS = (
    ROWS8,
    ROWS3,
    Layout("rows1", (1,), P("x", None)),
    Layout("permuted", (8,), P("x", None), (5, 2, 7, 0, 1, 6, 3, 4)),
    Layout("submesh", (4,), P("x", None), (6, 1, 4, 3)),
    COLUMNS4,
    Layout("grid", (4, 2), P("x", "y")),
    Layout("grid_turned", (2, 4), P("y", "x")),
    Layout("both_axes", (2, 4), P(("x", "y"), None)),
    Layout("both_axes_swapped", (2, 4), P(("y", "x"), None)),
    Layout("first_axis", (2, 4), P("x", None)),
    Layout("second_axis_columns", (4, 2), P(None, "y")),
    Layout("replicated", (4,), P(None, None)),
    Layout("replicated_2d", (2, 2), P()),
)


def spec_of(x) -> tuple:
    """The spec of a concrete array, one entry a dimension."""
    spec = tuple(x.sharding.spec)
    return spec + (None,) * (x.ndim - len(spec))


def same_layout(x, layout: Layout, types="explicit", spec=None) -> bool:
    """Whether x lies as the layout says."""
    want = NamedSharding(layout.mesh(types), layout.spec if spec is None else spec)
    return x.sharding.is_equivalent_to(want, x.ndim)


# ---- matrices ----------------------------------------------------------------------------------


def normal(shape, dtype="float64", seed=0):
    """Standard normal numbers, complex where the type is."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    if np.dtype(dtype).kind == "c":
        x = x + 1j * rng.standard_normal(shape)
    return x.astype(dtype)


def with_spectrum(values, dtype="float64", seed=0):
    """A Hermitian matrix with these eigenvalues and random eigenvectors."""
    n = len(values)
    wide = "complex128" if np.dtype(dtype).kind == "c" else "float64"
    q, _ = np.linalg.qr(normal((n, n), wide, seed))
    a = (q * values) @ q.conj().T
    return ((a + a.conj().T) / 2).astype(dtype)


def spd(n, dtype="float64", kind="random", seed=0):
    """A Hermitian positive definite matrix."""
    if kind == "random":
        g = normal((n, n), dtype, seed)
        return (g @ g.conj().T / max(n, 1) + np.eye(n)).astype(dtype)
    if kind == "clustered":  # two clusters
        rng = np.random.default_rng(seed)
        values = np.where(np.arange(n) % 2, 1.0, 1e-2) * (1 + 1e-6 * rng.random(n))
        return with_spectrum(values, dtype, seed)
    cond = float(kind.removeprefix("cond"))
    return with_spectrum(np.logspace(0, -np.log10(cond), n), dtype, seed)


def kinds(dtype) -> tuple[str, ...]:
    """Kinds of matrices that are positive definite in this type."""
    single = np.finfo(dtype).bits == 32
    return (
        "random",
        "clustered",
        "cond1e4" if single else "cond1e6",
        *(() if single else ("cond1e12",)),
    )


def indefinite(n, dtype, at):
    """Positive definite leading minors up to order `at`, but not the next; and LAPACK's info for
    an elimination in natural order."""
    a = spd(n, dtype)
    a[at, at] = -1.0
    return a


# ---- scaled residuals --------------------------------------------------------------------------


def _wide(*arrays):
    kind = "complex128" if any(np.iscomplexobj(x) for x in arrays) else "float64"
    return [np.asarray(x).astype(kind) for x in arrays]


def _eps(x) -> float:
    return float(np.finfo(np.asarray(x).dtype).eps)


def _norm(a) -> float:
    return float(np.linalg.norm(a, 1)) if a.size else 0.0


def solve_residual(a, x, b) -> float:
    """|b - A x| / (|A| |x| eps), the worst column (LAPACK's dpot02)."""
    eps = max(_eps(a), _eps(x))
    a, x, b = _wide(a, x, b)
    if b.ndim == 1:
        x, b = x[:, None], b[:, None]
    if a.size == 0:
        return 0.0
    r = np.abs(b - a @ x).sum(axis=0) / (_norm(a) * np.abs(x).sum(axis=0) * eps)
    return float(r.max(initial=0.0))


def inverse_residual(a, inverse) -> float:
    """|I - A A^-1| / (n |A| |A^-1| eps) (dpot03)."""
    eps = _eps(inverse)
    a, inverse = _wide(a, inverse)
    n = max(len(a), 1)
    return _norm(np.eye(len(a)) - a @ inverse) / (n * _norm(a) * _norm(inverse) * eps)


def cholesky_residual(a, lower) -> float:
    """|A - L L^H| / (n |A| eps) (dpot01)."""
    eps = _eps(lower)
    a, lower = _wide(a, lower)
    return _norm(a - lower @ lower.conj().T) / (max(len(a), 1) * _norm(a) * eps)


def eigen_residual(a, w, v) -> float:
    """|A V - V diag(w)| / (n |A| eps), or |I - V^H V| / (n eps) if that is larger (dsyt21)."""
    eps = _eps(v)
    a, v = _wide(a, v)
    n = max(len(a), 1)
    pairs = _norm(a @ v - v * np.asarray(w, "float64")) / (n * _norm(a) * eps)
    return max(pairs, _norm(np.eye(len(a)) - v.conj().T @ v) / (n * eps))


def logdet_error(a, logdet) -> float:
    """Error of log det A over what rounding the factor may do: n eps cond(A)."""
    eps = _eps(logdet)
    (a,) = _wide(a)
    values = np.linalg.eigvalsh(a)
    size = len(a) * values[-1] / values[0] + abs(np.log(values).sum())
    return abs(float(logdet) - np.linalg.slogdet(a)[1]) / (size * eps)


# ---- processes ---------------------------------------------------------------------------------


def python(code: str, *arguments: str, timeout=120, **environment) -> str:
    """Output of `code` in a process of its own, which must succeed."""
    env = {**os.environ, **environment}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={k: v for k, v in env.items() if v is not None},
        cwd=pathlib.Path(__file__).parent,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout

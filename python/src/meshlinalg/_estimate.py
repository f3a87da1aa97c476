# SPDX-License-Identifier: Apache-2.0
"""How long a routine will take: operations, bytes and steps over rates that are stated.

    solve, inv, ...   max(operations / (P rate), bytes received / link) + tiles * step
    eigh              reading the matrix once a column / memory rate, products at `rate`,
                      a meeting of the ranks a column

The rates are those measured on one machine of each kind (docs/benchmarks.md) or, where it says
so, guesses. An estimate is good to a factor of two or so.
"""

from __future__ import annotations

import dataclasses

REAL = {"float32": "float32", "complex64": "float32", "float64": "float64", "complex128": "float64"}
SIZE = {"float32": 4, "float64": 8, "complex64": 8, "complex128": 16}


@dataclasses.dataclass(frozen=True)
class Machine:
    """Rates of one device (SI units) and of the links between devices."""

    name: str
    flops: dict[str, float]  # real operations a second in large products, by real type
    half: float  # rows of a rank at which a whole routine runs at half of that
    memory: float  # bytes a second that a matrix-vector product reads
    link: float  # bytes a second that a device receives from the others of its machine
    network: float  # the same from other machines
    step: float  # seconds a tile column beyond its products: factor, solve, broadcast, launches
    column: float  # seconds a column of the reduction beyond reading: P = 1
    meeting: float  # more, where ranks meet once a column
    source: str
    capacity: float = 0.0  # bytes of memory of a device; 0: not known


H200 = Machine(
    "NVIDIA H200",
    {"float64": 50e12, "float32": 50e12},
    3500,
    2.5e12,
    350e9,
    45e9,
    0.5e-3,
    17e-6,
    60e-6,
    "one H200, measured; its link to a second one, measured; network and meetings of GPUs: guesses",
    141e9,
)
H100 = dataclasses.replace(
    H200,
    name="NVIDIA H100",
    memory=1.7e12,
    source="those of an H200 with the memory rate of an H100: a guess",
    capacity=80e9,
)
OTHER = dataclasses.replace(
    H100, name="GPU", source="those of an H100: this GPU is not in the table", capacity=0.0
)
CPU = Machine(
    "cpu",
    {"float64": 25e9, "float32": 50e9},
    200,
    8e9,
    5e9,
    1e9,
    50e-6,
    5e-6,
    10e-6,
    "one core with AVX-512 and OpenBLAS, measured; memory and link: guesses",
)


def machine_of(kind: str) -> Machine:
    """From a device kind as JAX or the driver names it."""
    if kind.lower() in ("cpu", "host"):
        return CPU
    for machine, words in ((H200, ("H200",)), (H100, ("H100", "GH200"))):
        if any(word in kind.upper() for word in words):
            return machine
    return dataclasses.replace(OTHER, name=kind)


@dataclasses.dataclass(frozen=True)
class Cost:
    """What a routine does, in units of n."""

    cubes: float  # operations / n^3, real types
    squares: float  # words received by each rank / n^2
    sweeps: int = 1  # passes over the tile columns
    reading: float = 0.0  # words of the matrix read by products with vectors / n^3


COSTS = {
    "solve": Cost(1 / 3, 0.5, 2),
    "slogdet": Cost(1 / 3, 0.5),
    "cho_factor": Cost(1 / 3, 0.5),
    "cholesky": Cost(1 / 3, 0.5),
    "inv": Cost(1.0, 2.0, 3),
    "eigh": Cost(4.0, 3.0, 0, 1 / 6),
    "eigvalsh": Cost(2 / 3, 1.0, 0, 1 / 6),
}


@dataclasses.dataclass(frozen=True)
class Estimate:
    seconds: float
    compute: float
    transfer: float
    latency: float


def estimate(routine, n, dtype, ranks, hosts, nb, nrhs, machine: Machine) -> Estimate:
    """Seconds, and what they are made of."""
    cost, size = COSTS[routine], SIZE[dtype]
    factor = 4 if dtype.startswith("complex") else 1
    operations = factor * (cost.cubes * n**3 + (2.0 * n * n * nrhs if routine == "solve" else 0.0))
    rows = n / ranks
    rate = machine.flops[REAL[dtype]] * ranks
    if nb >= n:  # one tile: the whole routine is one call of cuSOLVER or LAPACK
        rate *= n / (n + 2 * machine.half)
    compute = operations / rate
    compute += cost.reading * n**3 * size / (machine.memory * ranks)
    link = machine.link if hosts == 1 else machine.network
    transfer = cost.squares * n * n * size / link if ranks > 1 else 0.0
    tiles = -(-n // max(nb, 1)) if nb < n else 1
    latency = cost.sweeps * tiles * machine.step * min(1.0, rows / machine.half + 0.25)
    if cost.reading:
        latency += n * (machine.column + (machine.meeting if ranks > 1 else 0.0))
    return Estimate(max(compute, transfer) + latency, compute, transfer, latency)

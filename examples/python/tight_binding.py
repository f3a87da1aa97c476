# SPDX-License-Identifier: Apache-2.0
"""Spectrum of a tight-binding model and the forces on its atoms, H sharded over all devices.

    python examples/python/tight_binding.py [--n N]

N atoms on a disturbed square lattice, one orbital each, hopping exp(-(r - 1) / decay). Energy: the
lower half of the levels, filled twice, and a repulsion of pairs. Forces are minus its gradient with
respect to the positions: one eigenproblem, forward and backward. They are checked against
differences of energies, and add up to nothing.
"""

import argparse
import math

import jax

jax.config.update("jax_num_cpu_devices", 8)  # where there is no GPU
jax.config.update("jax_enable_x64", True)

import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

import meshlinalg as ml  # noqa: E402

DECAY, CUTOFF = 0.45, 2.5


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=900, help="atoms")
    n = parser.parse_args().n
    mesh = jax.make_mesh((jax.device_count(),), ("x",), axis_types=(jax.sharding.AxisType.Auto,))

    def pairs(positions):
        """Distances, smooth also on the diagonal; and which pairs count."""
        difference = positions[:, None, :] - positions[None, :, :]
        other = ~jnp.eye(n, dtype=bool)
        r = jnp.sqrt(jnp.where(other, jnp.sum(difference**2, axis=-1), 1.0))
        smooth = jnp.where(other & (r < CUTOFF), (1 - (r / CUTOFF) ** 2) ** 3, 0.0)
        return r, smooth

    def levels(positions):
        r, smooth = pairs(positions)
        return ml.eigvalsh(-jnp.exp(-(r - 1) / DECAY) * smooth, mesh=mesh)

    def energy(positions):
        r, smooth = pairs(positions)
        return 2 * jnp.sum(levels(positions)[: n // 2]) + jnp.sum(jnp.exp(-4 * (r - 1)) * smooth)

    side = math.isqrt(n - 1) + 1
    lattice = np.array([(i % side, i // side) for i in range(n)], float)
    rng = np.random.default_rng(0)
    positions = lattice + 0.05 * rng.standard_normal((n, 2))

    w = np.asarray(jax.jit(levels)(positions))
    total, gradient = jax.jit(jax.value_and_grad(energy))(positions)
    forces = -np.asarray(gradient)
    print(f"{n} atoms, levels from {w[0]:.4f} to {w[-1]:.4f}, gap {w[n // 2] - w[n // 2 - 1]:.4f}")
    print(f"energy {total:.6f}, largest force {np.abs(forces).max():.4f}")

    direction = rng.standard_normal((n, 2))
    direction /= np.linalg.norm(direction)
    h, only = 1e-4, jax.jit(energy)
    difference = -(only(positions + h * direction) - only(positions - h * direction)) / (2 * h)
    error = abs(np.sum(forces * direction) - difference) / np.linalg.norm(forces)
    net = np.abs(forces.sum(axis=0)).max() / np.abs(forces).sum()
    trace = abs(w.sum()) / np.abs(w).sum()  # of H, whose diagonal is zero
    print(f"error of the forces {error:.1e}, sum of the forces {net:.1e}, trace {trace:.1e}")
    assert error < 1e-6
    assert net < 1e-12
    assert trace < 1e-12


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
"""Natural gradient: steps (S + eps I)^-1 F, with S sharded over all devices.

    python examples/python/natural_gradient.py [--n N]

A small network with about N parameters learns a function. S = J^T J / samples is the metric of its
outputs (J their derivatives), as in natural-gradient descent, stochastic reconfiguration and MinSR.
Each step solves one system in the parameters; eps falls with the loss. Twenty steps go further than
two thousand of plain gradient descent.
"""

import argparse

import jax

jax.config.update("jax_num_cpu_devices", 8)  # where there is no GPU
jax.config.update("jax_enable_x64", True)

import jax.flatten_util  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

import meshlinalg as ml  # noqa: E402

STEPS = 20


def network(theta, x):
    hidden = jnp.tanh(theta["in"] @ x + theta["bias"])
    return theta["out"] @ hidden


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=512, help="parameters, about")
    width = max(parser.parse_args().n // 4, 4)
    devices = jax.device_count()
    mesh = jax.make_mesh((devices,), ("x",), axis_types=(jax.sharding.AxisType.Auto,))
    rows = jax.NamedSharding(mesh, jax.P("x", None))

    rng = np.random.default_rng(0)
    samples = 2 * width * devices
    x = rng.uniform(-2, 2, (samples, 2))
    y = np.sin(2 * x[:, 0]) * np.cos(x[:, 1])
    theta = {
        "in": rng.standard_normal((width, 2)),
        "bias": rng.standard_normal(width),
        "out": rng.standard_normal(width) / width,
    }
    start, unravel = jax.flatten_util.ravel_pytree(theta)
    start = jnp.pad(start, (0, -len(start) % devices))  # as many for each device; the rest is idle

    def predict(flat, x):
        return network(unravel(flat[: 4 * width]), x)

    def loss(flat, x, y):
        return jnp.mean((jax.vmap(predict, (None, 0))(flat, x) - y) ** 2) / 2

    @jax.jit
    def step(flat, x, y):
        jacobian = jax.vmap(jax.grad(predict), (None, 0))(flat, x)
        jacobian = jax.lax.with_sharding_constraint(jacobian, rows)  # samples over the devices
        residual = jax.vmap(predict, (None, 0))(flat, x) - y
        metric = jax.lax.with_sharding_constraint(jacobian.T @ jacobian / samples, rows)
        metric = metric + jnp.mean(residual**2) * jnp.eye(len(flat))
        force = jacobian.T @ residual / samples
        move = ml.solve(metric, force, assume_a="pos", mesh=mesh, spec=jax.P("x", None))
        defect = jnp.linalg.norm(metric @ move - force) / jnp.linalg.norm(force)
        return flat - move, defect

    @jax.jit
    def descend(flat, x, y):
        def one(_, flat):
            return flat - 0.02 * jax.grad(loss)(flat, x, y)

        return jax.lax.fori_loop(0, 100 * STEPS, one, flat)

    data = jax.device_put((x, y), (rows, jax.NamedSharding(mesh, jax.P("x"))))
    flat, worst = start, 0.0
    print(f"{len(flat)} parameters, {samples} samples\nstep 0: loss {loss(flat, x, y):.2e}")
    for i in range(STEPS):
        flat, defect = step(flat, *data)
        worst = max(worst, float(defect))
        if i % 5 == 4:
            print(f"step {i + 1}: loss {loss(flat, x, y):.2e}")
    natural, plain = float(loss(flat, x, y)), float(loss(descend(start, *data), x, y))
    print(f"{100 * STEPS} steps of plain descent: loss {plain:.2e}")
    print(f"residual of the systems, at most {worst:.1e}")
    assert worst < 1e-6
    assert natural < plain / 10


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
"""Hyperparameters of a Gaussian process by gradient, the kernel matrix sharded over all devices.

    python examples/python/gp.py [--n N]

Data are drawn from a process with known parameters. Their negative log likelihood
y^T K^-1 y / 2 + log det K / 2 is minimised from elsewhere, value and gradient from one
factorisation. At the end the gradient vanishes, and the likelihood is no less than that of the
parameters that made the data.
"""

import argparse

import jax

jax.config.update("jax_num_cpu_devices", 8)  # where there is no GPU
jax.config.update("jax_enable_x64", True)

import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import scipy.optimize  # noqa: E402

import meshlinalg as ml  # noqa: E402

TRUE = {"length": np.log(0.7), "signal": np.log(1.5), "noise": np.log(0.2)}


def kernel(theta, t):
    """Matern 3/2 with noise, rows where the mesh wants them."""
    r = jnp.sqrt(3.0) * jnp.abs(t[:, None] - t[None, :]) / jnp.exp(theta["length"])
    k = jnp.exp(2 * theta["signal"]) * (1 + r) * jnp.exp(-r)
    return k + jnp.exp(2 * theta["noise"]) * jnp.eye(len(t))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=2048, help="observations")
    n = parser.parse_args().n
    mesh = jax.make_mesh((jax.device_count(),), ("x",), axis_types=(jax.sharding.AxisType.Auto,))

    def loss(theta, t, y):
        factor = ml.cho_factor(kernel(theta, t), mesh=mesh)
        return (y @ factor.solve(y) + factor.logdet()) / (2 * len(t))

    rng = np.random.default_rng(0)
    t = np.sort(rng.uniform(0, n / 20, n))
    y = np.linalg.cholesky(kernel(TRUE, t)) @ rng.standard_normal(n)
    names = list(TRUE)
    value_and_grad = jax.jit(jax.value_and_grad(loss))

    def objective(x):
        value, gradient = value_and_grad(dict(zip(names, x, strict=True)), t, y)
        return float(value), np.array([gradient[name] for name in names])

    found = scipy.optimize.minimize(objective, np.zeros(3), jac=True, method="BFGS")
    value, gradient = objective(found.x)
    at_truth, _ = objective(list(TRUE.values()))
    for name, x in zip(names, found.x, strict=True):
        print(f"{name:7} {np.exp(x):7.3f}   made with {np.exp(TRUE[name]):.3f}")
    print(f"loss {value:.6f}, at the true parameters {at_truth:.6f}; {found.nfev} gradients")

    # The gradient is that of the loss: by a difference along a direction.
    h, d = 1e-4, np.array([1.0, -2.0, 0.5])
    difference = (objective(d * h)[0] - objective(-d * h)[0]) / (2 * h)
    error = abs(objective(np.zeros(3))[1] @ d - difference) / abs(difference)
    print(f"largest derivative {np.abs(gradient).max():.1e}; error of a derivative {error:.1e}")
    assert np.abs(gradient).max() < 1e-4
    assert error < 1e-6
    assert value <= at_truth


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
"""A program written for JAXMg 0.x. The two imports are all that has changed.

    python examples/python/from_jaxmg.py                          on the GPUs that JAX sees
    JAX_PLATFORMS=cpu JAX_NUM_CPU_DEVICES=8 python examples/python/from_jaxmg.py

Then the same three problems as a new program would solve them.
"""

from functools import partial

import jax

jax.config.update("jax_enable_x64", True)

import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from jax.sharding import NamedSharding  # noqa: E402
from jax.sharding import PartitionSpec as P  # noqa: E402

import meshlinalg as ml  # noqa: E402
from meshlinalg.jaxmg import potri, potrs, potrs_shardmap_ctx, syevd  # noqa: E402  (was: jaxmg)
from meshlinalg.jaxmg.utils import random_psd  # noqa: E402  (was: jaxmg.utils)

ndev = jax.device_count()
mesh = jax.make_mesh((ndev,), ("x",))
N, T_A = 96 * ndev, 32
dtype = jnp.complex128

A = np.asarray(random_psd(N, dtype, seed=1234))
b = np.ones((N, 1), dtype)


def on_mesh():
    """A by rows and b everywhere, anew: JAXMg's functions consume them."""
    return (
        jax.device_put(A, NamedSharding(mesh, P("x", None))),
        jax.device_put(b, NamedSharding(mesh, P(None, None))),
    )


def small(name, residual, *factors):
    """Prints a residual, scaled as LAPACK's testers do; 30 would be too much."""
    scale = np.prod([np.linalg.norm(f, 1) for f in factors])
    scaled = np.linalg.norm(residual, 1) / (scale * N * np.finfo(dtype).eps)
    print(f"{name:32} {scaled:.2e}")
    assert scaled < 30


# ---- JAXMg's functions -------------------------------------------------------------------------

_A, _b = on_mesh()
x, logdet, status = potrs(
    _A, _b, T_A, mesh, (P("x", None),), return_status=True, return_logdet=True
)
assert status == 0
x = np.asarray(x)
small("potrs", A @ x - b, A, x)
print(f"{'log det A':32} {logdet:.6f}")

_A, _ = on_mesh()
inverse = np.asarray(potri(_A, T_A, mesh=mesh, in_specs=(P("x", None),)))
small("potri", A @ inverse - np.eye(N), A, inverse)

_A, _ = on_mesh()
w, V = map(np.asarray, syevd(_A, T_A=T_A, mesh=mesh, in_specs=P("x", None)))
small("syevd", A @ V - V * w, A)


@partial(jax.jit, static_argnames=("_T_A",))
def solve(_a, _b, _T_A):
    return jax.shard_map(
        partial(potrs_shardmap_ctx, T_A=_T_A),
        mesh=mesh,
        in_specs=(P("x", None), P(None, None)),
        out_specs=(P(None, None), P(None)),
        check_vma=False,
    )(_a, _b)


x, status = solve(*on_mesh(), T_A)
assert status[0] == 0
x = np.asarray(x)
small("potrs_shardmap_ctx", A @ x - b, A, x)

# ---- and without them --------------------------------------------------------------------------

_A, _b = on_mesh()
x = np.asarray(ml.solve(_A, _b, assume_a="pos"))
small("meshlinalg.solve", A @ x - b, A, x)
inverse = np.asarray(ml.inv(_A, assume_a="pos"))
small("meshlinalg.inv", A @ inverse - np.eye(N), A, inverse)
w, V = map(np.asarray, ml.eigh(_A))
small("meshlinalg.eigh", A @ V - V * w, A)
print("all residuals are small")

# SPDX-License-Identifier: Apache-2.0
"""jaxmg.utils of JAXMg 0.x."""

from __future__ import annotations

import hashlib
import socket

import jax
import jax.numpy as jnp

__all__ = [
    "JaxMgWarning",
    "get_mesh_and_spec_from_array",
    "maybe_real_dtype_from_complex",
    "numeric_machine_key",
    "random_psd",
]


class JaxMgWarning(UserWarning):
    """Category of the warnings of this module."""


def random_psd(n, dtype, seed):
    """Random (n, n) Hermitian positive definite matrix G G^H / n + 1e-5 I, G standard normal."""
    g = jax.random.normal(jax.random.key(seed), (n, n), dtype) / jnp.sqrt(n)
    return g @ jnp.conj(g.T) + jnp.eye(n, dtype=dtype) * 1e-5


def get_mesh_and_spec_from_array(a):
    """(mesh, PartitionSpec) of an array; ValueError if it has no NamedSharding."""
    if not isinstance(a.sharding, jax.sharding.NamedSharding):
        raise ValueError("Array is not sharded with a NamedSharding, cannot extract mesh and spec.")
    return a.sharding.mesh, a.sharding.spec


def maybe_real_dtype_from_complex(dtype):
    """float32 for complex64, float64 for complex128; any other dtype as it is."""
    return {jnp.dtype("complex64"): jnp.float32, jnp.dtype("complex128"): jnp.float64}.get(
        jnp.dtype(dtype), dtype
    )


def numeric_machine_key():
    """Two uint64 that are equal on all processes of one machine: a hash of its host name."""
    digest = hashlib.blake2b(socket.gethostname().encode(), digest_size=16).digest()
    return jnp.array([int.from_bytes(digest[i : i + 8], "big") for i in (0, 8)], jnp.uint64)

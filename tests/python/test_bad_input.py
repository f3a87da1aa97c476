# SPDX-License-Identifier: Apache-2.0
"""Misuse raises when traced, and names the argument, its value and what was expected."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

import meshlinalg as ml
from support import ROWS4, ROWS8, Layout

EYE = np.eye(8)
B = np.ones(8)
ONE_MATRIX = {
    "inv": ml.inv,
    "slogdet": ml.slogdet,
    "det": ml.det,
    "cho_factor": ml.cho_factor,
    "cholesky": ml.cholesky,
    "eigh": ml.eigh,
    "eigvalsh": ml.eigvalsh,
    "solve": lambda a, **options: ml.solve(a, np.ones(8), **options, assume_a="pos"),
}


def refuse(error, match, f, *arguments, **options):
    """Eagerly and traced."""
    with pytest.raises(error, match=match):
        f(*arguments, **options)
    arrays = all(isinstance(x, np.ndarray | jax.Array) for x in arguments)
    if arrays and arguments:
        with pytest.raises(error, match=match):
            jax.eval_shape(functools.partial(f, **options), *arguments)


@pytest.mark.parametrize("name", ONE_MATRIX)
def test_matrix(name):
    f = ONE_MATRIX[name]
    refuse(ValueError, r"a must be square, got shape \(8, 7\)", f, np.ones((8, 7)))
    refuse(ValueError, r"a must be a matrix, got shape \(8,\)", f, np.ones(8))
    refuse(ValueError, r"a must be a matrix, got shape \(2, 8, 8\).*vmap", f, np.ones((2, 8, 8)))
    refuse(ValueError, r"a must be a matrix, got shape \(\)", f, np.float64(1))
    for dtype in (np.int32, np.float16, jnp.bfloat16, np.bool_):
        name = jnp.dtype(dtype).name
        refuse(
            TypeError, f"a has dtype {name}, expected one of float32, float64", f, EYE.astype(dtype)
        )
    for wrong in (None, "text", object(), {"a": 1}):
        refuse(TypeError, "a must be an array, got", f, wrong)


@pytest.mark.parametrize("name", ONE_MATRIX)
def test_mesh_and_spec(name):
    f = ONE_MATRIX[name]
    mesh = ROWS4.mesh()
    refuse(TypeError, "mesh must be a jax.sharding.Mesh, got 'x'", f, EYE, mesh="x")
    refuse(
        TypeError, "spec must be a jax.sharding.PartitionSpec, got 'x'", f, EYE, mesh=mesh, spec="x"
    )
    refuse(ValueError, r"spec=P.*needs a mesh.*mesh=", f, EYE, spec=P("x", None))
    refuse(ValueError, r"spec=P.*axes \('x',\), not 'z'", f, EYE, mesh=mesh, spec=P("z", None))
    refuse(
        ValueError,
        r"spec=P.*3 entries, expected at most 2",
        f,
        EYE,
        mesh=mesh,
        spec=P("x", None, None),
    )
    refuse(ValueError, r"spec=P.*each axis once", f, EYE, mesh=mesh, spec=P("x", "x"))
    refuse(ValueError, r"spec=P.*every dimension", f, EYE, mesh=mesh, spec=P(P.UNCONSTRAINED, None))
    refuse(
        ValueError,
        r"dimension 0 of a has 9 elements, which 4 devices do not divide.*mesh=",
        f,
        np.eye(9),
        mesh=mesh,
        spec=P("x", None),
    )


def test_other_mesh_inside_a_program():
    a = ROWS4.put(EYE)
    with pytest.raises(ValueError, match="a lies on the mesh"):
        jax.jit(functools.partial(ml.inv, mesh=ROWS8.mesh()))(a)


@pytest.mark.parametrize("name", ONE_MATRIX)
def test_tile_size(name):
    f = ONE_MATRIX[name]
    for wrong in (0, -3):
        refuse(
            ValueError, f"tile_size={wrong}, expected a positive integer", f, EYE, tile_size=wrong
        )
    for wrong in (2.0, "8"):
        refuse(
            TypeError,
            f"tile_size must be an integer or None, got {wrong!r}",
            f,
            EYE,
            tile_size=wrong,
        )
    f(EYE, tile_size=np.int64(3))


@pytest.mark.parametrize("name", ["inv", "slogdet", "det"])
def test_structure(name):
    f = ONE_MATRIX[name]
    for wrong in ("banded", "diagonal", None, 1):
        refuse(ValueError, f"assume_a={wrong!r}.*'gen'.*'pos'", f, EYE, assume_a=wrong)
    for structure in ("pos", "her"):
        wrong = {"assume_a": structure, "lower": "L"}
        refuse(TypeError, "lower must be True or False, got 'L'", f, EYE, **wrong)
    refuse(ValueError, "lower=True is for assume_a='pos' and 'her'", f, EYE, lower=True)


def test_structure_of_a_system():
    for wrong in ("banded", None, 1):
        refuse(ValueError, f"assume_a={wrong!r}.*'diagonal'", ml.solve, EYE, B, assume_a=wrong)
    for structure in ("gen", "sym", "diagonal", "lower triangular"):
        wrong = {"assume_a": structure, "lower": True}
        refuse(ValueError, f"lower=True .*{structure}", ml.solve, EYE, B, **wrong)


def test_lu_solve():
    factor = ml.lu_factor(EYE)
    refuse(TypeError, "factor must be an LUFactor, .*got 1", ml.lu_solve, 1, B)
    for wrong in (3, "T", True, None):
        refuse(ValueError, f"trans={wrong!r}, expected 0", ml.lu_solve, factor, B, wrong)
    refuse(TypeError, "too narrow", ml.lu_solve, ml.lu_factor(EYE.astype(np.float32)), B)
    refuse(TypeError, "permute_l must be True or False", ml.lu, EYE, permute_l=1)


@pytest.mark.parametrize("name", ["solve", "inv", "slogdet", "det", "cho_factor", "cholesky"])
def test_precision(name):
    f = ONE_MATRIX[name]
    refuse(ValueError, "precision='best', expected one of", f, EYE, precision="best")
    for right in (None, "highest", "high", jax.lax.Precision.HIGHEST):
        f(EYE, precision=right)


@pytest.mark.parametrize("name", ["solve", "inv", "slogdet", "det", "eigh", "eigvalsh"])
def test_flags(name):
    f = ONE_MATRIX[name]
    refuse(TypeError, "return_info must be True or False, got 1", f, EYE, return_info=1)
    refuse(TypeError, "overwrite_a must be True or False, got None", f, EYE, overwrite_a=None)


def test_uplo():
    refuse(ValueError, "UPLO='X', expected 'L' or 'U'", ml.eigh, EYE, UPLO="X")
    refuse(ValueError, "UPLO=3, expected 'L' or 'U'", ml.eigvalsh, EYE, UPLO=3)
    refuse(ValueError, r"gap_tol=-1, expected 0 <= gap_tol < 1", ml.eigh, EYE, gap_tol=-1)
    refuse(TypeError, "gap_tol must be a number or None", ml.eigh, EYE, gap_tol="small")
    refuse(TypeError, "symmetrize_input must be", ml.eigh, EYE, symmetrize_input="no")
    refuse(TypeError, "symmetrize_input must be", ml.cholesky, EYE, symmetrize_input=None)
    refuse(TypeError, "upper must be", ml.cholesky, EYE, upper="yes")


def test_right_hand_sides():
    factor = ml.cho_factor(EYE)
    for f in (lambda b: ml.solve(EYE, b, assume_a="pos"), factor.solve):
        refuse(ValueError, r"b must have 8 rows as a has, got shape \(7,\)", f, np.ones(7))
        refuse(ValueError, r"b must have 8 rows.*\(2, 2\)", f, np.ones((8, 2, 2)))
        refuse(ValueError, r"b must have one or more dimensions, got shape \(\)", f, np.float64(2))
        refuse(TypeError, "b has dtype int64, expected one of", f, np.arange(8))
        refuse(TypeError, "b has dtype float16, expected one of", f, np.ones(8, np.float16))
        refuse(TypeError, "b must be an array, got NoneType", f, None)
    with pytest.raises(TypeError, match="overwrite_b must be True or False"):
        ml.solve(EYE, np.ones(8), overwrite_b="yes", assume_a="pos")


def test_meshes_that_differ():
    a, b = ROWS4.put(EYE), ROWS8.put(np.ones(8), spec=P("x"))
    refuse(ValueError, "b lies on the mesh .*8.*but a on .*4", ml.solve, a, b)
    one = jax.device_put(EYE, jax.devices()[1])
    with pytest.raises(ValueError, match=r"a is on one device.*but b on the mesh.*mesh="):
        ml.solve(one, b, assume_a="pos")


@pytest.mark.skipif(jax.device_count() < 4, reason="4 devices")
def test_other_kinds_of_sharding():
    sharding = getattr(jax.sharding, "GSPMDSharding", None)
    if sharding is None:
        from jax._src.sharding_impls import GSPMDSharding as sharding
    replicated = sharding.get_replicated(jax.devices()[:4])
    a = jax.device_put(EYE, replicated)
    if isinstance(a.sharding, jax.sharding.NamedSharding):
        pytest.skip("JAX converts it")
    with pytest.raises(ValueError, match=r"a has the sharding .*expected a NamedSharding"):
        ml.inv(a, assume_a="pos")
    np.testing.assert_allclose(ml.inv(a, mesh=ROWS4.mesh(), assume_a="pos"), EYE)


def test_inside_a_map():
    """Global functions inside shard_map: this device's own problem, unless axes are left."""
    mesh = Layout("", (2, 2), P()).mesh("auto")
    f = jax.shard_map(
        ml.inv,
        mesh=mesh,
        in_specs=P(None, None),
        out_specs=P(None, None),
        axis_names={"x"},
        check_vma=False,
    )
    with pytest.raises(ValueError, match=r"mesh axes \['y'\].*meshlinalg.shard"):
        jax.jit(f)(EYE)
    f = jax.shard_map(
        lambda a: ml.inv(a[0], assume_a="pos")[None],
        mesh=ROWS4.mesh(),
        in_specs=P("x"),
        out_specs=P("x"),
    )
    stack = np.stack([np.eye(3) * (i + 1) for i in range(4)])
    inverse = jax.jit(f)(ROWS4.put(stack, spec=P("x")))
    np.testing.assert_allclose(inverse, np.linalg.inv(stack))


def test_cho_solve():
    refuse(TypeError, "factor must be a CholeskyFactor.*cho_factor", ml.cho_solve, (EYE, True), EYE)


def test_mesh_without_devices():
    """An abstract mesh has no devices: an array must bring them."""
    mesh = ROWS4.mesh().abstract_mesh
    np.testing.assert_allclose(ml.inv(ROWS4.put(EYE), mesh=mesh, assume_a="pos"), EYE)
    with pytest.raises(ValueError, match=r"mesh=.*has no devices"):
        ml.inv(EYE, mesh=mesh, assume_a="pos")

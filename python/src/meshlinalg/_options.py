# SPDX-License-Identifier: Apache-2.0
"""Arguments that several functions share, checked."""

from __future__ import annotations

import operator

import jax
import numpy as np

_PRECISIONS = (None, "default", "high", "highest")


_STRUCTURES = {
    "gen": "gen",
    "general": "gen",
    "sym": "sym",
    "symmetric": "sym",
    "her": "her",
    "hermitian": "her",
    "pos": "pos",
    "positive definite": "pos",
    "lower triangular": "lower triangular",
    "upper triangular": "upper triangular",
    "diagonal": "diagonal",
}


def check_assume_a(assume_a, *allowed) -> str:
    """The short name of a structure; `allowed`: those there are (none: all)."""
    name = _STRUCTURES.get(assume_a) if isinstance(assume_a, str) else None
    if name is None or (allowed and name not in allowed):
        expected = ", ".join(repr(k) for k, v in _STRUCTURES.items() if not allowed or v in allowed)
        raise ValueError(f"assume_a={assume_a!r} is not available; expected one of {expected}")
    return name


def structure_fill(assume_a: str, lower) -> str | None:
    """What is read of a matrix of this structure, from lower=."""
    if lower is not None and assume_a not in ("pos", "her"):
        raise ValueError(
            f"lower={lower!r} is for assume_a='pos' and 'her', which are read from one triangle; "
            f"got assume_a={assume_a!r}"
        )
    return triangle(lower)


def check_precision(precision) -> int:
    """mla_precision_t: 0 full, 1 high, 2 low."""
    if isinstance(precision, jax.lax.Precision):
        precision = precision.name.lower()
    if precision not in _PRECISIONS:
        raise ValueError(f"precision={precision!r}, expected one of {_PRECISIONS}")
    return {"high": 1, "default": 2}.get(precision, 0)


def check_tile(tile_size) -> int:
    """Tile width for the library; 0: automatic."""
    if tile_size is None:
        return 0
    try:
        value = operator.index(tile_size)
    except TypeError:
        raise TypeError(f"tile_size must be an integer or None, got {tile_size!r}") from None
    if value < 1:
        raise ValueError(f"tile_size={value}, expected a positive integer or None")
    return value


def check_gap_tol(gap_tol) -> float | None:
    if gap_tol is None:
        return None
    if isinstance(gap_tol, bool) or not isinstance(gap_tol, int | float | np.number):
        raise TypeError(f"gap_tol must be a number or None, got {gap_tol!r}")
    if not 0 <= gap_tol < 1:
        raise ValueError(f"gap_tol={gap_tol}, expected 0 <= gap_tol < 1 or None")
    return float(gap_tol)


ENGINES = ("auto", "native", "cusolvermg")  # mla_engine_t
MG_DEVICES = 16  # that cuSOLVERMg can drive


def check_engine(engine) -> str:
    if engine not in ENGINES:
        raise ValueError(f"engine={engine!r}, expected one of {ENGINES}")
    return engine


def check_engine_devices(engine: str, devices, ranks: int) -> None:
    """Whether an engine can work on these devices; what is not known now, the library says."""
    if engine != "cusolvermg":
        return
    devices = list(devices)
    cpu = next((d for d in devices if d.platform == "cpu"), None)
    if cpu is not None:
        raise ValueError(f"engine='cusolvermg' works on NVIDIA GPUs, but a is on {cpu}")
    if len({d.process_index for d in devices}) > 1:
        raise ValueError(
            "engine='cusolvermg' wants all devices in one process; with several processes use "
            "engine='native'"
        )
    if ranks > MG_DEVICES:
        raise ValueError(
            f"engine='cusolvermg' works on at most {MG_DEVICES} devices, a is on {ranks}"
        )


def check_range(pair, n: int) -> tuple[int, int]:
    """subset_by_index=(first, last) as first and number."""
    try:
        first, last = (operator.index(x) for x in pair)
    except (TypeError, ValueError):
        raise TypeError(f"subset_by_index must be two integers, got {pair!r}") from None
    if not 0 <= first <= last < n:
        raise ValueError(
            f"subset_by_index=({first}, {last}), expected 0 <= first <= last < n = {n}"
        )
    return first, last - first + 1


def check_interval(pair) -> tuple[float, float]:
    """subset_by_value=(low, high)."""
    try:
        low, high = (float(x) for x in pair)
    except (TypeError, ValueError):
        raise TypeError(f"subset_by_value must be two numbers, got {pair!r}") from None
    if not low < high:
        raise ValueError(f"subset_by_value=({low}, {high}), expected low < high")
    return low, high


def check_bool(value, name: str) -> bool:
    if isinstance(value, bool):
        return value
    raise TypeError(f"{name} must be True or False, got {value!r}")


def triangle(lower) -> str | None:
    """What is read of a matrix, from lower=."""
    if lower is None:
        return None
    return "lower" if check_bool(lower, "lower") else "upper"


def cholesky_fill(upper, symmetrize_input) -> str:
    upper = check_bool(upper, "upper")
    mean = check_bool(symmetrize_input, "symmetrize_input")
    return "mean" if mean else "upper" if upper else "lower"


def eigh_fill(UPLO, symmetrize_input) -> str:
    if UPLO not in (None, "L", "U", "l", "u"):
        raise ValueError(f"UPLO={UPLO!r}, expected 'L' or 'U'")
    mean = check_bool(symmetrize_input, "symmetrize_input")
    return "mean" if mean else "upper" if UPLO in ("U", "u") else "lower"


def common(fill, tile_size, **flags) -> dict:
    """Keyword arguments of the ..._planned functions."""
    return {
        "fill": fill,
        "nb": check_tile(tile_size),
        **{name: check_bool(value, name) for name, value in flags.items()},
    }

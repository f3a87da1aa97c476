# SPDX-License-Identifier: Apache-2.0
"""What src/dl/cuda_api.h takes from CUDA, against CUDA's own headers and shared libraries.

`make check-cuda` fetches those and sets MESHLINALG_CUDA to a folder of sets, each with include/
and lib/; the tests are skipped without. The lists name CUDA's types, so each prototype is checked
by initialising a pointer of that type with CUDA's function. libcuda itself comes with the driver:
of it only the headers are checked here.
"""

import os
import pathlib
import re
import subprocess

import pytest

DL = pathlib.Path(__file__).resolve().parents[2] / "src" / "dl"
SETS = sorted(p for p in pathlib.Path(os.environ.get("MESHLINALG_CUDA", "/nonexistent")).glob("*"))
HEADERS = "cuda.h", "cublas_v2.h", "cusolverDn.h", "cusolverMg.h", "nccl.h"
LIBRARIES = {
    "CUBLAS": "libcublas.so.*",
    "CUSOLVER": "libcusolver.so.*",
    "CUSOLVERMG": "libcusolverMg.so.*",
    "NCCL": "libnccl.so.*",
}

pytestmark = [
    pytest.mark.skipif(not SETS, reason="MESHLINALG_CUDA is not set: make check-cuda"),
    pytest.mark.parametrize("cuda", SETS, ids=lambda p: p.name),
]


def gcc(source, *options):
    return subprocess.run(
        ["gcc", "-std=gnu11", "-xc", "-", f"-I{DL}", *options],
        input=source,
        capture_output=True,
        text=True,
    )


def lists(kind):
    """Names of the lists, as CUBLAS, of cuda_api.h that end with `kind`."""
    found = re.findall(rf"define MLAI_(\w+)_{kind}\(", (DL / "cuda_api.h").read_text())
    return found


def entries(name):
    """(must be there, result, symbol, parameters) of a list, by the preprocessor."""
    source = "#define MUST(r, n, p) @1|r|n|p@\n#define MAY(r, n, p) @0|r|n|p@\n"
    source += f'#include "cuda_api.h"\nMLAI_{name}_LIST(MUST, MAY)\n'
    text = gcc(source, "-E", "-P").stdout
    found = [
        (must == "1", result.strip(), symbol.strip(), " ".join(parameters.split()))
        for must, result, symbol, parameters in re.findall(
            r"@\s*(\d)\s*\|([^|]*)\|([^|]*)\|([^@]*)@", text
        )
    ]
    assert found, name
    return found


def includes():
    return "".join(f"#include <{h}>\n" for h in HEADERS) + '#include "cuda_api.h"\n'


def headers(cuda):
    return f"-I{cuda / 'include'}", "-DDISABLE_CUSOLVERMG_DEPRECATED", "-Wno-deprecated"


def preprocessed(cuda):
    """CUDA's headers after the preprocessor."""
    text = gcc(includes(), "-E", "-P", *headers(cuda))
    assert text.returncode == 0, text.stderr
    return text.stdout


def check(cuda, lines):
    return gcc(
        includes() + "\n".join(lines) + "\n",
        "-fsyntax-only",
        "-Werror",
        "-Wno-unused-variable",
        "-Wno-deprecated-declarations",
        *headers(cuda),
    )


def pointer(number, result, symbol, parameters):
    return f"static {result} (*p{number}){parameters} = {symbol};"


@pytest.mark.parametrize("name", lists("LIST"))
def test_prototypes(cuda, name):
    known = set(re.findall(r"\w+", preprocessed(cuda)))
    rows = [row for row in entries(name) if row[0] or row[2] in known]
    done = check(cuda, [pointer(i, *row[1:]) for i, row in enumerate(rows)])
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", lists("LIST"))
def test_wrong_prototype_is_found(cuda, name):
    result, symbol, parameters = next(row[1:] for row in entries(name) if row[0])
    wrong = parameters[: parameters.rindex(")")] + ", short one_more)"
    assert check(cuda, [pointer(0, result, symbol, parameters)]).returncode == 0
    assert check(cuda, [pointer(0, result, symbol, wrong)]).returncode != 0


@pytest.mark.parametrize("name", [n for n in lists("LIST") if n in LIBRARIES])
def test_symbols_are_in_the_library(cuda, name):
    (library,) = (cuda / "lib").glob(LIBRARIES[name])
    out = subprocess.run(
        ["nm", "-D", "--defined-only", library], check=True, capture_output=True, text=True
    ).stdout
    there = {line.split()[-1].split("@")[0] for line in out.splitlines()}
    assert [row[2] for row in entries(name) if row[0] and row[2] not in there] == []


@pytest.mark.parametrize("name", lists("VALUES"))
def test_values(cuda, name):
    source = f'#define V(n, v) @n|v@\n#include "cuda_api.h"\nMLAI_{name}_VALUES(V)\n'
    values = re.findall(r"@\s*(\w+)\s*\|\s*(-?\w+)\s*@", gcc(source, "-E", "-P").stdout)
    assert values
    done = check(cuda, [f'_Static_assert((int){n} == ({v}), "{n}");' for n, v in values])
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", lists("LAYOUT"))
def test_layouts(cuda, name):
    done = check(
        cuda,
        [
            "#include <stddef.h>",
            "#define SIZE(t, n) _Static_assert(sizeof(t) == (n), #t);",
            '#define OFFSET(t, m, n) _Static_assert(offsetof(t, m) == (n), #t "." #m);',
            f"MLAI_{name}_LAYOUT(SIZE, OFFSET)",
        ],
    )
    assert done.returncode == 0, done.stderr


def test_sizes_of_types(cuda, tmp_path):
    """Every type of cuda_types.h is as large as CUDA's: enums are int, handles pointers."""
    text = re.sub(r"/\*.*?\*/", "", (DL / "cuda_types.h").read_text(), flags=re.S)
    pattern = r"\}\s*(\w+);|typedef[^;{}()]*?[\s*](\w+);|typedef void \(\*(\w+)\)"
    names = re.findall(pattern, text)
    names = {"".join(n) for n in names} | set(
        re.findall(r"\w+", " ".join(re.findall(r"typedef int ([^;{}]*);", text)))
    )
    assert len(names) > 20
    program = '#include <stdio.h>\n#include "cuda_types.h"\nint main(void) {\n'
    program += "".join(f'printf("{n} %zu\\n", sizeof({n}));\n' for n in sorted(names)) + "}\n"
    built = gcc(program, "-o", str(tmp_path / "sizes"))
    assert built.returncode == 0, built.stderr
    ours = subprocess.run(tmp_path / "sizes", check=True, capture_output=True, text=True).stdout
    rows = [line.split() for line in ours.splitlines()]
    done = check(cuda, [f'_Static_assert(sizeof({n}) == {size}, "{n}");' for n, size in rows])
    assert done.returncode == 0, done.stderr

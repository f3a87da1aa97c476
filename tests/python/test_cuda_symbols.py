# SPDX-License-Identifier: Apache-2.0
"""What src/dl/cuda_api.h takes from CUDA, against CUDA's own headers and shared libraries.

`make check-cuda` fetches those and sets MESHLINALG_CUDA to a folder of sets, each with include/
and lib/; the tests are skipped without. tests/cuda/prototypes.c compares by compiling; here every
symbol is looked up in the library that should have it. libcuda itself comes with the driver: of it
only the headers are compared.
"""

import os
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
API = ROOT / "src" / "dl" / "cuda_api.h"
SETS = sorted(p for p in pathlib.Path(os.environ.get("MESHLINALG_CUDA", "/nonexistent")).glob("*"))
LIBRARIES = {
    "CUBLAS": "libcublas.so.*",
    "CUSOLVER": "libcusolver.so.*",
    "CUSOLVERMG": "libcusolverMg.so.*",
    "NCCL": "libnccl.so.*",
}
HEADERS = ("cuda.h", "cublas_v2.h", "cusolverDn.h", "cusolverMg.h", "nccl.h")

pytestmark = [
    pytest.mark.skipif(not SETS, reason="MESHLINALG_CUDA is not set: make check-cuda"),
    pytest.mark.parametrize("cuda", SETS, ids=lambda p: p.name),
]


def gcc(*arguments, source=None):
    return subprocess.run(
        ["gcc", "-std=gnu11", "-Wno-deprecated-declarations", *map(str, arguments)],
        input=source,
        capture_output=True,
        text=True,
    )


def compare(cuda, *include):
    folders = [f"-I{folder}" for folder in (*include, ROOT / "src", cuda / "include")]
    return gcc("-fsyntax-only", *folders, ROOT / "tests" / "cuda" / "prototypes.c")


def test_prototypes_values_and_layouts(cuda):
    done = compare(cuda)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("cuMemFreeHost, (void *ptr)", "cuMemFreeHost, (int ptr)", "prototype of cuMemFreeHost"),
        ("cuMemFree_v2, ", "cuMemFree, ", "cuMemFree is a macro"),
        ("VAL(CUBLAS_OP_T, 1)", "VAL(CUBLAS_OP_T, 2)", "value of CUBLAS_OP_T"),
        ("SIZE(CUuuid, 16)", "SIZE(CUuuid, 8)", "size of CUuuid"),
    ],
)
def test_mistakes_are_found(cuda, tmp_path, right, wrong, message):
    text = API.read_text()
    assert text.count(right) == 1
    (tmp_path / "dl").mkdir()
    (tmp_path / "dl" / API.name).write_text(text.replace(right, wrong))
    done = compare(cuda, tmp_path)
    assert done.returncode != 0 and message in done.stderr


@pytest.mark.parametrize("name", LIBRARIES)
def test_symbols_are_in_the_library(cuda, name):
    source = f"#define MUST(r, n, p) @n@\n#define MAY(r, n, p)\nMLAI_{name}_LIST(MUST, MAY)\n"
    text = gcc("-E", "-P", "-include", API, "-xc", "-", source=source).stdout
    wanted = re.findall(r"@\s*(\w+)\s*@", text)
    (library,) = (cuda / "lib").glob(LIBRARIES[name])
    out = subprocess.run(
        ["nm", "-D", "--defined-only", library], check=True, capture_output=True, text=True
    ).stdout
    there = {line.split()[-1].split("@")[0] for line in out.splitlines()}
    assert len(wanted) > 5 and [symbol for symbol in wanted if symbol not in there] == []


def test_every_library_is_looked_into(cuda):
    lists = re.findall(r"define MLAI_(\w+)_LIST\(", API.read_text())
    assert set(lists) == {"CU", *LIBRARIES}


def test_sizes_of_types(cuda, tmp_path):
    """Every type of cuda_types.h is as large as CUDA's: enums are int, handles pointers."""
    text = re.sub(r"/\*.*?\*/", "", API.with_name("cuda_types.h").read_text(), flags=re.S)
    pattern = r"\}\s*(\w+);|typedef[^;{}()]*?[\s*](\w+);|typedef void \(\*(\w+)\)"
    names = {"".join(n) for n in re.findall(pattern, text)} | set(
        re.findall(r"\w+", " ".join(re.findall(r"typedef int ([^;{}]*);", text)))
    )
    assert len(names) > 20
    program = '#include <stdio.h>\n#include "dl/cuda_types.h"\nint main(void) {\n'
    program += "".join(f'printf("{n} %zu\\n", sizeof({n}));\n' for n in sorted(names)) + "}\n"
    binary = tmp_path / "sizes"
    built = gcc(f"-I{ROOT / 'src'}", "-o", binary, "-xc", "-", source=program)
    assert built.returncode == 0, built.stderr
    ours = subprocess.run(binary, check=True, capture_output=True, text=True).stdout
    theirs = "".join(f"#include <{h}>\n" for h in HEADERS)
    for line in ours.splitlines():
        kind, size = line.split()
        theirs += f'_Static_assert(sizeof({kind}) == {size}, "size of {kind}");\n'
    done = gcc("-fsyntax-only", f"-I{cuda / 'include'}", "-xc", "-", source=theirs)
    assert done.returncode == 0, done.stderr

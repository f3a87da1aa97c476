# SPDX-License-Identifier: Apache-2.0
"""The CUDA kernels as one fatbin, compiled by NVRTC: needs no nvcc, no GPU and no host compiler.

usage: nvrtc.py TOOLS OUT.fatbin

TOOLS is a folder that ci/kernels.sh has filled from PyPI: libnvrtc, the headers of the CUDA run
time, `fatbinary`. Machine code for sm_80, sm_90, sm_100, and PTX of compute_80 for the
chips to come. Made by CUDA 12.9: such machine code loads on drivers of CUDA 12 and 13.
"""

import concurrent.futures
import ctypes
import glob
import os
import pathlib
import re
import subprocess
import sys

KERNELS = pathlib.Path("src/backend/cuda/kernels")
LIST = pathlib.Path("src/backend/cuda/kernel_list.h")
TARGETS = ("sm_80", "sm_90", "sm_100", "compute_80")


def find(tools: str, pattern: str) -> str:
    found = sorted(glob.glob(os.path.join(tools, "nvidia", "*", pattern)))
    if not found:
        raise SystemExit(f"error: no {pattern} in {tools}")
    return found[0]


def unit() -> str:
    """One translation unit of all kernel files, as cmake/kernels.cmake has it."""
    return "".join(f'#include "{p.as_posix()}"\n' for p in sorted(KERNELS.glob("*.cu")))


class Nvrtc:
    def __init__(self, tools: str):
        # The builtins library is opened by name: it must be in the process already.
        ctypes.CDLL(find(tools, "lib/libnvrtc-builtins.so.12*"), mode=ctypes.RTLD_GLOBAL)
        self.lib = ctypes.CDLL(find(tools, "lib/libnvrtc.so.12"))
        self.lib.nvrtcGetErrorString.restype = ctypes.c_char_p
        self.include = os.path.dirname(find(tools, "include/cuda_bf16.h"))

    def call(self, name: str, *arguments) -> None:
        status = getattr(self.lib, "nvrtc" + name)(*arguments)
        if status != 0:
            raise RuntimeError(f"nvrtc{name}: {self.lib.nvrtcGetErrorString(status).decode()}")

    def bytes_of(self, what: str, program: ctypes.c_void_p) -> bytes:
        size = ctypes.c_size_t()
        self.call(f"Get{what}Size", program, ctypes.byref(size))
        text = ctypes.create_string_buffer(size.value)
        self.call("Get" + what, program, text)
        return text.raw

    def compile(self, target: str) -> bytes:
        program = ctypes.c_void_p()
        source = unit().encode()
        self.call("CreateProgram", ctypes.byref(program), source, b"kernels.cu", 0, None, None)
        options = [
            f"--gpu-architecture={target}",
            "--std=c++17",
            "--include-path=.",
            "--include-path=include",
            "--include-path=src",
            f"--include-path={self.include}",
        ]
        array = (ctypes.c_char_p * len(options))(*(o.encode() for o in options))
        try:
            self.call("CompileProgram", program, len(options), array)
        except RuntimeError as error:
            log = self.bytes_of("ProgramLog", program).decode(errors="replace")
            raise SystemExit(f"{target}: {error}\n{log}") from None
        return self.bytes_of("PTX" if target.startswith("compute") else "CUBIN", program)


def listed() -> set[str]:
    """The names that the library will ask for, off kernel_list.h."""
    suffixes = {"X4": ("_s", "_d", "_c", "_z"), "X2": ("_s", "_d"), "X1": ("",)}
    lines = re.findall(r"^ +(X[421])\((\w+)\)", LIST.read_text(), re.MULTILINE)
    return {f"mlai_{name}{suffix}" for kind, name in lines for suffix in suffixes[kind]}


def make(tools: str, folder: str, target: str) -> tuple[str, str]:
    kind = "ptx" if target.startswith("compute") else "elf"
    path = os.path.join(folder, f"{target}.{'ptx' if kind == 'ptx' else 'cubin'}")
    pathlib.Path(path).write_bytes(Nvrtc(tools).compile(target))
    return f"--image3=kind={kind},sm={target.split('_')[1]},file={path}", path


def main(tools: str, out: str) -> None:
    if not unit():
        raise SystemExit(f"error: no kernels in {KERNELS}")
    folder = os.path.dirname(os.path.abspath(out))
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count()) as pool:
        jobs = [pool.submit(make, tools, folder, target) for target in TARGETS]
        images = [job.result() for job in jobs]
    # Uncompressed: every driver reads that, and a wheel is compressed anyhow.
    command = [find(tools, "bin/fatbinary"), "--64", "--compress-mode=none", f"--create={out}"]
    subprocess.run(command + [image for image, _ in images], check=True)
    ptx = pathlib.Path(images[-1][1]).read_text(errors="replace")
    names = set(re.findall(r"\.visible \.entry (\w+)\(", ptx))
    if names != listed():
        raise SystemExit(f"error: in the kernels or in {LIST} alone: {sorted(names ^ listed())}")
    for _, path in images:
        print(f"{os.path.getsize(path):9} {os.path.basename(path)}")
    print(f"{os.path.getsize(out):9} {os.path.basename(out)}: {len(names)} kernels")


if __name__ == "__main__":
    main(*sys.argv[1:])

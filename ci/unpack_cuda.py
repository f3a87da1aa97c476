# SPDX-License-Identifier: Apache-2.0
"""Headers and shared libraries of NVIDIA's wheels, as DIR/include and DIR/lib.

usage: unpack_cuda.py DIR: reads DIR/wheels/*.whl
"""

import pathlib
import re
import shutil
import sys
import zipfile

# Of each library the symbols are read; its own dependencies stay packed.
WANTED = re.compile(r"lib/(lib(cublas|cusolver|cusolverMg|nccl)\.so\.\d+)$|include/(.+)$")


def main(folder: pathlib.Path) -> None:
    for wheel in sorted((folder / "wheels").glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                found = WANTED.search(name)
                if not found or name.endswith("/"):
                    continue
                path = folder / (f"lib/{found[1]}" if found[1] else f"include/{found[3]}")
                path.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(name) as source, open(path, "wb") as target:
                    shutil.copyfileobj(source, target, 1 << 20)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))

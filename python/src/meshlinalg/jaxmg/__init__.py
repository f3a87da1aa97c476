# SPDX-License-Identifier: Apache-2.0
"""The functions of JAXMg 0.x, for programs that were written for it.

    from meshlinalg.jaxmg import potrs, potri, syevd          # was: from jaxmg import ...
    from meshlinalg.jaxmg.utils import random_psd

Arguments, results, status and errors are those of JAXMg 0.0.9, with the later `return_logdet`.
The work is done by meshlinalg, on GPUs and on CPU devices, in one process or many. docs/jaxmg.md
says what differs. New programs are better served by `meshlinalg` itself.
"""

from ._cyclic import (
    calculate_padding,
    cyclic_1d,
    get_cols_cyclic,
    pad_rows,
    plot_block_to_cyclic,
    unpad_rows,
    verify_cyclic,
)
from ._solvers import (
    potri,
    potri_shardmap_ctx,
    potri_symmetrize,
    potrs,
    potrs_shardmap_ctx,
    syevd,
    syevd_shardmap_ctx,
)

__all__ = [
    "calculate_padding",
    "cyclic_1d",
    "get_cols_cyclic",
    "pad_rows",
    "plot_block_to_cyclic",
    "potri",
    "potri_shardmap_ctx",
    "potri_symmetrize",
    "potrs",
    "potrs_shardmap_ctx",
    "syevd",
    "syevd_shardmap_ctx",
    "unpad_rows",
    "verify_cyclic",
]

# SPDX-License-Identifier: Apache-2.0
"""One process of a job: mp_child.py PLATFORM ADDRESS PROCESSES INDEX FOLDER CHECK...

Reports {"check": name, "value": residual} or {"check": name, "error": traceback}, or "skipped".
"""

import traceback

import mp_launch

JOB = mp_launch.join()

import mp_checks  # noqa: E402
from meshlinalg import _library  # noqa: E402


def run(name):
    if JOB.is_gpu and name in mp_checks.ONLY_CPU:
        return {"skipped": "several processes on one GPU run no XLA collective"}
    try:
        return {"value": float(mp_checks.CHECKS[name]())}
    except Exception:
        return {"error": traceback.format_exc()}


def main():
    mp_checks.JOB, (mp_checks.FOLDER, *names) = JOB, JOB.rest
    for name in names:
        mp_launch.report({"check": name, **run(name)})
    left = _library.library().mla_xla_meetings()
    mp_launch.report({"check": "meetings", "value": float(left)})
    mp_launch.barrier("end")


if __name__ == "__main__":
    main()

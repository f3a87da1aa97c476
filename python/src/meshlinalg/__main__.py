# SPDX-License-Identifier: Apache-2.0
"""Commands:

python -m meshlinalg doctor
python -m meshlinalg plan --n 200000 --dtype float64 --devices 8 [--routine solve]
"""

from __future__ import annotations

import argparse
import json
import sys

from . import _doctor, _explain


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m meshlinalg")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("doctor", help="what was found, what is missing and how to get it")
    plan = commands.add_parser("plan", help="what a call would do, for sizes alone")
    add = plan.add_argument
    add("--n", type=int, required=True, help="order of the matrix")
    add("--dtype", default="float64", help="float32, float64, complex64 or complex128")
    add("--devices", type=int, default=1, help="devices that share the matrix")
    add("--routine", default="solve", help=", ".join(_explain.ROUTINES))
    add("--nrhs", type=int, default=1, help="right-hand sides of solve")
    add("--device", default="H200", help="H200, H100, another name of a GPU, or cpu")
    add("--hosts", type=int, help="machines; default: one for each 8 GPUs")
    add("--tile-size", type=int, help="default: chosen by the library")
    add("--engine", default="auto", help="auto, native or cusolvermg")
    add("--json", action="store_true")
    return parser


def _plan(args) -> int:
    devices = _explain.positive(args.devices, "devices")
    cpu = args.device.lower() == "cpu"
    hosts = args.hosts or (1 if cpu else -(-devices // _explain.GPUS_OF_A_HOST))
    plan = _explain.make(
        args.routine,
        _explain.positive(args.n, "n"),
        args.dtype,
        devices,
        device=args.device,
        processes=hosts,
        hosts=_explain.positive(hosts, "hosts"),
        nrhs=_explain.positive(args.nrhs, "nrhs"),
        tile_size=args.tile_size,
        engine=args.engine,
    )
    print(json.dumps(plan.as_dict()) if args.json else plan)
    return 0


def main(argv=None) -> int:
    args = _parser().parse_args(argv)
    if args.command == "doctor":
        return _doctor.main()
    try:
        return _plan(args)
    except (TypeError, ValueError) as error:
        print(f"plan: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())

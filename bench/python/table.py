# SPDX-License-Identifier: Apache-2.0
"""JSON lines of bench_jax.py and of the tester as a table: reads standard input."""

import json
import sys


def main() -> int:
    failed = 0
    for line in sys.stdin:
        if not line.startswith("{"):
            print(line, end="")
            continue
        r = json.loads(line)
        kind = r.get("dtype") or {"s": "float32", "d": "float64"}.get(r["type"], r["type"])
        ranks = r.get("devices", r.get("ranks"))
        who = r.get("impl") or f"{r.get('engine', 'tester')}, {r['comm']}"
        text = f"{r['routine']:9}{who:17}{kind:10} n={r['n']:<6} P={ranks} "
        if "error" in r:
            failed += r["impl"] != "jax"
            text += r["error"]
        else:
            good = r.get("ok", r["residual"] < 30)
            failed += not good
            text += f"{r['seconds'] * 1e3:10.2f} ms {r['gflops'] * 1e-3:8.2f} TF/s  "
            text += f"residual {r['residual']:.2g}" if r["residual"] else "not checked"
            text += "" if good else "  WRONG"
        print(text, flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: Apache-2.0
"""Sums the JUnit files of a folder: one line each, then "N passed, M failed".

A C test program that ends with a line "N passed, M failed" counts N + M, any other one 1.
Fails if a test failed, if a file holds no test, or if there is no file.
"""

import pathlib
import re
import sys
import xml.etree.ElementTree as ET

COUNT = re.compile(r"^\s*(\d+) passed, (\d+) failed", re.MULTILINE)


def count_case(case: ET.Element) -> tuple[int, int, int]:
    """Passed, failed and skipped tests of one <testcase>."""
    failed = case.find("failure") is not None or case.find("error") is not None
    failed = failed or case.get("status") == "fail"
    if not failed and (case.find("skipped") is not None or case.get("status") == "notrun"):
        return 0, 0, 1
    lines = COUNT.findall(case.findtext("system-out") or "")
    if lines:
        good, bad = int(lines[-1][0]), int(lines[-1][1])
        return good, max(bad, int(failed)), 0
    return int(not failed), int(failed), 0


def main(folder: str) -> int:
    total = [0, 0, 0]
    empty = False
    for path in sorted(pathlib.Path(folder).glob("*.xml")):
        counts = [count_case(case) for case in ET.parse(path).getroot().iter("testcase")]
        passed, failed, skipped = (sum(c[i] for c in counts) for i in range(3))
        print(f"{path.stem:32} {passed:7} passed, {failed} failed, {skipped} skipped")
        empty = empty or passed + failed == 0
        total = [total[0] + passed, total[1] + failed, total[2] + skipped]
    if empty or total[0] + total[1] == 0:
        print("error: no test ran in at least one of the programs", file=sys.stderr)
        total[1] += 1
    print(f"{total[0]} passed, {total[1]} failed")
    return int(total[1] > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

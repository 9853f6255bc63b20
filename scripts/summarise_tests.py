#!/usr/bin/env python3
"""Adds up the results of one ctest run: gtest's XML for programs that write it, ctest's own verdict for the rest."""
import argparse
import pathlib
import re
import sys
import xml.etree.ElementTree as ET


def gtest_counts(folder: pathlib.Path) -> dict[str, tuple[int, int, int]]:
    """ctest entry -> (passed, failed, skipped)."""
    counts = {}
    for path in folder.glob("*.xml"):
        if path.name == "ctest.xml":
            continue
        root = ET.parse(path).getroot()
        cases = list(root.iter("testcase"))
        failed = sum(case.find("failure") is not None for case in cases)
        skipped = sum(case.find("skipped") is not None or case.get("status") == "notrun" for case in cases)
        counts[path.stem] = (len(cases) - failed - skipped, failed, skipped)
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--also-failed", type=int, default=0, help="failures found outside ctest")
    args = parser.parse_args()
    counts = gtest_counts(args.folder)
    passed, failed, skipped = 0, args.also_failed, 0
    for case in ET.parse(args.folder / "ctest.xml").getroot().iter("testcase"):
        name, ok = case.get("name"), case.get("status") == "run"
        output = case.findtext("system-out") or ""
        golden = re.search(r"^(\d+) passed, (\d+) failed, (\d+) unsupported$", output, re.M)
        if golden:
            p, f, s = map(int, golden.groups())
        else:
            p, f, s = counts.get(name, (int(ok), 0, 0))
        if not ok and f == 0:  # crashed or timed out: its own report cannot be trusted
            f = 1
        passed, failed, skipped = passed + p, failed + f, skipped + s
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())

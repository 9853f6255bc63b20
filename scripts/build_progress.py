#!/usr/bin/env python3
"""Shows Ninja's output as progress: on a terminal one line that is redrawn, elsewhere a line every half minute.

Whatever is not Ninja's own status (warnings, errors) is passed on. Steps count alike for the time that is left, so it is
a rough figure.
"""
import re
import sys
import time

STATUS = re.compile(r"^\[(\d+)/(\d+)\] (.*)$")
BORING = re.compile(r"^(ninja: (Entering|no work)|\[0/\d+\]|\[\d+/\d+\]\s*$)")


def duration(seconds):
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"


def main():
    terminal = sys.stdout.isatty()
    began, shown, steps = time.monotonic(), 0.0, None
    for line in map(str.rstrip, sys.stdin):
        match = STATUS.match(line)
        if BORING.match(line) or not line:
            continue
        if not match or match[3].startswith("FAILED"):
            print(("\r\033[K" if terminal else "") + line, flush=True)
            continue
        steps, now = (int(match[1]), int(match[2])), time.monotonic()
        done, total = steps
        if not terminal and done < total and now - shown < 30:
            continue
        shown, spent = now, now - began
        left = spent / done * (total - done) if done else 0
        text = f"{done} of {total} steps, {duration(spent)}, about {duration(left)} left" if done < total else \
            f"{total} steps, {duration(spent)}"
        print(f"\r\033[K{text}" if terminal else text, end="" if terminal else "\n", flush=True)
    if terminal and steps:
        print()


if __name__ == "__main__":
    main()

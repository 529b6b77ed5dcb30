"""
Run a program that breaks one rule; it must end by SIGABRT after the report that its own source expects.

Usage: death_test.py SOURCE PROGRAM PRELOAD     PRELOAD may be "-"
"""

import os
import re
import signal
import subprocess
import sys

STOP = re.compile(r"\*\*\* STOP: 0x000000C2 \((?:0x[0-9A-F]{16}, ){3}0x[0-9A-F]{16}\) BAD_POOL_CALLER\n[A-Z][^\n]*\.\n")


def main():
    source, program, preload = sys.argv[1:]
    with open(source) as file:
        expected = re.match(r"/\* expect: (.*) \*/\n", file.readline())
    if expected is None:
        raise SystemExit(f"FAILED: {source} does not say what it expects")
    env = dict(os.environ, TAGPOOL_TAGS="module")
    if preload != "-":
        env["LD_PRELOAD"] = os.path.abspath(preload)
    done = subprocess.run([program], env=env, capture_output=True, text=True)
    print(done.stderr, end="")
    if done.returncode != -signal.SIGABRT:
        raise SystemExit(f"FAILED: ended with {done.returncode}, not by SIGABRT")
    if STOP.fullmatch(done.stderr) is None:
        raise SystemExit("FAILED: not one line in the original's form and one sentence")
    if re.search(expected[1], done.stderr, re.DOTALL) is None:
        raise SystemExit(f"FAILED: does not match {expected[1]}")
    # Nobody to read the report: the program ends all the same.
    closed = subprocess.run(["/bin/sh", "-c", 'exec "$0" 2>&-', program], env=env)
    if closed.returncode != -signal.SIGABRT:
        raise SystemExit(f"FAILED: with stderr closed ended with {closed.returncode}")


main()

"""
Run a program that breaks one rule; it must end by SIGABRT after the report that its own source expects.

Usage: death_test.py SOURCE PROGRAM PRELOAD     PRELOAD may be "-"
"""

import glob
import os
import re
import signal
import subprocess
import sys

NAMES = {"C2": "BAD_POOL_CALLER", "C4": "DRIVER_VERIFIER_DETECTED_VIOLATION", "E6": "DRIVER_VERIFIER_DMA_VIOLATION"}
STOP = re.compile(r"\*\*\* STOP: 0x000000(C[24]|E6) \((?:0x[0-9A-F]{16}, ){3}0x[0-9A-F]{16}\) ([A-Z_]+)\n[A-Z][^\n]*\.\n")


def run(command, env):
    """(status, stderr); the segment of a program that was killed stays behind, and is taken away here."""
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    text = process.stderr.read()
    status = process.wait()
    for left in glob.glob(f"/dev/shm/tagpool.*.{process.pid}"):
        os.unlink(left)
    return status, text


def main():
    source, program, preload = sys.argv[1:]
    with open(source) as file:
        expected = re.match(r"/\* expect: (.*) \*/\n", file.readline())
    if expected is None:
        raise SystemExit(f"FAILED: {source} does not say what it expects")
    env = dict(os.environ, TAGPOOL_TAGS="module")
    if preload != "-":
        env["LD_PRELOAD"] = os.path.abspath(preload)
    status, text = run([program], env)
    print(text, end="")
    if status != -signal.SIGABRT:
        raise SystemExit(f"FAILED: ended with {status}, not by SIGABRT")
    stop = STOP.fullmatch(text)
    if stop is None or NAMES[stop[1]] != stop[2]:
        raise SystemExit("FAILED: not one line in the original's form and one sentence")
    if re.search(expected[1], text, re.DOTALL) is None:
        raise SystemExit(f"FAILED: does not match {expected[1]}")
    # Nobody to read the report: the program ends all the same.
    status, _ = run(["/bin/sh", "-c", 'exec "$0" 2>&-', program], env)
    if status != -signal.SIGABRT:
        raise SystemExit(f"FAILED: with stderr closed ended with {status}")


main()

"""
A limit comes and goes from outside while python3 runs: it holds from the next allocation on, and takes no block away.

Usage: limit_test.py PRELOAD SET_LIMIT
"""

import os
import subprocess
import sys

import held

MIB = 1 << 20
# Asks for blocks of 1 MiB, as many as it is told, and says how many it got; 0: frees them all.
PROGRAM = """
import sys
kept = []
print("ready", flush=True)
for line in sys.stdin:
    got = 0
    if int(line) == 0:
        kept.clear()
    try:
        while got < int(line):
            kept.append(bytearray(1048000))
            got += 1
    except MemoryError:
        pass
    print(got, flush=True)
"""
FAILURES = []


def expect(what, got, expected):
    print("ok    " if got == expected else "FAILED", what, "got", got, "expected", expected)
    if got != expected:
        FAILURES.append(what)


class Python:
    def __init__(self, preload):
        self.process = subprocess.Popen([sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, env=held.environment(preload))
        self.process.stdout.readline()

    def ask(self, count):
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())


def main():
    preload, set_limit = sys.argv[1:]
    python = Python(preload)
    maps = open(f"/proc/{python.process.pid}/maps").read()
    name = next((os.path.basename(line.split()[-1]) for line in maps.splitlines() if "libpython" in line),
                os.path.basename(os.path.realpath(sys.executable)))

    def limit(of, more):
        subprocess.run([set_limit, str(python.process.pid), of, str(more)], check=True, stdout=subprocess.DEVNULL)

    expect("without a limit", python.ask(20), 20)
    limit(name, 3 * MIB + MIB // 2)
    expect("3 more of the tag", python.ask(20), 3)
    expect("none more", python.ask(1), 0)
    limit(name, -1)
    expect("the limit is gone", python.ask(20), 20)
    limit("paged", 2 * MIB + MIB // 2)
    expect("2 more of the pool", python.ask(20), 2)
    expect("what it has it keeps, and frees", python.ask(0), 0)
    expect("as much again", python.ask(40), 40)
    limit("paged", -1)
    expect("the pool's limit is gone", python.ask(100), 100)
    python.process.stdin.close()
    expect("status", python.process.wait(), 0)
    sys.exit(1 if FAILURES else 0)


main()
